"""What people see: the report on a terminal and in a file, and what they are told to do next."""

import io
import runpy
from xml.etree import ElementTree

import pytest
from rich.console import Console

from als_redflags import Report, Scorer, Verdict, render
from als_redflags.rulebook import RuleBook
from tests.conftest import ROOT

SALE = "Our stem cells cure ALS. [bold]No side effects[/bold] \x1b[31m and no risk.\nBook your place, only $19,500!"


def printed(report: Report, book: RuleBook, *, width: int = 100, terminal: bool = False) -> str:
    stream = io.StringIO()
    render.print_report(Console(file=stream, width=width, force_terminal=terminal, highlight=False), report, book)
    return stream.getvalue()


def test_what_stands_in_the_text_is_shown_and_not_obeyed(scorer: Scorer) -> None:
    out = printed(scorer.score(SALE), scorer.book)
    assert "[bold]" in out, "markup of the text is no markup of ours"
    assert "\x1b" not in out, "control characters of the text do not reach the terminal"


def test_names_of_files_are_shown_whole_and_not_obeyed(scorer: Scorer) -> None:
    reports = [scorer.score("???", source="folder/" + "long-name-" * 20 + "\x1b[31m.txt"), scorer.score("???", source="b.txt")]
    stream = io.StringIO()
    console = Console(file=stream, width=60, force_terminal=True, color_system=None)
    render.print_table(console, reports)
    rows = [line.split()[-1] for line in stream.getvalue().splitlines()]
    assert "".join(rows) == "source" + "folder/" + "long-name-" * 20 + "\ufffd[31m.txt" + "b.txt"
    render.print_report(console, reports[0], scorer.book)
    assert "\x1b[31m" not in stream.getvalue()


@pytest.mark.parametrize("width", [30, 80, 200])
def test_narrow_and_wide(scorer: Scorer, width: int) -> None:
    out = printed(scorer.score(SALE), scorer.book, width=width)
    assert max(map(len, out.splitlines())) <= max(width, 140), "only the address of the registry may be longer than the screen"
    assert "HIGH" in out


def test_colours_on_a_terminal_only(scorer: Scorer) -> None:
    report = scorer.score(SALE)
    assert "\x1b[" in printed(report, scorer.book, terminal=True)
    assert "\x1b[" not in printed(report, scorer.book)


def test_the_gravest_flags_come_first(scorer: Scorer) -> None:
    out = printed(scorer.score(SALE), scorer.book)
    order = [out.index(f"[{severity}, ") for severity in ("high", "medium", "low") if f"[{severity}, " in out]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("verdict", "needle"),
    [
        (Verdict.HIGH, "Recruiting and Interventional"),
        (Verdict.CAUTION, "Recruiting and Interventional"),
        (Verdict.LOW, "many sellers keep silent"),
    ],
)
def test_next_steps_by_verdict(verdict: Verdict, needle: str) -> None:
    steps = Report(None, 0.5, verdict, None, 30, "0", "0").next_steps
    assert any(needle in " ".join(step.split()) for step in steps)


def test_no_next_step_where_nothing_could_be_judged(scorer: Scorer) -> None:
    report = scorer.score("???")
    assert report.next_steps == []
    assert report.warnings == []
    assert "cannot be judged: the text has 0 words" in printed(report, scorer.book)


def test_steps_that_belong_to_a_flag_need_the_flag(scorer: Scorer) -> None:
    with_fee = scorer.score(
        "Our stem cell clinic treats ALS. You pay $15,000 to take part in our stem cell study. Contact us today."
    )
    assert any("pay to take part in research" in step for step in with_fee.next_steps)
    without = scorer.score("Our stem cells cure ALS. No risk. Contact our clinic today.")
    assert not any("pay to take part in research" in step for step in without.next_steps)


def test_the_same_text_gives_the_same_report(scorer: Scorer) -> None:
    assert scorer.score(SALE).to_dict() == Scorer.load().score(SALE).to_dict()


def test_the_picture_of_the_terminal_can_be_made_again() -> None:
    svg = runpy.run_path(str(ROOT / "docs" / "make_terminal_picture.py"))["picture"]()
    shown = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "examples/clinic.txt: HIGH" in shown
    assert "What to do next" in shown
    assert "@font-face" not in svg, "a picture loads nothing"
