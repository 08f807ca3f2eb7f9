"""From the caller's string to a Document: cleaned text, blocks and sentences, with an exact way back.

Matching wants plain text (straight quotes, ordinary spaces, no invisible characters); evidence must be shown in
the words the caller gave. So cleaning records every change as a *run*, and any span of the cleaned text can be
carried back to the source. All offsets are 0-based code points, half-open.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import itemgetter

from als_redflags.words import splitter

_QUOTES = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201b": "'",
    "\u2032": "'",
    "\u00b4": "'",
    "`": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u201f": '"',
    "\u00ab": '"',
    "\u00bb": '"',
    "\u2033": '"',
}

_INVISIBLE = "\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_SPACES = "\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\x00-\x08\x0e-\x1f\x7f"
# full-width letters, ligatures and mathematical letters: compatibility forms of plain letters
_COMPATIBLE = "\uff01-\uff5e\ufb00-\ufb06\U0001d400-\U0001d7ff"


def _members(ranges: str) -> Iterator[str]:
    for match in re.finditer(r"(.)-(.)|.", ranges, re.DOTALL):
        first, last = match.groups()
        yield from map(chr, range(ord(first), ord(last) + 1)) if first else match.group()


# What a character becomes. Soft hyphens, zero-width and bidirectional marks hide words from a matcher; a character whose lower
# case is longer than itself would shift offsets in lower-cased text.
_REPLACEMENTS = {
    **dict.fromkeys(_members(_INVISIBLE), ""),
    **dict.fromkeys(_members(_SPACES), " "),
    **{char: unicodedata.normalize("NFKC", char) for char in _members(_COMPATIBLE)},
    **dict.fromkeys(map(chr, range(0xD800, 0xE000)), "\ufffd"),
    **_QUOTES,
    **dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n"),
    "\u2010": "-",
    "\u2011": "-",
    "\u2026": "...",
    "\u0130": "I",
    "\r\n": "\n",
}
# Anything that is not plain ASCII, and the end of a sentence that was glued to the next one ("It works.We offer"). One set of
# characters comes first, because a search for it runs through ordinary text at the speed of C.
_CHANGES = re.compile(r"""[^\n "-\-/->@-_a-~](?:(?<=\r)\n|(?<![.!?])|(?<=[^\W\d_]{2}[.!?])(?=[A-Z][a-z]))""")


def _replacement(found: str) -> str:
    return found + " " if found in ".!?" else _REPLACEMENTS.get(found, found)


class OffsetMap:
    """Carries spans of cleaned text back to the source.

    The cleaned text is a chain of runs. A verbatim run maps one to one; a replaced run (a ligature, a removed
    space) maps as a whole to the source characters it stands for.
    """

    def __init__(self) -> None:
        self._clean: list[int] = []
        self._source: list[tuple[int, int, bool]] = []

    def add(self, clean_start: int, source_start: int, source_end: int, *, verbatim: bool) -> None:
        self._clean.append(clean_start)
        self._source.append((source_start, source_end, verbatim))

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Map the non-empty span ``[start, end)`` of the cleaned text to the source."""
        if not self._clean:
            return start, end
        first = bisect_right(self._clean, start) - 1
        begin, _, verbatim = self._source[first]
        source_start = begin + (start - self._clean[first] if verbatim else 0)
        last = bisect_right(self._clean, end - 1) - 1
        begin, finish, verbatim = self._source[last]
        return source_start, begin + end - self._clean[last] if verbatim else finish


def clean(source: str) -> tuple[str, OffsetMap]:
    """Return the cleaned text and the map back to ``source``.

    >>> text, offsets = clean("We\u00a0\u201ccure\u201d A\u00adLS.Call us")
    >>> text
    'We "cure" ALS. Call us'
    >>> start, end = offsets.to_source(10, 13)
    >>> "We\u00a0\u201ccure\u201d A\u00adLS.Call us"[start:end] == "A\u00adLS"
    True
    """
    offsets = OffsetMap()
    pieces: list[str] = []
    length = position = 0
    for match in _CHANGES.finditer(source):
        new = _replacement(match.group())
        if new == match.group():
            continue
        if match.start() > position:
            offsets.add(length, position, match.start(), verbatim=True)
            pieces.append(source[position : match.start()])
            length += match.start() - position
        if new:
            offsets.add(length, match.start(), match.end(), verbatim=False)
            pieces.append(new)
            length += len(new)
        position = match.end()
    if not pieces and position == 0:
        return source, offsets
    offsets.add(length, position, len(source), verbatim=True)
    pieces.append(source[position:])
    return "".join(pieces), offsets


@dataclass(frozen=True, slots=True)
class Block:
    """A line or paragraph: ``kind`` is ``heading``, ``item`` or ``paragraph``.

    ``governor`` is the index of the heading (or lead-in line) above it that says what the block is about, so that
    "Warning signs" can govern the bare phrases listed below it.
    """

    start: int
    end: int
    kind: str
    governor: int | None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the cleaned text, ``[start, end)``, inside block number ``block``."""

    start: int
    end: int
    block: int


_BULLET = re.compile(
    r"\s*(?:[-*+\u2022\u00b7\u25aa\u25cf\u25e6\u2023\u2713\u2714\u2705\u27a4\u25ba\u2013\u2014]\ufe0f?"
    r"|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+"
)
_MARKDOWN_HEADING = re.compile(r"\s*#{1,6}\s+")
_HARD_WRAP_CHARS = 45  # a line at least this long that ends mid-sentence was wrapped by an editor or mailer
_SHORT_WORDS = 10
_QUESTION_WORDS = 20
_MAX_SENTENCE_CHARS = 1200  # glued tables and run-on pages: keeps matching linear in the text

_ABBREVIATIONS = frozenset(
    "dr mr mrs ms prof st jr sr vs etc e.g i.e cf no nos fig figs approx dept inc ltd co corp est al vol ph.d m.d "
    "u.s u.k u.s.a e.u d.c a.m p.m".split()
)
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s)")
_LAST_WORD = re.compile(r"[\w.]+$")


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the non-empty lines, trimmed, with hard-wrapped lines joined."""
    current: tuple[int, int] | None = None
    for match in re.finditer(r"[^\n]+", text):
        start, end = match.span()
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            continue
        if current is not None:
            wrapped = (
                text.count("\n", current[1], start) == 1
                and current[1] - text.rfind("\n", 0, current[1]) > _HARD_WRAP_CHARS
                and text[current[1] - 1] not in ".!?:;"
                and text[start].islower()
                and not _BULLET.match(text, start)
            )
            if wrapped:
                current = (current[0], end)
                continue
            yield current
        current = (start, end)
    if current is not None:
        yield current


def _is_short(line: str) -> bool:
    words = line.count(" ") + 1
    if line.endswith("?"):
        return words <= _QUESTION_WORDS
    if line.endswith(":"):
        return words <= _QUESTION_WORDS
    return words <= _SHORT_WORDS and line[-1] not in ".!;,"


def _blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    head: int | None = None  # what governs the lines that follow
    bare = False  # was the line before a short line without a bullet?
    for start, end in _lines(text):
        line = text[start:end]
        index = len(blocks)
        bullet = _BULLET.match(line)
        short = _is_short(line) and not bullet
        lead_in = bool(blocks) and text[blocks[-1].end - 1] == ":"
        if _MARKDOWN_HEADING.match(line) or (short and line[-1] in ":?"):
            # The question of an FAQ and the line before a list begin something new whatever stands before them.
            block = Block(start, end, "heading", None)
        elif bullet:
            block = Block(start + bullet.end(), end, "item", head)
        elif short and (bare or lead_in or (blocks and blocks[-1].kind == "item")):
            block = Block(start, end, "item", head)
        elif short:
            block = Block(start, end, "heading", None)
        else:
            if bare:
                head = index - 1
            block = Block(start, end, "paragraph", head)
        if block.kind == "heading" or line[-1] == ":":
            head = index
        bare = short
        blocks.append(block)
    return blocks


def _sentences(text: str, blocks: list[Block]) -> list[Sentence]:
    sentences: list[Sentence] = []
    for index, block in enumerate(blocks):
        start = block.start
        while start < block.end:
            end = _sentence_end(text, start, block.end)
            sentences.append(Sentence(start, end, index))
            start = end
            while start < block.end and text[start].isspace():
                start += 1
    return sentences


def _sentence_end(text: str, start: int, limit: int) -> int:
    for match in _SENTENCE_END.finditer(text, start, min(limit, start + _MAX_SENTENCE_CHARS)):
        end = match.end()
        follows = text[end : end + 3].lstrip()
        if follows[:1].islower():
            continue
        if match.group().startswith("."):
            word = _LAST_WORD.search(text, start, match.start())
            last = word.group().lower() if word else ""
            initial = len(last) == 1 and last.isalpha() and last != "i"
            # "No. 5" is an abbreviation, "Is it safe? No. We ..." is not.
            abbreviation = last in _ABBREVIATIONS and (last not in {"no", "nos"} or follows[:1].isdigit())
            if initial or abbreviation:
                continue
        return end
    if limit - start <= _MAX_SENTENCE_CHARS:
        return limit
    space = text.rfind(" ", start + 1, start + _MAX_SENTENCE_CHARS)
    return space if space > start else start + _MAX_SENTENCE_CHARS


@dataclass(frozen=True)
class Document:
    """A text made ready for matching.

    ``source`` is the caller's string, ``text`` the cleaned one; ``blocks`` and ``sentences`` are in reading order
    and hold offsets into ``text``. ``to_source`` carries a span back.
    """

    source: str
    text: str
    blocks: list[Block] = field(repr=False)
    sentences: list[Sentence] = field(repr=False)
    _offsets: OffsetMap = field(repr=False)

    @classmethod
    def of(cls, source: str) -> "Document":
        r"""Clean and segment ``source``.

        >>> doc = Document.of("Dr. Lee treats ALS. Call us!\n- no pain\n- no risk")
        >>> [doc.text[s.start:s.end] for s in doc.sentences]
        ['Dr. Lee treats ALS.', 'Call us!', 'no pain', 'no risk']
        """
        text, offsets = clean(source)
        blocks = _blocks(text)
        return cls(source, text, blocks, _sentences(text, blocks), offsets)

    @cached_property
    def lower(self) -> str:
        """``text`` in lower case, character for character (same length)."""
        lowered = self.text.lower()
        if len(lowered) == len(self.text):
            return lowered
        return "".join(c.lower() if len(c.lower()) == 1 else c for c in self.text)

    @cached_property
    def words(self) -> list[list[str]]:
        """The words of each sentence, in lower case."""
        lower = self.lower
        split = splitter(lower).findall
        return [split(lower, sentence.start, sentence.end) for sentence in self.sentences]

    @cached_property
    def sentence_starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]

    def word_spans(self, sentence: int) -> list[tuple[int, int]]:
        """Offsets in ``text`` of the words of a sentence."""
        lower, spans = self.lower, []
        place = self.sentences[sentence].start
        for word in self.words[sentence]:
            place = lower.index(word, place)
            spans.append((place, place + len(word)))
            place += len(word)
        return spans

    @cached_property
    def n_words(self) -> int:
        """Words and numbers, without punctuation."""
        return sum(map(str.isalnum, map(itemgetter(0), chain.from_iterable(self.words))))

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in ``source`` of the span ``[start, end)`` of ``text``."""
        return self._offsets.to_source(start, end)

    def line(self, source_offset: int) -> int:
        """1-based line number of an offset in ``source``."""
        return bisect_right(self._line_starts, source_offset)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.source))]
