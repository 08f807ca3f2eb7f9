"""Saved web pages to the text that their visitors read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags import Scorer
from als_redflags.html_text import html_text
from als_redflags.readers import read_page
from als_redflags.text import Document
from tests.conftest import ROOT

PAGES = ROOT / "tests" / "fixtures" / "html"
CASES = [json.loads(line) for line in (PAGES / "index.jsonl").read_text("utf-8").splitlines()]


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_whole_pages(scorer: Scorer, case: dict[str, Any]) -> None:
    """The fixtures in ``index.jsonl``: what has to stay, what has to go, and the verdict."""
    page = read_page(PAGES / case["file"])
    text = squeezed(page.text)
    assert [wanted for wanted in case["keep"] if squeezed(wanted) not in text] == []
    assert [furniture for furniture in case["drop"] if squeezed(furniture) in text] == []
    assert page.kind == "html"
    report = scorer.score(page.text)
    assert (str(report.verdict) == "low") is (case["label"] == "clean")
    for flag in report.flags:
        assert page.text[flag.start : flag.end] == flag.text


def test_every_fixture_is_in_the_index() -> None:
    assert sorted(case["file"] for case in CASES) == sorted(path.name for path in PAGES.glob("*.html"))


MENU = "".join(f'<li><a href="/{i}">{word}</a></li>' for i, word in enumerate(("Home", "Team", "Prices", "Contact")))

SNIPPETS = {
    "headings and paragraphs between blank lines": (
        "<h2>Our cells</h2><p>They cure.<p>Call us.",
        "Our cells\n\nThey cure.\n\nCall us.",
    ),
    "list items": ("<p>We treat<ul><li>ALS<li><p>MS</p><li>\u2022 autism</ul>", "We treat\n\n- ALS\n- MS\n- autism"),
    "cells are lines": ("<table><tr><th>Dose<th>Price<tr><td>One<td>$9,000</table>", "Dose\nPrice\nOne\n$9,000"),
    "line breaks": ("<p>one<br>two<br><br>three</p>", "one\ntwo\n\nthree"),
    "no line break in a heading": ("<h1>ALS<br>stopped</h1>", "ALS stopped"),
    "a pre block keeps its lines": ("<pre>one\n  two</pre>", "one\ntwo"),
    "inline tags make no space": ("<p>un<b>proven</b> c<font color=red>ell</font>s</p>", "unproven cells"),
    "unknown tags in a sentence are inline": ("<p>in <st1:city>Lima</st1:city>, <x-note>Peru</x-note>.</p>", "in Lima, Peru."),
    "two buttons stand apart": ("<div><a href=1>Book now</a><a href=2>Call us</a></div>", "Book now Call us"),
    "two words of a layout stand apart": ("<h2><span>Stem</span><span>Cells</span></h2>", "Stem Cells"),
    "entities, also those of Windows": ("<p>R&amp;D &#147;cure&#148; &euro;5&nbsp;000", "R&D \u201ccure\u201d \u20ac5 000"),
    "scripts and styles": ("<style>p{}</style><p>a1</p><script>'<p>b2</p>'</script><noscript>c3</noscript>", "a1"),
    "comments, also odd ones": ("<!-- <p>a1 --><p>b2</p><!--><p>c3</p><!-- d4", "b2\n\nc3"),
    "alt texts follow their block": ("<p>See <img alt='nerve cells growing back'>here", "See here\n\nnerve cells growing back"),
    "file names and single words are no alt texts": ("<p>See</p><img alt='team photo 1.jpg'><img alt=logo>", "See"),
    "hidden text": ("<p>a1 <span style='display: none'>b2</span>c3</p><div hidden>d4</div><p class=sr-only>e5</p>", "a1 c3"),
    "an answer that opens": ("<p>a1</p><h3>b2</h3><div style='display:none'>c3</div><p>d4", "a1\n\nb2\n\nc3\n\nd4"),
    "responsive classes hide nothing": ("<p>a1</p><div class='hidden md:block'>b2</div>", "a1\n\nb2"),
    "an element that moves in": ("<p>a1</p><p style='visibility: hidden; animation-name: none'>b2</p>", "a1\n\nb2"),
    "small buttons": ("<p>a1</p><button>Send</button><button>Is it safe?</button>", "a1\n\nIs it safe?"),
    "page builders' leftovers": ("<p>[vc_row el_class='x']Our cells {{ cta }}cure[/vc_row]</p>", "Our cells cure"),
    "a menu without a name": (f"<div><ul>{MENU}</ul></div><p>We cure.", "We cure."),
    "a menu on one line": (
        "<div><a href=1>A1</a> | <a href=2>B2</a> | <a href=3>C3</a> | <a href=4>D4</a></div><p>We cure.",
        "We cure.",
    ),
    "links under a heading that says what they are": (
        f"<h2>What we treat</h2><ul>{MENU}</ul>",
        "What we treat\n\n- Home\n- Team\n- Prices\n- Contact",
    ),
    "links to other articles": (
        "<p>We cure.</p><h3>Read next</h3><p><a href=1>Why cells fail</a></p><p><a href=2>Ten cures</a>",
        "We cure.",
    ),
    "a slide and its copy": ("<p>I could walk again after only two weeks.</p>" * 2, "I could walk again after only two weeks."),
    "the end of the page is not the end": ("<p>a1</p></body></html><p>b2", "a1\n\nb2"),
    "the card's footer holds the price": (
        "<div class=card><p>One dose</p><div class=card-footer>$900</div></div>",
        "One dose\n\n$900",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "text"), SNIPPETS.values(), ids=SNIPPETS)
def test_snippets(source: str, text: str) -> None:
    assert html_text(source).text == text


PROSE = "<p>Our doctors have treated many hundreds of patients with young cells from the cord.</p>" * 3
NOTICE = "This page has not been reviewed by any authority, and results differ."

PARTS = {
    "nav": (f"<nav>{NOTICE}</nav>", False),
    "role": (f"<div role=navigation>{NOTICE}</div>", False),
    "cookie bar by its name": (f"<div class='site-cookieBar'>{NOTICE}</div>", False),
    "cookie bar by its words": ("<div>We use cookies. Read our policy. This page has not been reviewed.</div>", False),
    "small dialog": (f"<div role=dialog>{NOTICE}</div>", False),
    "comments": (f"<div id=comments>{NOTICE}</div>", False),
    "sentence in the footer": (f"<footer>{NOTICE}</footer>", True),
    "sentence in the sidebar": (f"<div class=sidebar>{NOTICE}</div>", True),
    "sentence in a form": (f"<form>{NOTICE}</form>", True),
    "informed consent is no consent bar": (f"<section id=informed-consent>{NOTICE}</section>", True),
    "rights": (f"<p>\u00a9 2024 {NOTICE}</p>", False),
}


@pytest.mark.parametrize(("part", "kept"), PARTS.values(), ids=PARTS)
def test_parts_of_a_page(part: str, kept: bool) -> None:
    text = html_text(PROSE + part).text
    assert "many hundreds of patients" in text
    assert ("has not been reviewed" in text) is kept


def test_a_part_that_is_most_of_the_page_is_the_page_whatever_its_name() -> None:
    assert html_text(f"<form class='popup sidebar'><b>$9,000 a dose</b>{PROSE}</form>").text.startswith("$9,000 a dose")


def test_outside_of_main_only_sentences_count() -> None:
    main = f"<main><p>$9,000 a dose</p>{PROSE}</main>"
    text = html_text(f"<p>Cells &amp; Co</p><h1>ALS</h1>{main}<p>{NOTICE}</p>").text
    assert text.startswith("ALS\n\n$9,000 a dose")
    assert text.endswith(NOTICE)


def test_the_whole_text_is_read_where_no_main_part_is_found() -> None:
    page = html_text("<nav><p>Cures since 1999</p><p>We sell cells to all the world</p></nav>" * 3)
    assert page.text.startswith("Cures since 1999")
    assert page.notes == ("no main part was found in the page; all of its visible text was read, menus too",)


def test_a_page_made_by_scripts_is_said_to_be_one() -> None:
    page = html_text("<title>Cells</title><div id=root>Loading</div><script src=app.js></script>")
    assert page.title == "Cells"
    assert "builds its text with scripts" in page.notes[0]


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 100_000 + "Our cells cure",
        "<p><font size=1>" * 100_000 + "Our cells cure",
        "<ul><li>" * 50_000 + "Our cells cure",
        "<div " + " ".join(f"a{i}" for i in range(100_000)) + ">Our cells cure",
        "<div " + " ".join(f"a{i}=1" for i in range(100_000)) + ">Our cells cure",
    ],
    ids=["nested", "unclosed", "lists", "attributes", "attributes with values"],
)
def test_markup_that_is_too_wild_is_stripped(source: str) -> None:
    page = html_text(f"<title>A &amp; B</title>{source}")
    assert (page.text, page.title) == ("Our cells cure", "A & B")
    assert "too wildly" in page.notes[0]


TAGS = "p div b table tr td ul li a script style h1 h2 br pre nav button svg form main body html o:p title select"
TOKENS = st.sampled_from(
    [f"<{tag}>" for tag in TAGS.split()]
    + [f"</{tag}>" for tag in TAGS.split()]
    + [
        "<a href=x>",
        "<img alt='one two three'>",
        "<div hidden>",
        "<i class=",
        "<!--",
        "-->",
        "<a",
        "<",
        ">",
        "'",
        '"',
        "=",
        "&amp",
        "&#",
    ]
    + [" ", "\n", "\u00a0", "cells", "cure!", "stem"]
)


@given(st.lists(TOKENS, max_size=60))
def test_any_soup_is_read(tokens: list[str]) -> None:
    text = html_text("".join(tokens)).text
    assert text == text.strip()
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]\n|\n[ \t]", text)


@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12), min_size=1, max_size=30))
def test_plain_paragraphs_come_through_whole(words: list[str]) -> None:
    assert html_text(f"<p>{' '.join(words)}</p>").text.split() == " ".join(words).split()


def test_the_scorer_sees_the_structure() -> None:
    text = html_text("<h2>Claims to be wary of</h2><ul><li>Guaranteed improvement</li><li>No side effects</li></ul>").text
    document = Document.of(text)
    assert [(block.kind, block.governor) for block in document.blocks] == [("heading", None), ("item", 0), ("item", 0)]


def test_the_line_of_a_flag_is_that_of_the_shown_text(run: Any) -> None:
    page = Path("tests/fixtures/html/price_cards.html")
    report = json.loads(run("score", page, "--format", "json").stdout)
    shown = run("score", page, "--show-text").stdout.decode().splitlines()
    numbered = {int(line[:5]): line[7:] for line in shown if re.match(r" *\d+  ", line[:7])}
    assert report["flags"]
    for flag in report["flags"]:
        assert flag["text"].split("\n")[0] in numbered[flag["line"]]
