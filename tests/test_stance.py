"""The tables in ``tests/cases``: who asserts a claim, and why a mention is not counted."""

from dataclasses import dataclass

import pytest

from als_redflags.rulebook import STANCES
from als_redflags.stance import StanceReader
from als_redflags.text import Document
from tests.conftest import ROOT

CASES = ROOT / "tests" / "cases"


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    text: str
    flag: str
    stance: str
    reason: str


def rows(name: str) -> list[Case]:
    lines = [line for line in (CASES / name).read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [Case(row[0].replace("<br>", "\n"), *row[1:]) for row in cells if row[1] != "flag"]


def outcome(reader: StanceReader, case: Case) -> bool:
    found = [f for f in reader.read(Document.of(case.text)).all if f.rule.id == case.flag]
    if case.stance == "asserted":
        return any(f.asserted for f in found)
    # which of several good reasons is named first matters less than that the claim is not counted
    return not any(f.asserted for f in found) and (case.stance == "silent" or bool(found))


@pytest.mark.parametrize("case", rows("stance.md"), ids=lambda case: case.text[:60])
def test_case(reader: StanceReader, case: Case) -> None:
    found = [(f.stance, f.cue) for f in reader.read(Document.of(case.text)).all if f.rule.id == case.flag]
    assert outcome(reader, case), f"expected {case.stance} ({case.reason}), found {found}"


@pytest.mark.parametrize("case", rows("stance_known_failures.md"), ids=lambda case: case.text[:60])
def test_known_failure_still_fails(reader: StanceReader, case: Case) -> None:
    assert not outcome(reader, case), "passes now: move it to stance.md"


def test_tables_are_large_and_well_formed(reader: StanceReader) -> None:
    cases = rows("stance.md")
    assert len(cases) >= 200
    assert len({case.text + case.flag for case in cases}) == len(cases)
    rules = reader.matcher.book.rules
    for case in [*cases, *rows("stance_known_failures.md")]:
        assert case.stance in (*STANCES, "asserted", "silent"), case
        assert rules[case.flag].role == "red_flag"
        assert case.reason
