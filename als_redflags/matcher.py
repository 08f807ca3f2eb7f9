"""Finds the patterns of a rule book in a document.

Every word, and every entry of a word list, carries a bit mask of the chains it can be part of. The masks of a sentence are
joined by OR as its words are read, once; a chain is a candidate where its rarest parts are all present, and only candidates are
searched. What depends on a claim (cues, exceptions) or on the whole page is searched only where it is asked for. spaCy's Matcher
judges the patterns that are written in its own notation; it is loaded when a sentence first holds the words that one requires.

The patterns mean what spaCy's Matcher makes of them with greedy="LONGEST", where a word list matches one of its entries:
``tests/test_matcher.py`` compares both. The Matcher is not used for all of them because it tries every pattern at every token.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from als_redflags.compiled import STAGES, Owner, Tables, compile_rules
from als_redflags.errors import RuleError
from als_redflags.rulebook import RawPattern, RuleBook
from als_redflags.shapes import shapes
from als_redflags.text import Document

Span = tuple[int, int]  # tokens, half-open
_STAGE_OF = {kind: number for number, kinds in enumerate(STAGES) for kind in kinds}
_HERE = ""  # the key of a node in a tree of words under which its mask and labels lie; no word is empty
_RAREST = 4  # parts of a chain that must be present before it is searched


@dataclass(frozen=True, slots=True)
class Match:
    """A chain found in a sentence: token spans of its segments (``parts``), half-open, in order."""

    owner: Owner
    parts: tuple[Span, ...]

    @property
    def start(self) -> int:
        return self.parts[0][0]

    @property
    def end(self) -> int:
        return self.parts[-1][1]


@dataclass(frozen=True, slots=True)
class _Chain:
    owner: Owner
    segments: tuple[int, ...]
    gaps: tuple[int, ...]


class _Stage:
    """The chains of one stage, with a tree of the words and entries that they need.

    A mask has ``_RAREST`` blocks of one bit a chain: block ``n`` holds the chains whose n-th rarest part the word can be.
    """

    def __init__(self, tables: Tables, number: int) -> None:
        rows = tables.chains[number]
        self.chains = [_Chain((kind, name), tuple(segments), tuple(gaps)) for kind, name, segments, gaps, _ in rows]
        self.width = len(rows)
        self.all = (1 << self.width) - 1
        bits: dict[int | str, list[int]] = defaultdict(list)
        always = []
        for chain, (*_, rare) in enumerate(rows):
            for block in range(_RAREST):
                bit = block * self.width + chain
                if block >= len(rare):
                    always.append(bit)
                    continue
                segment, place = rare[block]
                element = tables.segments[segment][place]
                for word in [element] if isinstance(element, int) else element:
                    bits[word].append(bit)
        self.always = self._mask(always)
        self.label_masks = {label: self._mask(of) for label, of in bits.items() if isinstance(label, int)}
        self.tree: dict[str, Any] = {}
        for word, of in bits.items():
            if isinstance(word, str):
                self.tree[word] = {_HERE: (self._mask(of), frozenset(), frozenset())}
        for words, labels, in_capitals in tables.entries[number]:
            node = self.tree
            for word in words.split(" "):
                node = node.setdefault(word, {})
            mask = node[_HERE][0] if _HERE in node else 0
            for label in labels:
                mask |= self.label_masks.get(label, 0)
            node[_HERE] = (mask, frozenset(labels), frozenset(in_capitals))

    def _mask(self, bits: list[int]) -> int:
        mask = bytearray(_RAREST * self.width // 8 + 1)
        for bit in bits:
            mask[bit >> 3] |= 1 << (bit & 7)
        return int.from_bytes(mask, "little")

    def candidates(self, mask: int) -> list[_Chain]:
        """Chains whose rarest parts are all in a mask, in the order of the rule book."""
        both = self.all
        for block in range(_RAREST):
            both &= mask >> (block * self.width)
        found = []
        while both:
            lowest = both & -both
            found.append(self.chains[lowest.bit_length() - 1])
            both ^= lowest
        return found


class RuleMatcher:
    """A compiled rule book.

    >>> matcher = RuleMatcher(RuleBook.load())
    >>> sentences = matcher.sentences(Document.of("Our stem cell therapy cures ALS."))
    >>> "cure-claim" in {match.owner[1] for found in sentences for match in found.of("rule")}
    True
    """

    def __init__(self, book: RuleBook, tables: Tables | None = None) -> None:
        tables = tables or compile_rules(book)
        self.book = book
        self.labels = {name: number for number, name in enumerate(tables.labels)}
        self.segments = [tuple(e if isinstance(e, int) else frozenset(e) for e in segment) for segment in tables.segments]
        self.anchors = tables.anchors
        self.stages = [_Stage(tables, number) for number in range(len(STAGES))]
        self.raw = tables.raw
        self._token_matchers: dict[int, TokenMatcher] = {}

    def sentences(self, document: Document) -> list["SentenceMatches"]:
        """What was found in every sentence of a document."""
        return [SentenceMatches(self, document, where) for where in range(len(document.sentences))]

    def token_matcher(self, segment: int) -> "TokenMatcher":
        """What finds a segment that is a spaCy token pattern."""
        if segment not in self._token_matchers:
            self._token_matchers[segment] = TokenMatcher(self.raw[segment])
        return self._token_matchers[segment]


class TokenMatcher:
    """One spaCy token pattern.

    Raises
    ------
    RuleError
        If spaCy refuses the pattern.
    """

    def __init__(self, pattern: RawPattern) -> None:
        import spacy
        from spacy.matcher import Matcher

        self._vocab = spacy.blank("en").vocab
        self._matcher = Matcher(self._vocab)
        try:
            self._matcher.add("pattern", [pattern], greedy="LONGEST")
        except ValueError as error:
            raise RuleError(f"spaCy token pattern {pattern!r}: {error}") from None

    def find(self, words: list[str]) -> list[Span]:
        from spacy.tokens import Doc

        return sorted((start, end) for _, start, end in self._matcher(Doc(self._vocab, words=words)))


class SentenceMatches:
    """All matches in one sentence, each searched when it is first asked for.

    Attributes
    ----------
    sentence : index of the sentence in its document
    words : its words, in lower case
    """

    def __init__(self, matcher: RuleMatcher, document: Document, sentence: int) -> None:
        self.sentence = sentence
        self.words = document.words[sentence]
        self._document = document
        self._matcher = matcher
        self._hits: list[list[tuple[int, int, frozenset[int]]]] = []  # entries by stage: tokens, labels
        self._entries: dict[int, list[Span]] = {}
        self._found: dict[int, list[Span]] = {}
        self._matches: list[dict[str, list[Match]]] = []
        self._search(0)

    def of(self, kind: str) -> list[Match]:
        """Matches whose owner is of this kind, in the order of the rule book."""
        stage = _STAGE_OF[kind]
        while len(self._matches) <= stage:
            self._search(len(self._matches))
        return self._matches[stage].get(kind, [])

    def entries(self, name: str) -> list[Span]:
        """Spans of the entries of a word list, or of a shape, that a rule looks for in every sentence."""
        label = self._matcher.labels.get(name)
        return [(start, end) for start, end, labels in self._hits[0] if label in labels]

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the cleaned text of tokens ``[start, end)``."""
        return self._spans[start][0], self._spans[end - 1][1]

    @cached_property
    def _spans(self) -> list[Span]:
        return self._document.word_spans(self.sentence)

    def _surface(self) -> list[str]:
        return [self._document.text[start:end] for start, end in self._spans]

    def _search(self, number: int) -> None:
        stage = self._matcher.stages[number]
        matches: dict[str, list[Match]] = {}
        for chain in stage.candidates(self._read(stage)):
            found = self._join(chain)
            if found:
                matches.setdefault(chain.owner[0], []).extend(found)
        self._matches.append(matches)

    def _read(self, stage: _Stage) -> int:
        """Note the entries of the word lists of a stage; return the mask of the sentence."""
        words, tree, mask = self.words, stage.tree, stage.always
        hits: list[tuple[int, int, frozenset[int]]] = []
        last = len(words)
        for start, word in enumerate(words):
            node = tree.get(word)
            end = start
            while node is not None:
                end += 1
                here = node.get(_HERE)
                if here is not None:
                    mask |= here[0]
                    if here[1]:
                        hits.append((start, end, here[1]))
                    if here[2] and "".join(self._surface()[start:end]).isupper():
                        hits.append((start, end, here[2]))
                        for label in here[2]:
                            mask |= stage.label_masks.get(label, 0)
                if end == last:
                    break
                node = node.get(words[end])
        for name, start, end in self._shapes:
            label = self._matcher.labels.get(name, -1)
            if label in stage.label_masks:
                hits.append((start, end, frozenset((label,))))
                mask |= stage.label_masks[label]
        self._hits.append(hits)
        return mask

    @cached_property
    def _shapes(self) -> list[tuple[str, int, int]]:
        sentence = self._document.sentences[self.sentence]
        found = shapes(self._document.lower, sentence.start, sentence.end)
        starts = [start for start, _ in self._spans] if found else []
        return [(name, max(bisect_right(starts, start) - 1, 0), bisect_right(starts, end - 1)) for name, start, end in found]

    def _entries_of(self, label: int) -> list[Span]:
        spans = self._entries.get(label)
        if spans is None:
            spans = self._entries[label] = sorted((start, end) for start, end, labels in self._hits[-1] if label in labels)
        return spans

    def _find(self, number: int) -> list[Span]:
        """Spans of a segment; of overlapping ones the longest."""
        spans = self._found.get(number)
        if spans is None:
            spans = _longest(self._extend(self._matcher.segments[number], self._matcher.anchors[number]))
            if spans and number in self._matcher.raw:
                spans = self._matcher.token_matcher(number).find(self._surface())
            self._found[number] = spans
        return spans

    def _extend(self, segment: tuple[int | frozenset[str], ...], anchor: int) -> list[Span]:
        """Spans of all elements of a segment, from one of them to the right and to the left."""
        words = self.words
        first = segment[anchor]
        if isinstance(first, int):
            spans = self._entries_of(first)
        else:
            spans = [(place, place + 1) for place, word in enumerate(words) if word in first]
        for element in segment[anchor + 1 :]:
            if not spans:
                return spans
            if isinstance(element, int):
                entries = self._entries_of(element)
                spans = [(start, last) for start, end in spans for begin, last in entries if begin == end]
            else:
                spans = [(start, end + 1) for start, end in spans if end < len(words) and words[end] in element]
        for element in reversed(segment[:anchor]):
            if not spans:
                return spans
            if isinstance(element, int):
                entries = self._entries_of(element)
                spans = [(begin, end) for start, end in spans for begin, last in entries if last == start]
            else:
                spans = [(start - 1, end) for start, end in spans if start and words[start - 1] in element]
        return spans

    def _join(self, chain: _Chain) -> list[Match]:
        """Chains of spans, one for each segment, that follow each other within the gaps; the shortest for each beginning."""
        spans = []
        for segment in chain.segments:
            found = self._find(segment)
            if not found:
                return []
            spans.append(found)
        if len(spans) == 1:
            return [Match(chain.owner, (span,)) for span in spans[0]]
        matches = []
        for first in spans[0]:
            rest = _follow(spans, chain.gaps, 1, first[1])
            if rest is not None:
                matches.append(Match(chain.owner, (first, *rest)))
        return matches


def _follow(spans: list[list[Span]], gaps: tuple[int, ...], level: int, end: int) -> tuple[Span, ...] | None:
    if level == len(spans):
        return ()
    for span in spans[level]:
        if end <= span[0] <= end + gaps[level]:
            rest = _follow(spans, gaps, level + 1, span[1])
            if rest is not None:
                return (span, *rest)
    return None


def _longest(spans: list[Span]) -> list[Span]:
    """Spans in their order, without those that overlap a longer one (of equal length: an earlier one)."""
    if len(spans) < 2:
        return spans
    kept: list[Span] = []
    for start, end in sorted(set(spans), key=lambda span: (span[0] - span[1], span[0])):
        if all(end <= other[0] or other[1] <= start for other in kept):
            kept.append((start, end))
    return sorted(kept)
