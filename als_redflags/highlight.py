"""A text cut into pieces by the passages marked in it, so that passages may nest and overlap."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of the text with its mark; ``start`` and ``end`` are 0-based code points, half-open.

    ``style`` names the family, ``chip`` is the visible label of the mark, ``says`` explains it, ``anchor`` is its own place and
    ``target`` the place of its explanation. Of several that cover the same words the one with the lowest ``rank`` is outermost.
    ``listed`` says whether a list beside the text leads to it.
    """

    start: int
    end: int
    claimed: bool
    style: str
    chip: str
    says: str
    anchor: str
    target: str
    rank: int
    listed: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that are covered by the same passages, and the passages that begin or end with them."""

    text: str
    inside: tuple[Passage, ...]
    begins: tuple[Passage, ...]
    ends: tuple[Passage, ...]

    @property
    def claimed(self) -> bool:
        return any(passage.claimed for passage in self.inside)

    @property
    def styles(self) -> tuple[str, ...]:
        """The different styles of the passages, outermost first."""
        return tuple(dict.fromkeys(passage.style for passage in self.inside))


def paragraphs(text: str, passages: Sequence[Passage]) -> list[list[Piece]]:
    """The whole text as paragraphs of pieces; put together, the pieces are the text.

    Raises
    ------
    ValueError
        If a passage is empty or reaches beyond the text.
    """
    begins: dict[int, list[Passage]] = defaultdict(list)
    ends: dict[int, list[Passage]] = defaultdict(list)
    for passage in sorted(passages, key=lambda p: p.rank):
        if not 0 <= passage.start < passage.end <= len(text):
            raise ValueError(f"passage {passage.start}-{passage.end} is empty or outside a text of {len(text)} characters")
        begins[passage.start].append(passage)
        ends[passage.end].append(passage)
    breaks = {match.end() for match in _PARAGRAPH_END.finditer(text)}
    found: list[list[Piece]] = [[]]
    inside: list[Passage] = []
    for start, end in pairwise(sorted({0, len(text), *breaks, *begins, *ends})):
        if start in breaks:
            found.append([])
        inside = sorted([p for p in inside if p.end > start] + begins[start], key=lambda p: p.rank)
        found[-1].append(Piece(text[start:end], tuple(inside), tuple(begins[start]), tuple(ends[end])))
    return found
