"""The examples inside rule files, run against the rules."""

from collections.abc import Iterable
from dataclasses import dataclass

from als_redflags.rulebook import Rule
from als_redflags.stance import StanceReader
from als_redflags.text import Document


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that behaves otherwise than its list says."""

    rule: str
    expected: str
    text: str
    found: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}: should be {self.expected} on {self.text!r}; found: {', '.join(self.found) or 'nothing'}"


def failures(reader: StanceReader, rules: Iterable[Rule]) -> list[Failure]:
    """Examples of ``rules`` that fail: ``fires`` needs an asserted hit, ``silent`` must have none."""
    failed = []
    for rule in rules:
        for expected, texts in (("asserted", rule.fires), ("silent", rule.silent)):
            for text in texts:
                found = [f for f in reader.read(Document.of(text)).all if f.rule.id == rule.id]
                if any(f.asserted for f in found) != (expected == "asserted"):
                    stances = tuple(f.stance if f.cue is None else f"{f.stance} by {f.cue!r}" for f in found)
                    failed.append(Failure(rule.id, expected, text, stances))
    return failed
