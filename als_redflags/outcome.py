"""What a table gets for one of its texts, and the columns made from it: the same for data frames, files and clusters."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from als_redflags.errors import InputError
from als_redflags.report import Report, Verdict

if TYPE_CHECKING:
    from als_redflags.rulebook import RuleBook
    from als_redflags.scorer import Scorer

MAX_CHARS = 1_000_000
FlagColumns = Literal["list", "wide", "none"]
FLAG_COLUMNS: tuple[FlagColumns, ...] = ("list", "wide", "none")


class Outcome(NamedTuple):
    """Result of one value of a text column.

    ``score`` is in [0, 1], or ``None`` where the verdict is ``insufficient``; then ``reason`` says why. ``flags`` are the
    ids of the asserted red flags, sorted. ``failed`` tells a value that could not be read at all (null, no text, too
    long, an error) from a text that was read and holds too little to be judged.
    """

    score: float | None
    verdict: str
    reason: str | None
    flags: tuple[str, ...] = ()
    failed: bool = False


def unscorable(value: object, max_chars: int = MAX_CHARS) -> Outcome | None:
    """The outcome of a value that is no text to score, or ``None`` if it is one.

    >>> unscorable(17).reason
    'the value is no text but of type int'
    """
    if isinstance(value, str):
        if len(value) <= max_chars:
            return None
        return _failure(f"the text has {len(value):,} characters; at most {max_chars:,} are read")
    # pandas has nulls of its own, which must be told without importing it
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value)):
        return _failure("there is no text")
    return _failure(f"the value is no text but of type {type(value).__name__}")


def _failure(reason: str) -> Outcome:
    return Outcome(None, str(Verdict.INSUFFICIENT), reason, failed=True)


def score_texts(scorer: "Scorer", texts: Sequence[str]) -> list[Outcome]:
    """Score texts in their order. A text that the engine stumbles over fails alone, with the error as its reason."""
    try:
        return [_outcome(report) for report in scorer.score_many(texts)]
    except Exception:
        return [_score_alone(scorer, text) for text in texts]


def _score_alone(scorer: "Scorer", text: str) -> Outcome:
    try:
        return _outcome(scorer.score(text))
    except Exception as error:
        return _failure(f"the text could not be scored ({type(error).__name__}: {error})")


def _outcome(report: Report) -> Outcome:
    flags = tuple(sorted({flag.id for flag in report.flags}))
    return Outcome(report.score, str(report.verdict), report.reason, flags)


def score_values(scorer: "Scorer", values: Iterable[object], max_chars: int = MAX_CHARS) -> list[Outcome]:
    """One outcome for each value of a column, text or not."""
    values = list(values)
    failures = [unscorable(value, max_chars) for value in values]
    texts = [str(value) for value, failure in zip(values, failures, strict=True) if failure is None]
    scored = iter(score_texts(scorer, texts))
    return [failure or next(scored) for failure in failures]


def red_flags(book: "RuleBook") -> tuple[str, ...]:
    """Ids of the rules that can raise a flag, in the order of the wide columns."""
    return tuple(rule.id for rule in book.rules.values() if rule.role == "red_flag")


def column_names(flags: FlagColumns, ids: Sequence[str]) -> list[str]:
    """Names of the columns that are added to a table; ``ids`` are those of :func:`red_flags`."""
    return ["score", "verdict", "reason", "n_flags", *{"list": ["flags"], "wide": ids, "none": []}[flags]]


def columns(outcomes: Sequence[Outcome], flags: FlagColumns, ids: Sequence[str]) -> dict[str, list[Any]]:
    """The columns that are added to a table, each as long as ``outcomes``."""
    added: dict[str, list[Any]] = {
        "score": [outcome.score for outcome in outcomes],
        "verdict": [outcome.verdict for outcome in outcomes],
        "reason": [outcome.reason for outcome in outcomes],
        "n_flags": [len(outcome.flags) for outcome in outcomes],
    }
    if flags == "list":
        added["flags"] = [list(outcome.flags) for outcome in outcomes]
    elif flags == "wide":
        added |= {rule_id: [rule_id in outcome.flags for outcome in outcomes] for rule_id in ids}
    return added


def check_columns(names: Sequence[str], text_column: str, added: Sequence[str], id_column: str | None = None) -> None:
    """Raise InputError if a table lacks a column that is needed, or has one that would be overwritten."""
    for wanted in (text_column, id_column):
        if wanted is not None and wanted not in names:
            raise InputError(f"there is no column {wanted!r}; the table has {', '.join(map(repr, names)) or 'none'}")
    taken = [name for name in added if name in names]
    if taken:
        raise InputError(
            f"the table has a column {taken[0]!r} already, which would be overwritten; rename it first"
            if len(taken) == 1
            else f"the table has columns {', '.join(map(repr, taken))} already, which would be overwritten; rename them first"
        )
