"""The report as a page: whole, escaped, with every passage in its place. How it looks in a browser is in test_browser.py."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags import Scorer
from als_redflags.highlight import Passage, Piece, paragraphs
from als_redflags.html_report import PARTS, STANCE_REASON, stylesheet, to_html
from als_redflags.rulebook import STANCES
from als_redflags.scorer import sigmoid
from tests.conftest import ROOT, Run

EXAMPLES = sorted((ROOT / "examples").glob("*.txt"))
SALE = "Our stem cells cure ALS, no side effects, guaranteed.\n\nBook your place on WhatsApp, only $19,500!"
HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><svg onload=alert(1)>
Our stem cells cure ALS <b onmouseover="window.hacked = 3">guaranteed</b>, 'no risk'; only $19,500 \u202e desrever \u202c here.
</p></div></main></style><style>body { display: none }</style><base href="//evil.example/">{{ 7 * 7 }} &lt;i&gt;
\x00\x1b[31m\x07 \ud800
\u05e9\u05dc\u05d5\u05dd: our patients with ALS walk again after our stem cells. javascript:alert(1) http://evil.example/x.gif
"""
VOID = {"meta", "br", "img", "input", "link", "base", "hr"}


class Page(HTMLParser):
    """What a page holds: elements with their attributes, its visible text, and whether its tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(attribute)) is not None]


def page_of(scorer: Scorer, *texts: str, source: str | None = None) -> Page:
    return Page(to_html(scorer, [(text, scorer.score(text, source=source)) for text in texts]))


@pytest.mark.parametrize(
    "texts",
    [
        *([path.read_text("utf-8")] for path in EXAMPLES),
        [path.read_text("utf-8") for path in EXAMPLES],
        [HOSTILE], ["???"], [SALE, "???", SALE],
    ],
    ids=lambda texts: f"{len(texts)} {texts[0][:12]!r}",
)  # fmt: skip
def test_every_page_is_whole(scorer: Scorer, texts: list[str]) -> None:
    page = page_of(scorer, *texts)
    assert page.open == [], "every element is closed"
    ids = page.values("id")
    assert len(ids) == len(set(ids)), "no place has the name of another"
    inner = [href[1:] for href in page.values("href") if href.startswith("#")]
    assert set(inner) <= set(ids), "every link on the page leads somewhere"
    assert all(re.match(r"#|https?://|mailto:ocod@fda\.hhs\.gov$", href) for href in page.values("href"))
    assert len([tag for tag, _ in page.elements if tag == "h1"]) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level of heading is left out"


def test_nothing_of_the_text_becomes_part_of_the_page(scorer: Scorer) -> None:
    page = page_of(scorer, HOSTILE, source='"><script>alert(1)</script>\u202e.txt')
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "b", "base", "i", "iframe", "object", "form", "link"})
    assert len([tag for tag, _ in page.elements if tag == "style"]) == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">' in page.said
    assert "{{ 7 * 7 }} &lt;i&gt;" in page.said
    assert not re.search("[\x00\x07\x1b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page.said + "".join(page.values("title")))
    assert "[U+202E] desrever" in page.said, "a character that turns the text round is shown instead"


def test_the_page_forbids_scripts_and_loads_nothing(scorer: Scorer) -> None:
    page = page_of(scorer, SALE)
    (policy,) = [a["content"] or "" for tag, a in page.elements if tag == "meta" and a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert page.values("src") == []
    assert "url(" not in stylesheet()
    assert "@import" not in stylesheet()


def test_flags_are_explained(scorer: Scorer) -> None:
    report = scorer.score(SALE)
    page = page_of(scorer, SALE)
    for flag in report.flags:
        rule = scorer.book.rules[flag.id]
        for shown in (rule.title, rule.why, *(s.organisation for s in rule.sources), *(s.url for s in rule.sources)):
            assert shown in page.said
    assert all(step.split(":")[0] in page.said for step in report.next_steps)
    assert all(warning in page.said for warning in report.warnings)


def test_discounted_passages_give_their_reason(scorer: Scorer) -> None:
    page = page_of(scorer, (ROOT / "examples" / "regulator_warning.txt").read_text("utf-8"))
    assert "No red flag is stated." in page.said
    assert "not counted: warned" in page.said
    assert "Not counted because the text warns of it (Be wary if a clinic)." in page.said
    assert "mark" not in {tag for tag, _ in page.elements}, "nothing is marked as a claim"


def test_the_bars_add_up_to_the_score(scorer: Scorer) -> None:
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        report = scorer.score(text)
        page = page_of(scorer, text)
        table = page.said.split("How the score comes about")[-1]
        *parts, total = [float(v.replace("\u2212", "-")) for v in re.findall(r"^[+\u2212]?\d+\.\d\d$", table, re.MULTILINE)]
        assert len(parts) == len([value for value in (report.contributions or {}).values() if value])
        assert sum(parts) == pytest.approx(total, abs=0.005 * len(parts) + 0.005), "up to rounding to two digits"
        assert sigmoid(total) == pytest.approx(report.score, abs=0.005)


def test_flags_for_what_is_left_out_mark_no_words(scorer: Scorer) -> None:
    text = (ROOT / "examples" / "clinic.txt").read_text("utf-8")
    absent = [flag for flag in scorer.score(text).flags if scorer.book.rules[flag.id].by_absence]
    page = page_of(scorer, text)
    assert absent
    assert "What the page leaves out" in page.said
    numbers = {a["value"] for tag, a in page.elements if tag == "li" and "value" in a}
    marked = {
        a["href"].rpartition("-")[2] for tag, a in page.elements if tag == "a" and "flag " in (a.get("title") or "") and a["href"]
    }
    assert len(numbers - marked) == len(absent)


def test_names_for_everything_a_report_can_hold(scorer: Scorer) -> None:
    assert set(STANCE_REASON) == set(STANCES)
    contributions = scorer.score(SALE).contributions or {}
    assert {name for name in contributions if name not in scorer.book.rules} == set(PARTS)
    families = {f".f-{family.replace('_', '-')} {{" for family in scorer.book.families}
    assert {family for family in families if family not in stylesheet()} == set()


def test_several_texts_have_a_table_with_the_highest_score_first(scorer: Scorer) -> None:
    page = page_of(scorer, "Riluzole helps people with ALS to live longer, doctors say.", SALE)
    table = page.said.split("The highest score first")[1]
    assert table.index("HIGH") < table.index("LOW")
    assert [href for href in page.values("href") if re.fullmatch(r"#r\d-top", href)] == ["#r2-top", "#r1-top"]


def test_a_text_that_cannot_be_judged(scorer: Scorer) -> None:
    page = page_of(scorer, "<b>???")
    assert "cannot be judged: the text has" in page.said
    assert "<b>???" in page.said
    assert "svg" not in {tag for tag, _ in page.elements}, "there is no score to draw"


def test_more_passages_than_a_browser_bears(scorer: Scorer) -> None:
    text = SALE + "\n"
    report = scorer.score(text)
    many = replace(report, flags=tuple(flag for flag in report.flags for _ in range(3000)))
    page = Page(to_html(scorer, [(text, many)]))
    marks = [a for tag, a in page.elements if tag == "a" and "chip" in (a.get("class") or "")]
    assert len(marks) == 5000
    assert f"{len(many.flags) - 5000} passages are counted but not marked" in page.said
    inner = {href[1:] for href in page.values("href") if href.startswith("#")}
    assert inner <= set(page.values("id")), "what the list leads to is marked"


# --- passages that nest and overlap


def passage(start: int, end: int, rank: int, claimed: bool = True, style: str = "f-a") -> Passage:
    return Passage(start, end, claimed, style, str(rank), "", f"a{rank}", f"t{rank}", rank, True)


def drawn(pieces: list[Piece]) -> str:
    """Pieces as a drawing: ``<1`` where passage 1 begins, ``1>`` where it ends."""
    return "".join(
        "".join(f"<{p.rank}" for p in piece.begins) + piece.text + "".join(f"{p.rank}>" for p in piece.ends) for piece in pieces
    )


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], "abcdef"),
        ([(0, 6)], "<1abcdef1>"),
        ([(1, 3), (3, 5)], "a<1bc1><2de2>f"),
        ([(1, 5), (2, 4)], "a<1b<2cd2>e1>f"),
        ([(0, 3), (1, 5)], "<1a<2bc1>de2>f"),
        ([(1, 4), (1, 4)], "a<1<2bcd1>2>ef"),
        ([(5, 6), (0, 1)], "<2a2>bcde<1f1>"),
    ],
)
def test_overlaps(spans: list[tuple[int, int]], expected: str) -> None:
    found = paragraphs("abcdef", [passage(*span, rank) for rank, span in enumerate(spans, start=1)])
    assert [drawn(pieces) for pieces in found] == [expected]


def test_the_gravest_passage_is_outermost_and_a_claim_outweighs_a_mention() -> None:
    mention = passage(0, 6, 9, claimed=False, style="not-counted")
    (pieces,) = paragraphs("abcdef", [mention, passage(2, 4, 1)])
    assert [(piece.text, piece.claimed, piece.styles) for piece in pieces] == [
        ("ab", False, ("not-counted",)),
        ("cd", True, ("f-a", "not-counted")),
        ("ef", False, ("not-counted",)),
    ]


@pytest.mark.parametrize("span", [(0, 0), (3, 2), (-1, 2), (2, 7)])
def test_a_passage_outside_the_text_is_an_error(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is empty or outside a text of 6 characters"):
        paragraphs("abcdef", [passage(*span, 1)])


@given(st.data())
def test_pieces_are_the_text_and_cover_what_the_passages_cover(data: st.DataObject) -> None:
    text = data.draw(st.text(st.sampled_from("ab \n\r"), max_size=30))
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda span: span[0] < span[1])
    drawn_spans = data.draw(st.lists(spans, max_size=6)) if text else []
    passages = [passage(start, end, rank) for rank, (start, end) in enumerate(drawn_spans)]
    pieces = [piece for paragraph in paragraphs(text, passages) for piece in paragraph]
    assert "".join(piece.text for piece in pieces) == text
    position = 0
    for piece in pieces:
        covering = {p for p in passages if p.start <= position < p.end}
        assert set(piece.inside) == covering
        assert set(piece.begins) == {p for p in passages if p.start == position}
        position += len(piece.text)
        assert set(piece.ends) == {p for p in passages if p.end == position}


# --- the command


def test_command(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = run("score", "examples/clinic.txt", "--format", "html", "--output", file)
    assert (done.returncode, done.stdout) == (0, b"")
    assert "examples/clinic.txt" in Page(file.read_text("utf-8")).said
    assert run("score", "examples/clinic.txt", "--format", "html").stdout == file.read_bytes(), "the same page every time"


def test_several_inputs_with_names_that_lead_elsewhere_give_one_file(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    (tmp_path / "..x.txt").write_text(SALE, "utf-8")
    (folder / "<img src=x onerror=alert(1)>.txt").write_text(SALE, "utf-8")
    names = ["../..x.txt", "<img src=x onerror=alert(1)>.txt", str(tmp_path / "..x.txt")]
    done = run("score", *names, "--format", "html", "--output", "../out/report.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["..x.txt", "in", "out"], "no name of an input became a path"
    page = Page((out / "report.html").read_text("utf-8"))
    assert all(name in page.said for name in names)
    assert "img" not in {tag for tag, _ in page.elements}
