"""CSV: one row a report that reads back, and no cell that a spreadsheet would run."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags import Scorer
from als_redflags.spreadsheet import COLUMNS, safe_cell, to_csv
from tests.conftest import Run

SALE = "Our stem cells cure ALS, guaranteed.\nBook now, only $19,500!"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_holds_the_report(scorer: Scorer) -> None:
    report = scorer.score(SALE, source="a, b.txt")
    row, short = rows(to_csv([report, scorer.score("Too short", source="c.txt")]))
    assert tuple(row) == COLUMNS
    assert (row["source"], row["verdict"], float(row["score"])) == ("a, b.txt", "high", report.score)
    assert row["flags"].split("; ") == sorted({flag.id for flag in report.flags})
    assert int(row["n_flags"]) == len(row["flags"].split("; "))
    assert "cure-claim (line 1): \u201cOur stem cells cure ALS" in row["evidence"]
    assert (short["verdict"], short["score"], short["n_flags"]) == ("insufficient", "", "0")
    assert "at least 5 are needed" in short["reason"]


ATTACKS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "\uff1dcmd", "ok; =1+1", "ok;=1", "x\n;@y"]


@pytest.mark.parametrize("text", ATTACKS)
def test_formulas_are_only_text(scorer: Scorer, text: str) -> None:
    (row,) = rows(to_csv([replace(scorer.score("Too short"), source=text, reason=text)]))
    for cell in (row["source"], row["reason"]):
        assert "'" in cell
        assert not any(part.strip()[:1] in ("=", "+", "-", "@", "\uff1d") for part in cell.split(";"))


@given(st.text(alphabet=st.sampled_from("=+-@; \t\r\n\"',ab\u200b\uff0b\x00")))
def test_no_cell_begins_a_formula_however_it_is_split(text: str) -> None:
    cell = safe_cell(text)
    assert "\n" not in cell
    for part in (cell, *cell.split(";")):
        assert part.lstrip()[:1] not in {"=", "+", "-", "@", "\uff0b"}


@pytest.mark.parametrize("text", ["Our cells", "5 - 3 = 2", "a=b", "mail@clinic.example", "one; two"])
def test_other_text_is_left_alone(text: str) -> None:
    assert safe_cell(text) == text


def test_the_command_writes_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "=cmd.txt").write_text(f"=HYPERLINK: {SALE}", "utf-8")
    done = run("score", "=cmd.txt", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0
    (row,) = rows(done.stdout.decode())
    assert (row["source"], row["verdict"]) == ("'=cmd.txt", "high")
