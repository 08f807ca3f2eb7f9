"""The matcher against spaCy's own Matcher, given the same patterns and every token."""

from itertools import pairwise, product
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.matcher import Matcher
from spacy.tokens import Doc

from als_redflags import corpus
from als_redflags.compiled import Tables, compile_rules
from als_redflags.matcher import RuleMatcher, SentenceMatches
from als_redflags.rulebook import RuleBook
from als_redflags.shapes import shapes
from als_redflags.stance import StanceReader
from als_redflags.text import Document
from tests.conftest import ROOT

DOCUMENTS = corpus.read(ROOT / "data")
WORDS = sorted({word for document in DOCUMENTS[::25] for word in document.text.split()})
VOCAB = spacy.blank("en").vocab
Found = set[tuple[str, str, tuple[tuple[int, int], ...]]]


class Plain:
    """The compiled rules, applied without any shortcut: every segment is given to spaCy's Matcher."""

    def __init__(self, book: RuleBook) -> None:
        self.tables: Tables = compile_rules(book)
        self.entries: dict[int, set[tuple[tuple[str, ...], bool]]] = {}
        for words, labels, capitals in self.tables.entries:
            for label in labels + capitals:
                self.entries.setdefault(label, set()).add((tuple(words.split(" ")), label in capitals))

    def spans(self, document: Document, where: int) -> dict[int, list[tuple[int, int]]]:
        """Where the entries of each label stand."""
        words, spans = document.words[where], document.word_spans(where)
        found: dict[int, list[tuple[int, int]]] = {}
        for label, entries in self.entries.items():
            for entry, in_capitals in entries:
                for start in range(len(words) - len(entry) + 1):
                    end = start + len(entry)
                    surface = "".join(document.text[a:b] for a, b in spans[start:end])
                    if tuple(words[start:end]) == entry and (not in_capitals or surface.isupper()):
                        found.setdefault(label, []).append((start, end))
        sentence = document.sentences[where]
        for name, start, end in shapes(document.lower, sentence.start, sentence.end):
            if name in self.tables.labels:
                touched = [i for i, (a, b) in enumerate(spans) if a < end and start < b]
                if touched:
                    found.setdefault(self.tables.labels.index(name), []).append((touched[0], touched[-1] + 1))
        return found

    def matches(self, document: Document, where: int) -> Found:
        words = document.words[where]
        surface = [document.text[a:b] for a, b in document.word_spans(where)]
        entries = self.spans(document, where)
        segments: dict[int, list[tuple[int, int]]] = {}
        found: Found = set()
        for kind, name, numbers, gaps, _ in self.tables.chains:
            for number in numbers:
                if number not in segments:
                    segments[number] = self.segment(number, words, surface, entries)
            if all(segments[number] for number in numbers):
                found |= {(kind, name, parts) for parts in _chains([segments[n] for n in numbers], gaps)}
        return found

    def segment(
        self, number: int, words: list[str], surface: list[str], entries: dict[int, list[tuple[int, int]]]
    ) -> list[tuple[int, int]]:
        """Spans of a segment; a label stands for any of its entries in the sentence, as they are written there."""
        options: list[list[list[dict[str, Any]]]] = []
        for element in self.tables.segments[number]:
            if isinstance(element, int):
                texts = {tuple(words[start:end]) for start, end in entries.get(element, ())}
                options.append([[{"LOWER": word} for word in text] for text in sorted(texts)])
            else:
                options.append([[{"LOWER": {"IN": element}}]] if not set(element).isdisjoint(words) else [])
        patterns = [[token for part in choice for token in part] for choice in product(*options)]
        if patterns and number in self.tables.raw:
            patterns = [self.tables.raw[number]]
        if not patterns:
            return []
        matcher = Matcher(VOCAB)
        matcher.add("segment", patterns, greedy="LONGEST")
        return sorted((start, end) for _, start, end in matcher(Doc(VOCAB, words=surface)))


def _chains(spans: list[list[tuple[int, int]]], gaps: list[int]) -> Found:
    """Of all ways to follow the segments within the gaps the first for each beginning."""
    first: dict[tuple[int, int], Any] = {}
    for parts in product(*spans):
        if all(a[1] <= b[0] <= a[1] + gap for (a, b), gap in zip(pairwise(parts), gaps[1:], strict=True)):
            first.setdefault(parts[0], parts)
    return set(first.values())


@pytest.fixture(scope="module")
def plain(book: RuleBook) -> Plain:
    return Plain(book)


def check(matcher: RuleMatcher, plain: Plain, text: str) -> None:
    document = Document.of(text)
    for where in range(len(document.sentences)):
        sentence = SentenceMatches(matcher, document, where)
        found = {(kind, m.owner[1], m.parts) for kind in matcher.kinds for m in sentence.of(kind)}
        expected = plain.matches(document, where)
        assert found ^ expected == set(), document.text[document.sentences[where].start : document.sentences[where].end]


@pytest.mark.parametrize("document", DOCUMENTS[::250], ids=lambda d: d.id)
def test_it_finds_what_spacy_finds_on_the_corpus(reader: StanceReader, plain: Plain, document: corpus.LabelledDocument) -> None:
    check(reader.matcher, plain, document.text)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_it_finds_what_spacy_finds_on_random_words(reader: StanceReader, plain: Plain, text: str) -> None:
    check(reader.matcher, plain, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(reader: StanceReader, text: str) -> None:
    document = Document.of(text)
    for finding in reader.read(document).all:
        start, end = document.to_source(finding.start, finding.end)
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    ("text", "shapes_expected"),
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
def test_shapes(text: str, shapes_expected: set[str]) -> None:
    document = Document.of(text)
    sentence = document.sentences[0]
    found = {name for name, _, _ in shapes(document.lower, sentence.start, sentence.end)}
    assert found - {"number", "thousands"} == shapes_expected


@pytest.mark.parametrize(
    ("text", "named"),
    [("He has ALS now", True), ("Dies ist mehr als gut", False), ("He has als now", False), ("MND is rare", True)],
)
def test_an_acronym_is_one_in_capitals_only(reader: StanceReader, text: str, named: bool) -> None:
    found = SentenceMatches(reader.matcher, Document.of(text), 0)
    assert bool(found.entries("disease")) == named
