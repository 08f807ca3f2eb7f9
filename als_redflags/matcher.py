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
from functools import cached_property, reduce
from operator import or_
from typing import Any

from als_redflags.compiled import Owner, Tables, compile_rules
from als_redflags.errors import RuleError
from als_redflags.rulebook import RawPattern, RuleBook
from als_redflags.shapes import shapes
from als_redflags.text import Document

Span = tuple[int, int]  # tokens, half-open
_Node = tuple[tuple[int, frozenset[int], frozenset[int]] | None, "_Tree | None"]
_Tree = dict[str, _Node]
_HERE = ""  # while a tree is made, the key of what ends at a node; no word is empty
_NONE: frozenset[int] = frozenset()
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


class RuleMatcher:
    """A compiled rule book.

    >>> matcher = RuleMatcher(RuleBook.load())
    >>> sentences = matcher.sentences(Document.of("Our stem cell therapy cures ALS."))
    >>> "cure-claim" in {match.owner[1] for found in sentences for match in found.of("rule")}
    True
    """

    def __init__(self, book: RuleBook, tables: Tables | None = None) -> None:
        fresh = tables is None
        tables = tables or compile_rules(book)
        self.book = book
        self.labels = {name: number for number, name in enumerate(tables.labels)}
        self.segments = [tuple(e if isinstance(e, int) else frozenset(e) for e in segment) for segment in tables.segments]
        self.anchors = tables.anchors
        self.raw = tables.raw
        self.chains = [_Chain((kind, name), tuple(segments), tuple(gaps)) for kind, name, segments, gaps, _ in tables.chains]
        kinds: dict[str, list[int]] = defaultdict(list)
        for number, chain in enumerate(self.chains):
            kinds[chain.owner[0]].append(number)
        self.kinds = {kind: _mask(numbers) for kind, numbers in kinds.items()}
        self._plant(tables)
        self._token_matchers: dict[int, TokenMatcher] = {}
        if fresh:  # rules that were never tried: let spaCy refuse its patterns now and not in the middle of a text
            for number in self.raw:
                self.token_matcher(number)

    def _plant(self, tables: Tables) -> None:
        """Make the masks and the tree of words.

        A mask has ``_RAREST`` blocks of one bit a chain: block ``n`` holds the chains whose n-th rarest part a word or entry can
        be. A node of the tree is (what ends here, children by word), each ``None`` where there is none; what ends here is (mask,
        labels, labels in capitals only). Most words need no tree: ``masks`` and ``single`` hold what they are alone.
        """
        bits: dict[int | str, list[int]] = defaultdict(list)
        always = []
        for number, (*_, rare) in enumerate(tables.chains):
            for block in range(_RAREST):
                bit = block * len(tables.chains) + number
                if block < len(rare):
                    segment, place = rare[block]
                    element = tables.segments[segment][place]
                    for word in [element] if isinstance(element, int) else element:
                        bits[word].append(bit)
                else:
                    always.append(bit)
        self.always = _mask(always)
        masks = {word: _mask(of) for word, of in bits.items()}
        self.label_masks = {label: masks.get(label, 0) for label in self.labels.values()}
        branches: dict[str, Any] = {word: {_HERE: (mask, _NONE, _NONE)} for word, mask in masks.items() if isinstance(word, str)}
        shared: dict[Any, Any] = {}  # equal masks and sets are kept once: the tree must fit into the cache of the processor
        for words, *both in tables.entries:
            node = branches
            for word in words.split(" "):
                node = node.setdefault(word, {})
            mask = node[_HERE][0] if _HERE in node else 0
            for label in both[0]:
                mask |= self.label_masks[label]
            here = (mask, *map(frozenset, both))
            node[_HERE] = shared.setdefault(here, here)
        self.masks = {word: node[_HERE][0] for word, node in branches.items() if _HERE in node}
        self.single = {word: node[_HERE][1] for word, node in branches.items() if _HERE in node and node[_HERE][1]}
        self.capitals = {word: node[_HERE][2] for word, node in branches.items() if _HERE in node and node[_HERE][2]}
        self.tree = {word: node for word, node in (_tree(branches) or {}).items() if node[1]}

    def candidates(self, mask: int) -> int:
        """The chains whose rarest parts are all in a mask, one bit a chain."""
        width = len(self.chains)
        found = (1 << width) - 1
        for block in range(_RAREST):
            found &= mask >> (block * width)
        return found

    def sentences(self, document: Document) -> list["SentenceMatches"]:
        """What was found in every sentence of a document."""
        return [SentenceMatches(self, document, where) for where in range(len(document.sentences))]

    def token_matcher(self, segment: int) -> "TokenMatcher":
        """What finds a segment that is a spaCy token pattern."""
        if segment not in self._token_matchers:
            self._token_matchers[segment] = TokenMatcher(self.raw[segment])
        return self._token_matchers[segment]


def _mask(bits: list[int]) -> int:
    mask = bytearray(max(bits, default=0) // 8 + 1)
    for bit in bits:
        mask[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(mask, "little")


def _tree(branches: dict[str, Any]) -> _Tree | None:
    nodes = {word: (branch.pop(_HERE, None), _tree(branch)) for word, branch in branches.items()}
    return nodes or None


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
        except (ValueError, TypeError, KeyError, AttributeError) as error:
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
        self._hits: list[tuple[int, int, frozenset[int]]]  # entries of lists and shapes in any order: tokens, labels
        self._entries: dict[int, list[Span]] = {}
        self._found: dict[int, list[Span]] = {}
        self._matches: dict[str, list[Match]] = {}
        self._candidates = matcher.candidates(self._read())

    def of(self, kind: str) -> list[Match]:
        """Matches whose owner is of this kind, in the order of the rule book."""
        matches = self._matches.get(kind)
        if matches is None:
            matches = self._matches[kind] = []
            left = self._candidates & self._matcher.kinds.get(kind, 0)
            while left:
                lowest = left & -left
                matches += self._join(self._matcher.chains[lowest.bit_length() - 1])
                left ^= lowest
        return matches

    def entries(self, name: str) -> list[Span]:
        """Spans of the entries of a word list, or of a shape, that a pattern names."""
        return self._entries_of(self._matcher.labels.get(name, -1))

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the cleaned text of tokens ``[start, end)``."""
        return self._spans[start][0], self._spans[end - 1][1]

    @cached_property
    def _spans(self) -> list[Span]:
        return self._document.word_spans(self.sentence)

    def _read(self) -> int:
        """Note the entries of the word lists; return the mask of the sentence."""
        words, matcher = self.words, self._matcher
        mask = reduce(or_, filter(None, map(matcher.masks.get, words)), matcher.always)
        single, tree, capitals = matcher.single, matcher.tree, matcher.capitals
        hits = [(place, place + 1, single[word]) for place, word in enumerate(words) if word in single]
        for start in [place for place, word in enumerate(words) if word in tree]:
            node, end = tree[words[start]], start + 1
            while node[1] is not None and end < len(words):
                found = node[1].get(words[end])
                if found is None:
                    break
                node, end = found, end + 1
                if node[0] is not None:
                    mask |= node[0][0]
                    hits.append((start, end, node[0][1]))
                    if node[0][2]:
                        mask |= self._in_capitals(start, end, node[0][2], hits)
        for start in [place for place, word in enumerate(words) if word in capitals]:
            mask |= self._in_capitals(start, start + 1, capitals[words[start]], hits)
        sentence = self._document.sentences[self.sentence]
        numbers = shapes(self._document.lower, sentence.start, sentence.end)
        if numbers:
            starts = [start for start, _ in self._spans]
            for name, first, after in numbers:
                label = self._matcher.labels.get(name, -1)
                if label in self._matcher.label_masks:
                    mask |= self._matcher.label_masks[label]
                    start, end = max(bisect_right(starts, first) - 1, 0), bisect_right(starts, after - 1)
                    hits.append((start, end, frozenset((label,))))
        self._hits = hits
        return mask

    def _in_capitals(self, start: int, end: int, labels: frozenset[int], hits: list[tuple[int, int, frozenset[int]]]) -> int:
        """The mask of an entry that counts in capitals only, and 0 where it is not in capitals."""
        if not self._document.text[self._spans[start][0] : self._spans[end - 1][1]].isupper():
            return 0
        hits.append((start, end, labels))
        return reduce(or_, (self._matcher.label_masks[label] for label in labels))

    def _entries_of(self, label: int) -> list[Span]:
        spans = self._entries.get(label)
        if spans is None:
            spans = self._entries[label] = [(start, end) for start, end, labels in self._hits if label in labels]
        return spans

    def _find(self, number: int) -> list[Span]:
        """Spans of a segment; of overlapping ones the longest."""
        spans = self._found.get(number)
        if spans is None:
            segment = self._matcher.segments[number]
            if len(segment) == 1 and not isinstance(segment[0], int):
                spans = [(place, place + 1) for place, word in enumerate(self.words) if word in segment[0]]
            else:
                spans = _longest(self._extend(segment, self._matcher.anchors[number]))
            if spans and number in self._matcher.raw:
                spans = self._matcher.token_matcher(number).find([self._document.text[start:end] for start, end in self._spans])
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
