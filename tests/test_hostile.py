"""Texts that are made to break or to hold up a program: they get a report, whatever they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from als_redflags import Report, Scorer
from tests.conftest import Run

CLAIM = "Our stem cells cure ALS, guaranteed."
LEAD_IN = (
    "The hills were grey and cold on the long days of winter, and people who lived there told each other stories like this:\n"
)
# How to make a text of about n characters
SHAPES: dict[str, Callable[[int], str]] = {
    "one line of claims": lambda n: f"{CLAIM} " * (n // 37),
    "one line without a full stop": lambda n: "our stem cells cure als " * (n // 24),
    "one word": lambda n: "x" * n,
    "bullets": lambda n: "- \n" * (n // 3),
    "bullets of claims": lambda n: f"- {CLAIM}\n" * (n // 39),
    "nested tags": lambda n: "<b>" * (n // 7) + CLAIM + "</b>" * (n // 7),
    "opened brackets": lambda n: "(" * n + CLAIM,
    "opened quotes": lambda n: f'"{CLAIM} ' * (n // 38),
    "quotations": lambda n: f'"{CLAIM}" ' * (n // 39),
    "lead-ins above lead-ins": lambda n: LEAD_IN * (n // 123) + CLAIM,
    "headings": lambda n: "Do stem cells cure ALS?\n" * (n // 24),
    "nothing but ends of sentences": lambda n: "!" * n,
    "abbreviations": lambda n: "e.g. dr. a. " * (n // 12),
    "addresses": lambda n: "a@b.c" * (n // 5) + " www." * (n // 20),
    "numbers": lambda n: "$1,234,567.89 " * (n // 14),
    "NUL": lambda n: "\0cure" * (n // 5),
    "lone surrogates": lambda n: "\ud800cure \udfff" * (n // 7),
    "invisible characters": lambda n: "c\u200bu\u00adr\u202ee " * (n // 8),
    "combining characters": lambda n: "e\u0301\u0302\u0303" * (n // 4),
    "characters whose lower case is longer": lambda n: "\u0130stem " * (n // 6),
    "empty lines": lambda n: "\n" * n,
    "spaces": lambda n: " \u00a0\t" * (n // 3),
    "every character": lambda n: "".join(map(chr, range(min(n, 0x110000)))),
}


def sound(report: Report, text: str) -> bool:
    hits = (*report.flags, *report.discounted, *report.legitimacy)
    return (report.score is None) == (report.reason is not None) and all(text[h.start : h.end] == h.text for h in hits)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("length", [0, 1, 40, 60_000])
def test_any_shape_and_length(scorer: Scorer, shape: str, length: int) -> None:
    text = SHAPES[shape](length)
    assert sound(scorer.score(text), text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "length"),
    [
        ("bullets", 3_000_000),  # a million of them
        ("nested tags", 700_000),  # a hundred thousand
        ("one word", 50_000_000),
        ("lead-ins above lead-ins", 1_000_000),
        ("quotations", 500_000),
        ("one line without a full stop", 500_000),
        ("every character", 0x110000),
    ],
)
def test_without_a_limit(scorer: Scorer, shape: str, length: int) -> None:
    patient = Scorer(scorer.trained)
    patient.max_chars = 10**9
    text = SHAPES[shape](length)
    assert sound(patient.score(text), text)


def test_a_line_of_fifty_megabytes_is_refused(run: Run, scorer: Scorer) -> None:
    line = (f"{CLAIM} " * 1_400_000)[:50_000_000]
    report = scorer.score(line)
    assert report.reason == "the text has 50,000,000 characters; at most 2,000,000 are read"
    done = run("score", stdin=line.encode())
    assert done.returncode == 2
    assert b"larger than" in done.stderr
    done = run("score", stdin=line[:3_000_000].encode())
    assert done.returncode == 2
    assert b"standard input: the text has 3,000,000 characters" in done.stderr


@pytest.mark.parametrize("arguments", [["score", "-"], ["score", "empty.txt"], ["evaluate", "empty.jsonl"], ["corpus", "empty"]])
def test_empty_everything(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    folder = tmp_path
    (folder / "empty").mkdir()
    for name in ("empty.txt", "empty.jsonl"):
        (folder / name).touch()
    done = run(*arguments, cwd=folder)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"als-redflags: " in done.stderr


def test_no_texts_no_reports(scorer: Scorer) -> None:
    assert list(scorer.score_many([])) == []
    assert [report.reason for report in scorer.score_many([""])] == ["the text has 0 words; at least 5 are needed"]
