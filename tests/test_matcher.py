"""The matcher with its prefilter against the same patterns on every sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from als_redflags import corpus
from als_redflags.matcher import RuleMatcher
from als_redflags.rulebook import RuleBook
from als_redflags.stance import StanceReader
from als_redflags.text import Document
from tests.conftest import ROOT

DOCUMENTS = corpus.read(ROOT / "data")
WORDS = sorted({word for document in DOCUMENTS[::25] for word in document.text.split()})


def everything(matcher: RuleMatcher, document: Document) -> dict[int, set[tuple[object, ...]]]:
    """Matches by sentence, with every chain tried on every sentence."""
    found = {}
    for where in range(len(document.sentences)):
        matches = matcher.match_all(document, where)
        kept = {(m.owner, m.parts) for kind in matches.matches for m in matches.of(kind)}
        if kept:
            found[where] = kept
    return found


def prefiltered(matcher: RuleMatcher, document: Document) -> dict[int, set[tuple[object, ...]]]:
    return {f.sentence: {(m.owner, m.parts) for kind in f.matches for m in f.of(kind)} for f in matcher.sentences(document)}


def check(matcher: RuleMatcher, text: str) -> None:
    document = Document.of(text)
    quick, plain = prefiltered(matcher, document), everything(matcher, document)
    for where, matches in quick.items():
        assert matches == plain[where], document.text
    for where in plain.keys() - quick.keys():
        assert not {owner[0] for owner, _ in plain[where]} & {"rule", "spread", "topic", "named", "present", "absent"}


@pytest.mark.parametrize("document", DOCUMENTS[::20], ids=lambda d: d.id)
def test_nothing_is_missed_on_the_corpus(reader: StanceReader, document: corpus.LabelledDocument) -> None:
    check(reader.matcher, document.text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_nothing_is_missed_on_random_words(reader: StanceReader, text: str) -> None:
    check(reader.matcher, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(reader: StanceReader, text: str) -> None:
    document = Document.of(text)
    for finding in reader.read(document).all:
        start, end = document.to_source(finding.start, finding.end)
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("It costs $7,500 today", {"money", "fee"}),
        ("from USD 12k a visit", {"money", "fee"}),
        ("5.000 \u20ac per cycle", {"money", "fee"}),
        ("a $15 copay", {"money"}),
        ("Rs 1,50,000 for a cycle", {"money"}),
        ("a fine of $5.15 million was paid", {"money"}),
        ("87 % of patients", {"percent"}),
        ("eighty per cent improved", {"percent"}),
        ("NCT01234567 is open", {"registry"}),
        ("nothing at all", set()),
    ],
)
def test_shapes(reader: StanceReader, text: str, shapes: set[str]) -> None:
    found = reader.matcher.match_all(Document.of(text), 0)
    assert {"money", "fee", "percent", "registry"} & found.entries.keys() == shapes


def test_an_acronym_is_one_in_capitals_only(book: RuleBook, reader: StanceReader) -> None:
    found = {text: reader.matcher.match_all(Document.of(text), 0).entries for text in ("He has ALS now", "Dies ist mehr als gut")}
    assert "disease_als" in found["He has ALS now"]
    assert "disease_als" not in found["Dies ist mehr als gut"]
