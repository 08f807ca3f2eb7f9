"""Nothing is executed, sent or obeyed: hostile texts, names, models and rules through every way in and every format out."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from als_redflags import Report, Scorer, corpus, render
from als_redflags.cli import MAX_CHARS, Format
from als_redflags.errors import CorpusError, InputError
from als_redflags.html_report import to_html
from als_redflags.readers import extract
from als_redflags.rulebook import RULES
from als_redflags.sarif import to_sarif
from als_redflags.spreadsheet import to_csv
from tests.conftest import ROOT, Run

SALE = "Our stem cells cure ALS, guaranteed. Book now, only $19,500."


def test_scoring_works_where_sockets_are_forbidden() -> None:
    code = """
import socket
class Forbidden:
    def __init__(self, *arguments, **options): raise AssertionError("a socket was asked for")
socket.socket = socket.SocketType = Forbidden
socket.create_connection = socket.getaddrinfo = Forbidden
import sys
from als_redflags.cli import app
from typer.testing import CliRunner
for kind in sys.argv[1:]:
    done = CliRunner().invoke(app, ["score", "examples/clinic.txt", "--show-discounted", "--format", kind])
    assert done.exit_code == 0, done.exception
    print(len(done.output))
"""
    done = subprocess.run([sys.executable, "-c", code, *Format], capture_output=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.split()) == len(Format)


# What breaks programs that read text, with claims among it so that rules and evidence see it too.
NASTY = [
    "\0", "\x1b[2J", "\x9b31m", "\u202e", "\ufeff", "\ud800", "\udfff", "\U0010ffff", "\r", "\u2028", "\x85", "\t", "\n", "\n\n",
    "<script>alert(1)</script>", "</title><img src=x onerror=y>", "{{ 7*7 }}", "{% raw %}", "=cmd|' /C calc'!A0", "@SUM(1)",
    "[x](javascript:y)", "[bold]", "[/]", "%s%n", "${jndi:x}", '"', "'", "&amp;", "\\u0000", "- ", "* ", "1) ", "# ", "?", "!!!",
    "...", ":", "(", "e\u0301", "\u0130", "\ufb03",
]  # fmt: skip
WORDS = [
    *SALE.split(),
    "not",
    "no",
    "warned",
    "that",
    "patients",
    "clinic",
    "trial",
    "NCT01234567",
    "www.x.com",
    "a@b.c",
    "n't",
    "87%",
]
HOSTILE = st.lists(st.sampled_from(NASTY) | st.sampled_from(WORDS) | st.characters(), max_size=60).map(" ".join)


def outputs(scorer: Scorer, text: str, report: Report) -> dict[str, str]:
    stream = io.StringIO()
    render.print_report(Console(file=stream, highlight=False, width=100), report, scorer.book, show_discounted=True)
    return {
        "text": stream.getvalue(),
        "json": render.to_json([report]),
        "jsonl": render.to_json([report], lines=True),
        "csv": to_csv([report]),
        "sarif": to_sarif([report], [text], scorer.book),
        "html": to_html(scorer, [(text, report)]),
    }


@settings(max_examples=150, deadline=None)
@given(HOSTILE, st.sampled_from([None, *NASTY]))
def test_any_text_gives_a_report_that_every_format_can_carry(scorer: Scorer, text: str, source: str | None) -> None:
    report = scorer.score(text, source=source)
    for hit in (*report.flags, *report.discounted, *report.legitimacy):
        assert text[hit.start : hit.end] == hit.text
    found = outputs(scorer, text, report)
    for name, output in found.items():
        output.encode("utf-8")  # lone surrogates would not go
        controls = [c for c in output if not c.isprintable() and c not in "\n\t\u2028\u2029 \x85\xa0" and not c.isspace()]
        if name == "text":
            assert controls == [], "a terminal would obey it"
    assert json.loads(found["json"]) == json.loads(found["jsonl"]) == report.to_dict()
    assert Report.from_dict(json.loads(found["json"])) == report
    json.loads(found["sarif"])
    assert len(list(csv.reader(io.StringIO(found["csv"])))) == 2
    body = found["html"].removeprefix("<!DOCTYPE html>")
    assert "<script" not in body.lower()
    assert "onerror=y>" not in body


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | HOSTILE.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused_with_a_sentence(data: bytes) -> None:
    try:
        text = extract(data, "page").text
    except InputError as error:
        text = str(error)
        assert text.startswith("page: ")
    assert text.strip()


FIELDS = st.sampled_from(["id", "text", "label", "spans", "hard", "origin", "tone", "span_read"])
VALUES = st.sampled_from(
    ["", "x", 1, None, [], {}, [{}], [1], "clean", True, [{"flag": 1, "start": 0, "end": 2, "stance": []}], "\ud800"]
)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.dictionaries(FIELDS, VALUES))
def test_any_line_of_a_corpus_is_read_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, fields: dict[str, object]
) -> None:
    file = tmp_path_factory.mktemp("corpus") / "labelled.jsonl"
    good = {"id": "1", "text": "Our cells cure ALS.", "label": "redflag", "stratum": "ad", "group": "g"}
    for content in (data, json.dumps({**good, **fields}).encode()):
        file.write_bytes(content)
        with suppress(CorpusError):
            assert corpus.sha256(corpus.read(file))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such file names")
@pytest.mark.parametrize("kind", Format)
def test_a_file_name_that_is_no_text_and_would_steer_the_terminal(run: Run, tmp_path: Path, kind: Format) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[31m<b>&.txt")
    (tmp_path / name).write_text(SALE, "utf-8")
    for arguments in (["--format", kind, "--output", "report"], ["--format", kind]):
        done = run("score", name, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        assert b"\x1b" not in done.stdout
        assert done.stderr == b""
    assert (tmp_path / "report").read_text("utf-8")
    missing = run("score", name + "x", cwd=tmp_path)
    assert missing.returncode == 2
    assert b"no such file" in missing.stderr
    assert b"\x1b" not in missing.stderr


def test_texts_above_the_limit_are_refused(run: Run, scorer: Scorer, tmp_path: Path) -> None:
    assert Scorer.max_chars == MAX_CHARS
    (tmp_path / "page.txt").write_text(SALE, "utf-8")
    refused = run("score", "page.txt", "--max-chars", str(len(SALE) - 1), cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == b""
    assert b"page.txt: the text has 60 characters; at most 59 are read; score its pages one by one" in refused.stderr
    assert run("score", "page.txt", "--max-chars", str(len(SALE)), cwd=tmp_path).returncode == 0

    long = Scorer(scorer.trained)
    long.max_chars = 59
    report = long.score(SALE, source="page")
    assert (report.score, report.reason) == (None, "the text has 60 characters; at most 59 are read")
    assert str(report.verdict) == "insufficient"
    assert [r.score for r in long.score_many([SALE] * 2, n_jobs=2)] == [None, None]


def test_rules_of_another_folder_are_checked_and_used(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)
    assert b"cure-claim" in run("rules", "cure-claim", "--rules", folder).stdout
    assert run("rules", "cure-claim", "--rules", folder, "--test").returncode == 0
    rule = folder / "outcome_promises" / "cure-claim.yaml"
    rule.write_text("!!python/object/apply:os.system ['touch executed']", "utf-8")
    for command in (["rules"], ["rules", "--test"], ["train", "--data", ROOT / "data", "--output", tmp_path / "out"]):
        done = run(*command, "--rules", folder, cwd=tmp_path)
        assert done.returncode == 2
        assert b"cure-claim.yaml: is no valid YAML" in done.stderr
        assert b"Traceback" not in done.stderr
    assert not (tmp_path / "executed").exists()
    assert run("rules", "--rules", tmp_path / "nowhere").returncode == 2


def test_a_page_about_escaping_is_well_formed_where_it_matters(scorer: Scorer) -> None:
    """Attributes and elements of the evidence are read back as what stood in the text."""
    text = SALE.replace("guaranteed", "<b title='x'>guaranteed</b> & \"sure\"")
    page = to_html(scorer, [(text, scorer.score(text))])
    quotes = [part.split("</q>")[0] for part in page.split("<q>")[1:]]
    assert any("guaranteed" in "".join(ElementTree.fromstring(f"<q>{quote}</q>").itertext()) for quote in quotes)
    assert "<b title" not in page
