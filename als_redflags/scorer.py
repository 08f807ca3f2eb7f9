"""From text to Report: rule layer and text model joined by the combiner."""

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from als_redflags import artefact
from als_redflags.artefact import Artefact
from als_redflags.matcher import RuleMatcher
from als_redflags.model import Reading, TextModel
from als_redflags.report import Discounted, Flag, Report, Signal, Verdict
from als_redflags.stance import Finding, Findings, StanceReader
from als_redflags.text import Document

if TYPE_CHECKING:
    import pandas as pd

MIN_WORDS = 5
_ENOUGH_TO_TELL = 12  # words by which a language can be told
_WINDOW_WORDS = 300
_CHUNK = 32
_MODEL_RANGE = 6.0  # logits: beyond, the words alone have no more to say
_WORDING_SHOWN = 8
# Signs of legitimacy count only as a bundle (real limits on who may take part, and no cost), only without the flags below, and a
# credential is none of them; see the caveat on tokens of Sipp et al. 2017.
_BUNDLE = 2
_SPOILS_BUNDLE = frozenset(
    {
        "pay-to-participate",
        "large-out-of-pocket-fee",
        "testimonial-as-evidence",
        "cure-claim",
        "guaranteed-improvement",
        "reverse-or-halt-claim",
    }
)
_LETTER = re.compile(r"[^\W\d_]")
_FOREIGN_LETTER = re.compile(r"[^\W\d_\x00-\x7f]")


@dataclass(frozen=True)
class Features:
    """What the combiner sees of a text, all of it in named non-negative numbers except ``text model``.

    ``points`` holds, for every flag, its share of its family's feature.
    """

    values: dict[str, float]
    points: dict[str, tuple[str, float]]


def rule_features(findings: Findings) -> Features:
    """Features of the rule layer.

    The points of a family's different flags (3 high, 2 medium, 1 low) saturate as ``1 - 2 ** (-points / 3)``: ten
    money phrases are not ten times worse than one. Honest frames count only where the text does not sell. Whether an unproven
    treatment is named at all tells its sellers from the sellers of everything else.
    """
    by_family: dict[str, dict[str, int]] = {}
    for flag in findings.flags:
        if flag.rule.by_absence:
            continue
        by_family.setdefault(flag.rule.family, {})[flag.rule.id] = flag.rule.points
    values = {}
    points = {}
    for family, flags in by_family.items():
        total = sum(flags.values())
        values[family] = 1.0 - 2.0 ** (-total / 3.0)
        for rule_id, own in flags.items():
            points[rule_id] = (family, own / total)
    offers = len({f.rule.id for f in findings.of("offer")})
    honest = len({f.rule.id for f in findings.of("honest")})
    signs = len({f.rule.id for f in findings.of("legitimacy") if not f.rule.credential})
    values["treatment named"] = 1.0 if findings.topic == "treatment" else 0.0
    values["offer"] = 1.0 - 2.0 ** (-offers / 2.0)
    values["honest"] = 1.0 - 2.0 ** (-honest / 2.0) if findings.voice != "seller" else 0.0
    clean = findings.voice != "seller" and _SPOILS_BUNDLE.isdisjoint(f.rule.id for f in findings.flags)
    values["legitimacy"] = 1.0 if signs >= _BUNDLE and clean else 0.0
    return Features(values, points)


@dataclass(frozen=True)
class Window:
    """A piece of a text for the model: the words of its plain sentences, and of those in which a red flag is asserted."""

    plain: list[list[str]]
    flagged: list[list[str]]


def windows(document: Document, findings: Findings) -> list[Window]:
    """The text in pieces of about 300 words, so that a claim does not drown in a long page.

    Sentences that carry nothing but a credential (an ethics board, a registry number, a disclaimer) are left out: adding one must
    not make a text look more honest.
    """
    flagged = _sentences_of(document, findings.flags)
    skipped = _sentences_of(document, [f for f in findings.all if f.rule.credential]) - flagged
    pieces = [Window([], [])]
    size = 0
    for index, words in enumerate(document.words):
        if index in flagged:
            pieces[-1].flagged.append(words)
        elif index not in skipped:
            if size and size + len(words) > _WINDOW_WORDS:
                pieces.append(Window([], []))
                size = 0
            pieces[-1].plain.append(words)
            size += len(words)
    return pieces


def _sentences_of(document: Document, findings: list[Finding]) -> set[int]:
    """Indices of the sentences that hold one of the findings."""
    starts = document.sentence_starts
    return {
        index
        for finding in findings
        if not finding.rule.by_absence
        for index in range(bisect_right(starts, finding.start) - 1, bisect_left(starts, finding.end))
    }


def text_logit(model: TextModel, pieces: list[Window]) -> tuple[float, set[int]]:
    """The model's logit of a text, clipped, and the terms it knows: the mean of all windows and of the most suspicious one.

    A window counts as it reads with its first 0, 1, 2 ... flagged sentences, whichever is highest. So a further asserted red flag
    never lowers the logit, although TF-IDF alone would dilute what stood there before.
    """
    logits = []
    known: set[int] = set()
    for piece in pieces:
        reading = Reading(model)
        reading.add(model.known(piece.plain))
        highest = reading.logit
        for claim in piece.flagged:
            reading.add(model.known([claim]))
            highest = max(highest, reading.logit)
        logits.append(highest)
        known |= reading.known
    return clip((max(logits) + math.fsum(logits) / len(logits)) / 2), known


def clip(logit: float) -> float:
    return max(-_MODEL_RANGE, min(_MODEL_RANGE, logit))


def sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else 1.0 - 1.0 / (1.0 + math.exp(logit))


class Scorer:
    """Scores texts. Loading takes about a second; use one for many texts.

    >>> scorer = Scorer.load()
    >>> report = scorer.score("Our stem cells cure ALS, guaranteed. Book now, only $19,500.")
    >>> str(report.verdict)
    'high'

    ``max_chars`` is the longest text that is read, in characters; a longer one gets the verdict ``insufficient``. Set it on the
    class or on one scorer. Time and memory grow in proportion to the text: about 10 microseconds and 100 bytes a character of
    prose, up to 40 microseconds and 500 bytes where every sentence is a claim (``benchmarks/scaling_text.py``).
    """

    max_chars: int = 2_000_000

    def __init__(self, trained: Artefact, path: str | Path | None = None) -> None:
        self.trained = trained
        self.book = trained.book
        self._path = path
        self.reader = StanceReader(RuleMatcher(trained.book, trained.tables))

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Scorer":
        """Load the shipped model, or the one in the folder ``path``.

        Raises
        ------
        ModelError
            If the model is missing, damaged, or belongs to other rules.
        """
        return cls(artefact.load(path), path)

    def __reduce__(self) -> tuple[Any, ...]:
        # The artefact is read again on the other side, which is faster than carrying over what was made from it
        return (type(self).load, (self._path,), {"max_chars": self.max_chars})

    def score(self, text: str, *, source: str | None = None) -> Report:
        """Score one text.

        Raises
        ------
        TypeError
            If ``text`` is no string.
        """
        if not isinstance(text, str):
            raise TypeError(f"score() takes a str, not {type(text).__name__}; decode bytes first")
        if len(text) > self.max_chars:
            return self._report(Document.of(""), source, None, Verdict.INSUFFICIENT, too_long(text, self.max_chars))
        document = Document.of(text)
        reason = self._insufficient(document)
        if reason:
            return self._report(document, source, None, Verdict.INSUFFICIENT, reason)
        findings = self.reader.read(document)
        logit, known = text_logit(self.trained.text_model, windows(document, findings))
        contributions = self._contributions(rule_features(findings), logit)
        score = sigmoid(math.fsum(contributions.values()))
        return self._report(document, source, score, self._verdict(score), None, findings, contributions, known)

    def score_many(self, texts: Iterable[str], *, n_jobs: int = 1) -> Iterator[Report]:
        """Score texts lazily, in their order; with ``n_jobs`` > 1 in worker processes."""
        if n_jobs == 1:
            yield from map(self.score, texts)
            return
        from joblib import Parallel, delayed

        iterator = iter(texts)
        chunks = iter(lambda: list(islice(iterator, _CHUNK)), [])
        parallel = Parallel(n_jobs=n_jobs, return_as="generator")
        for reports in parallel(delayed(_score_chunk)(self._path, chunk, self.max_chars) for chunk in chunks):
            yield from reports

    def score_frame(
        self, frame: "pd.DataFrame", text_column: str = "text", *, flags: Literal["list", "wide", "none"] = "list"
    ) -> "pd.DataFrame":
        """A copy of ``frame`` with the columns score, verdict, reason, n_flags and flags.

        ``flags="wide"`` adds one boolean column for each red flag instead of the list. Rows whose text is null or no string
        are kept, with verdict ``insufficient``. ``verdict`` is an ordered categorical: ``frame["verdict"] >= "caution"`` works.
        There ``insufficient`` stands lowest, so that it is left out; it is no sign of an honest text.

        Raises
        ------
        KeyError
            If there is no column ``text_column``.
        ValueError
            If ``flags`` is none of the three words.
        """
        if text_column not in frame.columns:
            raise KeyError(f"no column {text_column!r}; the table has {', '.join(map(str, frame.columns))}")
        if flags not in ("list", "wide", "none"):
            raise ValueError(f"flags is 'list', 'wide' or 'none', not {flags!r}")
        import pandas as pd

        reports = [self.score(text) if isinstance(text, str) else self._no_text() for text in frame[text_column]]
        result = frame.copy()
        result["score"] = [math.nan if report.score is None else report.score for report in reports]
        order = [str(v) for v in (Verdict.INSUFFICIENT, Verdict.LOW, Verdict.CAUTION, Verdict.HIGH)]
        result["verdict"] = pd.Categorical([str(report.verdict) for report in reports], categories=order, ordered=True)
        result["reason"] = [report.reason for report in reports]
        found = [sorted({flag.id for flag in report.flags}) for report in reports]
        result["n_flags"] = [len(ids) for ids in found]
        if flags == "list":
            result["flags"] = found
        elif flags == "wide":
            for rule in self.book.rules.values():
                if rule.role == "red_flag":
                    result[rule.id] = [rule.id in ids for ids in found]
        return result

    def _no_text(self) -> Report:
        return self._report(Document.of(""), None, None, Verdict.INSUFFICIENT, "there is no text")

    def _insufficient(self, document: Document) -> str | None:
        if document.n_words < MIN_WORDS:
            return f"the text has {document.n_words} words; at least {MIN_WORDS} are needed"
        if not document.lower.isascii():
            foreign = len(_FOREIGN_LETTER.findall(document.lower))
            if foreign > 0.3 * len(_LETTER.findall(document.lower)):
                return "the text does not seem to be English"
        words = list(chain.from_iterable(document.words))
        letters = sum(map(str.isalpha, words))
        known = sum(map(self.trained.text_model.vocabulary.__contains__, words))
        if not letters or (letters >= _ENOUGH_TO_TELL and known < 0.5 * letters):
            return "the text does not seem to be English"
        return None

    def _verdict(self, score: float) -> Verdict:
        if score >= self.trained.thresholds["high"]:
            return Verdict.HIGH
        return Verdict.CAUTION if score >= self.trained.thresholds["caution"] else Verdict.LOW

    def _contributions(self, features: Features, logit: float) -> dict[str, float]:
        combiner = self.trained.combiner
        weights = combiner.weights
        contributions = {"intercept": combiner.intercept, "text model": weights["text model"] * logit}
        for rule_id, (family, share) in features.points.items():
            contributions[rule_id] = weights.get(family, 0.0) * features.values[family] * share
        for name in ("treatment named", "offer", "honest", "legitimacy"):
            contributions[name] = weights[name] * features.values[name]
        return contributions

    def _report(
        self,
        document: Document,
        source: str | None,
        score: float | None,
        verdict: Verdict,
        reason: str | None,
        findings: Findings | None = None,
        contributions: dict[str, float] | None = None,
        known: set[int] | None = None,
    ) -> Report:
        base = Report(source, score, verdict, reason, document.n_words, self.trained.version, self.trained.sha256)
        if findings is None or contributions is None or known is None:
            return base
        occurrences = Counter(finding.rule.id for finding in findings.flags)
        model = self.trained.text_model
        return Report(
            source,
            score,
            verdict,
            reason,
            document.n_words,
            self.trained.version,
            self.trained.sha256,
            flags=tuple(
                Flag(**_evidence(document, f), contribution=contributions.get(f.rule.id, 0.0) / occurrences[f.rule.id])
                for f in findings.flags
            ),
            discounted=tuple(Discounted(**_evidence(document, f), stance=f.stance, cue=f.cue or "") for f in findings.discounted),
            contributions=contributions,
            legitimacy=tuple(_signal(document, f) for f in findings.of("legitimacy")),
            wording=tuple(model.weights(known, _WORDING_SHOWN)),
            voice=findings.voice,
        )


def _evidence(document: Document, finding: Finding) -> dict[str, Any]:
    start, end = document.to_source(finding.start, finding.end)
    rule = finding.rule
    return {
        "id": rule.id,
        "title": rule.title,
        "family": rule.family,
        "severity": rule.severity,
        "start": start,
        "end": end,
        "text": document.source[start:end],
        "line": document.line(start),
    }


def _signal(document: Document, finding: Finding) -> Signal:
    evidence = _evidence(document, finding)
    return Signal(**{name: evidence[name] for name in ("id", "title", "start", "end", "text", "line")})


@cache
def shared_scorer(path: str | Path | None = None) -> Scorer:
    """One Scorer a process and model, loaded when first needed."""
    return Scorer.load(path)


def too_long(text: str, limit: int) -> str:
    """Why a text is not read."""
    return f"the text has {len(text):,} characters; at most {limit:,} are read"


def _score_chunk(path: str | Path | None, texts: list[str], max_chars: int = Scorer.max_chars) -> list[Report]:
    scorer = shared_scorer(path)
    scorer.max_chars = max_chars
    return [scorer.score(text) for text in texts]


def score(text: str) -> Report:
    """Score one text with the shipped model.

    >>> report = score("Riluzole and good breathing care help people with ALS to live longer.")
    >>> report.score < 0.5
    True
    """
    return shared_scorer().score(text)
