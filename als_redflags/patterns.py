"""The compact pattern notation of rule files.

A pattern describes words in their order inside one sentence:

==================  =====================================================================
``cure``            the word, in any case
``{disease}``       an entry of ``rules/lexicon/disease.txt``; entries may have several words
``(a|b c|{d})``     one of the alternatives
``[x y]``           x y, or nothing
``*``, ``**``       a gap of at most 3, at most 8 tokens
``<number>``        a number in digits or words
``<thousands>``     a number of 1,000 or more, or three digits and a plus
``<percent>``       "80 %", "eighty per cent"
``<money>``         an amount with its currency
``<fee>``           an amount between 1,000 and 200,000 in a major currency
``<registry>``      a number of ClinicalTrials.gov, ISRCTN or EudraCT
==================  =====================================================================

Hyphens, slashes, quotes and brackets are no tokens: write ``stem cell`` for "stem-cell". Gaps never cross a sentence.
A pattern is expanded into *chains*. A chain is a list of *segments* with the gap allowed before each; a segment is a
run of adjacent elements, which is what a spaCy Matcher pattern expresses well (optional gap tokens inside a Matcher
pattern multiply its states). The rule engine finds segments with spaCy and joins them.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import product

from als_redflags.errors import RuleError
from als_redflags.shapes import SHAPE_NAMES
from als_redflags.words import split

GAPS = {"*": 3, "**": 8}
_MAX_CHAINS = 500

_TOKEN = re.compile(r"\s*(\{[a-z_]+\}|<[a-z]+>|\*\*?|[()\[\]|]|[^\s()\[\]|{}<>*]+)")


@dataclass(frozen=True, slots=True)
class Word:
    """A literal: any of ``forms``, compared in lower case."""

    forms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Label:
    """A lexicon or shape by name; matches all tokens of an entry."""

    name: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """Alternatives of which some have several words: a word list without a name."""

    entries: frozenset[tuple[str, ...]]


Element = Word | Label | Phrases
Segment = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Segments in order; ``gaps[i]`` is the number of tokens allowed before segment ``i`` (0 for the first)."""

    segments: tuple[Segment, ...]
    gaps: tuple[int, ...]


_Sequence = tuple[Element | int, ...]  # an int is a gap


@cache
def parse(pattern: str) -> tuple[Chain, ...]:
    """Expand a pattern into its chains.

    >>> [chain.gaps for chain in parse("we * (cure|{heal}) ** {disease}")]
    [(0, 3, 8), (0, 3, 8)]

    Raises
    ------
    RuleError
        If the notation is not closed, has an empty alternative, begins or ends with a gap, or expands to more than 500 chains.
    """
    tokens = _tokenise(pattern)
    sequences, position = _parse_sequence(tokens, 0, pattern)
    if position != len(tokens):
        raise RuleError(f"pattern {pattern!r}: {tokens[position]!r} is not opened")
    return tuple(dict.fromkeys(_chain(sequence, pattern) for sequence in sequences))


def _tokenise(pattern: str) -> list[str]:
    tokens, position = [], 0
    while position < len(pattern.rstrip()):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise RuleError(f"pattern {pattern!r}: cannot read {pattern[position:]!r}")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def _parse_sequence(tokens: list[str], position: int, pattern: str) -> tuple[list[_Sequence], int]:
    """All readings of the tokens up to a closing bracket or bar."""
    readings: list[_Sequence] = [()]
    while position < len(tokens) and tokens[position] not in (")", "]", "|"):
        token = tokens[position]
        options: list[_Sequence]
        if token in ("(", "["):
            closing = ")" if token == "(" else "]"
            options, position = _parse_alternatives(tokens, position + 1, closing, pattern)
            if closing == "]":
                options = [*options, ()]
        else:
            options = [_elements(token, pattern)]
            position += 1
        readings = [left + right for left, right in product(readings, options)]
        if len(readings) > _MAX_CHAINS:
            raise RuleError(f"pattern {pattern!r} expands to more than {_MAX_CHAINS} chains: use a lexicon instead")
    return readings, position


def _parse_alternatives(tokens: list[str], position: int, closing: str, pattern: str) -> tuple[list[_Sequence], int]:
    options: list[_Sequence] = []
    while True:
        found, position = _parse_sequence(tokens, position, pattern)
        if () in found:
            raise RuleError(f"pattern {pattern!r}: an alternative is empty; use [x] for what may be absent")
        options += found
        if position >= len(tokens) or tokens[position] not in (closing, "|"):
            raise RuleError(f"pattern {pattern!r}: {closing!r} is missing")
        position += 1
        if tokens[position - 1] == closing:
            return _join_words(options), position


def _join_words(options: list[_Sequence]) -> list[_Sequence]:
    """Put all alternatives that consist of words into one element, so that they do not multiply the chains."""
    phrases: set[tuple[str, ...]] = set()
    rest: list[_Sequence] = []
    for option in options:
        forms = [sorted(e.forms) for e in option if isinstance(e, Word)]
        if option and len(forms) == len(option) and all(len(f) == 1 for f in forms[1:] or [[""]]):
            phrases |= {(first, *(f[0] for f in forms[1:])) for first in forms[0]}
        else:
            rest.append(option)
    if not phrases:
        return rest
    joined: Element = Phrases(frozenset(phrases))
    if all(len(phrase) == 1 for phrase in phrases):
        joined = Word(frozenset(phrase[0] for phrase in phrases))
    return [*rest, (joined,)]


def _elements(token: str, pattern: str) -> _Sequence:
    if token in GAPS:
        return (GAPS[token],)
    if token[0] == "{":
        return (Label(token[1:-1]),)
    if token[0] == "<":
        if token[1:-1] not in SHAPE_NAMES:
            raise RuleError(f"pattern {pattern!r}: {token} is unknown; there are <{'>, <'.join(SHAPE_NAMES)}>")
        return (Label(token[1:-1]),)
    return tuple(Word(frozenset({word})) for word in split(token))


def _chain(sequence: _Sequence, pattern: str) -> Chain:
    segments: list[list[Element]] = [[]]
    gaps = [0]
    for element in sequence:
        if isinstance(element, int):
            if segments[-1]:
                segments.append([])
                gaps.append(element)
            elif len(segments) > 1:  # two gaps in a row: an optional part between them is absent
                gaps[-1] = min(gaps[-1] + element, GAPS["**"])
        else:
            segments[-1].append(element)
    if not segments[-1]:  # an optional part at the end is absent
        segments.pop()
        gaps.pop()
    if not segments:
        raise RuleError(f"pattern {pattern!r} can match nothing at all: one part must not be optional")
    return Chain(tuple(tuple(segment) for segment in segments), tuple(gaps))
