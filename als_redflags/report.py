"""The result of scoring one text: data only. What people see is made from it in ``render.py``."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from als_redflags.errors import InputError

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """What the score means: thresholds are set for false-positive rates of 10 % (caution) and 2 % (high)."""

    LOW = "low"
    CAUTION = "caution"
    HIGH = "high"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Flag:
    """A red flag asserted in the text.

    ``start`` and ``end`` are 0-based code points, half-open, into the text given by the caller, so that
    ``text[flag.start:flag.end] == flag.text``. ``line`` counts from 1. ``contribution`` is in logits.
    """

    id: str
    title: str
    family: str
    severity: str
    start: int
    end: int
    text: str
    line: int
    contribution: float


@dataclass(frozen=True, slots=True)
class Discounted:
    """A red flag that the text mentions without asserting it: ``stance`` is the reason, ``cue`` the words that show it."""

    id: str
    title: str
    family: str
    severity: str
    start: int
    end: int
    text: str
    line: int
    stance: str
    cue: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A sign of legitimacy found in the text. One alone proves nothing: sellers borrow them."""

    id: str
    title: str
    start: int
    end: int
    text: str
    line: int


@dataclass(frozen=True)
class Report:
    """Score, verdict and evidence of one text.

    ``score`` is the calibrated probability in [0, 1] that the text is red-flag marketing, ``None`` where the verdict
    is ``insufficient`` (then ``reason`` says why). ``contributions`` are in logits and add up to log(score / (1 - score)).
    ``wording`` holds the words that moved the text model most, with their weights in logits.
    """

    source: str | None
    score: float | None
    verdict: Verdict
    reason: str | None
    n_words: int
    model_version: str
    model_sha256: str
    flags: tuple[Flag, ...] = ()
    discounted: tuple[Discounted, ...] = ()
    contributions: dict[str, float] | None = None
    legitimacy: tuple[Signal, ...] = ()
    wording: tuple[tuple[str, float], ...] = ()
    voice: str = "unclear"

    @property
    def next_steps(self) -> list[str]:
        """What the reader can do now."""
        found = {flag.id for flag in self.flags} | {signal.id for signal in self.legitimacy}
        steps = []
        for entry in _next_steps():
            relevant = not entry.get("any_of") or found & set(entry["any_of"])
            fits = self.n_words <= entry.get("max_words", self.n_words)
            if self.verdict in entry["verdicts"] and relevant and fits:
                steps.append(entry["text"])
        return steps

    @property
    def warnings(self) -> list[str]:
        """Limits of this result that the reader should know."""
        if self.score is None:
            return []
        warnings = [
            "The score is about the text. It is no finding of fraud and no medical or legal advice; a low score is "
            "no proof of safety."
        ]
        if self.n_words < 40:
            warnings.append("The text is short: few words carry the score.")
        return warnings

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, as in the JSON output (``schema_version`` 1)."""
        return {
            "schema_version": SCHEMA_VERSION,
            "source": self.source,
            "score": self.score,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "n_words": self.n_words,
            "model": {"version": self.model_version, "sha256": self.model_sha256},
            "voice": self.voice,
            "flags": [asdict(flag) for flag in self.flags],
            "discounted": [asdict(flag) for flag in self.discounted],
            "contributions": dict(self.contributions or {}),
            "legitimacy": [asdict(signal) for signal in self.legitimacy],
            "wording": [{"term": term, "weight": weight} for term, weight in self.wording],
            "next_steps": self.next_steps,
            "warnings": self.warnings,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Report":
        """The report that :meth:`to_dict` turned into ``data``; next steps and warnings follow from the rest.

        Raises
        ------
        InputError
            If ``data`` is no report of ``schema_version`` 1.
        """
        if data.get("schema_version") != SCHEMA_VERSION:
            raise InputError(f"a report of schema_version {SCHEMA_VERSION} is needed, not {data.get('schema_version')!r}")
        try:
            return cls(
                **{name: data[name] for name in ("source", "score", "reason", "n_words", "voice")},
                verdict=Verdict(data["verdict"]),
                model_version=data["model"]["version"],
                model_sha256=data["model"]["sha256"],
                flags=tuple(Flag(**flag) for flag in data["flags"]),
                discounted=tuple(Discounted(**item) for item in data["discounted"]),
                contributions=None if data["score"] is None else dict(data["contributions"]),
                legitimacy=tuple(Signal(**signal) for signal in data["legitimacy"]),
                wording=tuple((entry["term"], entry["weight"]) for entry in data["wording"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is no report as als_redflags writes it ({type(error).__name__}: {error})") from None


@cache
def _next_steps() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load((files("als_redflags") / "next_steps.yaml").read_text("utf-8"))
    return entries
