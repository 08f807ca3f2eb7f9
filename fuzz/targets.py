"""What is fuzzed: each target takes bytes, and raises only if something is wrong that no input may cause."""

import csv
import io
import json
import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from rich.console import Console

from als_redflags import Report, Scorer, corpus, render
from als_redflags.errors import CorpusError, InputError, RuleError
from als_redflags.html_report import to_html
from als_redflags.patterns import parse
from als_redflags.readers import decode
from als_redflags.sarif import to_sarif
from als_redflags.spreadsheet import to_csv
from als_redflags.text import Document, clean

# Words that rules, cues and blocks look for: random letters would meet none of them.
PIECES = (
    'our stem cells |cure |ALS |guaranteed |not |no risk |? |. |\n|\n\n|- |: |"|$19,500 |87% of patients |improved |the FDA '
    "warns |that |clinics |claim |may |in mice |trial |NCT01234567 |book now |call us |exosomes |we |without |however |; |free "
    "|would |reverse |stop the progression |disease |a@b.example |www.x.example |isn't |cannot |1) |# |* |MS, autism and "
    "|(|)|... |!!! |\u201c|\u201d|\u2022 |\u00ad|\u200b|\ufb01|\u0130|\U0001d400|<b>|</b>|<script>|[x](y)|=1+1|\x1b[31m|\0|\r\n"
    "|warning signs:\n|do not believe |she walks again |doctors |approved |years ago |if |insurance |deposit |Tijuana |\ud800"
).split("|")


@cache
def scorer() -> Scorer:
    return Scorer.load()


def text_of(data: bytes) -> str:
    """Bytes as text: by the first of them letter for letter, or one of ``PIECES`` for each."""
    if data[:1] < b"\x60":
        return data[1:].decode("utf-8", "surrogateescape")
    return "".join(PIECES[byte % len(PIECES)] for byte in data[1:])


def cleaning(data: bytes) -> None:
    source = text_of(data)
    text, offsets = clean(source)
    assert clean(text)[0] == text, "cleaning twice changes something"
    document = Document.of(source)
    assert len(document.lower) == len(document.text)
    end = 0
    for number, sentence in enumerate(document.sentences):
        assert end <= sentence.start < sentence.end <= document.blocks[sentence.block].end
        end = sentence.end
        for span in document.word_spans(number):
            start, finish = offsets.to_source(*span)
            assert 0 <= start < finish <= len(source)


def readers(data: bytes) -> None:
    with suppress(InputError):
        assert decode(data, "page").strip()


def rules(data: bytes) -> None:
    text = text_of(data)
    report = scorer().score(text)
    for hit in (*report.flags, *report.discounted, *report.legitimacy):
        assert text[hit.start : hit.end] == hit.text
        assert hit.text
    if report.score is not None and report.contributions is not None:
        assert 0 < report.score < 1
        logit = math.fsum(report.contributions.values())
        assert abs(math.log(report.score / (1 - report.score)) - logit) < 1e-6


def reports(data: bytes) -> None:
    text = text_of(data)
    report = scorer().score(text, source=text[:40] or None)
    stream = io.StringIO()
    render.print_report(Console(file=stream, width=80), report, scorer().book, show_discounted=True)
    assert "\x1b" not in stream.getvalue()
    parsed = json.loads(render.to_json([report]))
    assert Report.from_dict(parsed) == report
    json.loads(to_sarif([report], [text], scorer().book))
    assert len(list(csv.reader(io.StringIO(to_csv([report]))))) == 2
    page = to_html(scorer(), [(text, report)])
    page.encode()
    assert "<script" not in page.lower()


def labelled(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.jsonl"
        file.write_bytes(data)
        with suppress(CorpusError):
            documents = corpus.read(file)
            corpus.sha256(documents)
            corpus.problems(documents)


def patterns(data: bytes) -> None:
    with suppress(RuleError):
        for chain in parse.__wrapped__(data.decode("utf-8", "replace")):
            assert len(chain.segments) == len(chain.gaps)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (cleaning, readers, rules, reports, labelled, patterns)
}
