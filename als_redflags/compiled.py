"""Rules made ready for matching: plain tables, worked out once from a rule book and carried in the trained artefact.

What does not depend on a text is decided here: every pattern is expanded into chains of segments, every alternative of several
words becomes a list with a label, and it is estimated which parts of a chain are rare in text.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from als_redflags.errors import RuleError
from als_redflags.patterns import Chain, Element, Label, Phrases, Segment, Word
from als_redflags.rulebook import RawPattern, RuleBook, chains, is_token_pattern
from als_redflags.shapes import NUMBER_WORDS, SHAPE_NAMES
from als_redflags.words import split

# Kind and id. Kinds: rule, on_offer, unless, spread, present, absent (of a rule), named (of a list), cue, and each of the frames.
Owner = tuple[str, str]
_SHAPE_COUNT = 40  # as common as this a shape is taken to be; a number alone is everywhere


@dataclass(frozen=True)
class Tables:
    """A compiled rule book; everything in it can be written as JSON.

    Attributes
    ----------
    labels : names of word lists and shapes; other tables give their index
    entries : of the word lists: ``[words, labels, labels it has in capitals only]``
    segments : each a list of elements, an int for a label or a list of words; of a spaCy token pattern words it requires
    anchors : for each segment the index of its rarest element
    raw : spaCy token patterns by the index of their segment
    chains : ``[kind, id, segments, gaps, rare]``; ``rare`` lists (segment, element) of the rarest parts first
    """

    labels: list[str]
    entries: list[tuple[str, list[int], list[int]]]
    segments: list[list[int | list[str]]]
    anchors: list[int]
    raw: dict[int, RawPattern]
    chains: list[tuple[str, str, list[int], list[int], list[tuple[int, int]]]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Tables":
        return cls(**{**data, "raw": {int(number): pattern for number, pattern in data["raw"].items()}})

    def check(self, book: RuleBook) -> None:
        """Check that every number points at something and every owner is in ``book``.

        Raises
        ------
        ValueError, TypeError, IndexError
            If the tables are not those of a rule book.
        """
        rules = frozenset(book.rules)
        owners = {
            **dict.fromkeys(("rule", "on_offer", "unless", "spread", "present", "absent"), rules),
            "cue": {cue.id for cue in book.cues},
            "named": set(book.lexicons),
            **{name: {name} for name in book.frames},
        }
        labels, segments = range(len(self.labels)), range(len(self.segments))
        sound = all(isinstance(name, str) for name in self.labels) and len(self.anchors) == len(self.segments)
        for words, *both in self.entries:
            sound = (
                sound and isinstance(words, str) and len(both) == 2 and all(label in labels for part in both for label in part)
            )
        for segment, anchor in zip(self.segments, self.anchors, strict=False):
            sound = sound and anchor in range(len(segment))
            for element in segment:
                sound = sound and (element in labels if isinstance(element, int) else all(isinstance(w, str) for w in element))
        for number, pattern in self.raw.items():
            sound = sound and number in segments and is_token_pattern(pattern)
        for kind, name, numbers, gaps, rare in self.chains:
            sound = sound and name in owners.get(kind, ()) and 0 < len(numbers) == len(gaps)
            sound = sound and all(number in segments for number in numbers) and all(gap in range(100) for gap in gaps)
            sound = sound and all(number in segments and place in range(len(self.segments[number])) for number, place in rare)
        if not sound:
            raise ValueError("the compiled rules do not fit together")


def compile_rules(book: RuleBook) -> Tables:
    """Expand the patterns of a rule book.

    Raises
    ------
    RuleError
        If a pattern offers no word to look for.
    """
    return _Compiler(book).tables()


class _Compiler:
    def __init__(self, book: RuleBook) -> None:
        self.book = book
        # How common a word is, by the examples of the rules themselves
        self.counts = Counter(
            word for rule in book.rules.values() for text in (*rule.fires, *rule.silent) for word in split(text)
        )
        self.labels: dict[str, int] = {}
        self.phrases: dict[Phrases, str] = {}
        self.segments: dict[Any, int] = {}
        self.elements: list[tuple[Element, ...]] = []
        self.raw: dict[int, RawPattern] = {}
        self.chains: list[tuple[str, str, list[int], list[int], list[tuple[int, int]]]] = []

    def tables(self) -> Tables:
        for owner, pattern in self._owned_patterns():
            for chain in chains(pattern, owner[1]) or (pattern,):
                self._add(owner, chain)
        return Tables(
            list(self.labels),
            self._entries(),
            [[self._element(element) for element in segment] for segment in self.elements],
            [min(range(len(segment)), key=lambda place: self._frequency(segment[place])) for segment in self.elements],
            self.raw,
            self.chains,
        )

    def _owned_patterns(self) -> Iterable[tuple[Owner, str | RawPattern]]:
        for rule in self.book.rules.values():
            yield from ((("rule", rule.id), pattern) for pattern in rule.patterns)
            yield from ((("on_offer", rule.id), pattern) for pattern in rule.on_offer)
            yield from ((("unless", rule.id), pattern) for pattern in rule.unless)
            if rule.spread:
                # a rule that counts entries looks at the lists in its list too
                for name in (rule.spread.lexicon, *self.book.includes[rule.spread.lexicon]):
                    yield ("spread", rule.id), f"{{{name}}}"
            if rule.page:
                yield from ((("present", rule.id), pattern) for pattern in rule.page.present)
                yield from ((("absent", rule.id), pattern) for pattern in rule.page.absent)
        for name in sorted({name for rule in self.book.rules.values() if rule.page for name in rule.page.names}):
            yield ("named", name), f"{{{name}}}"
        for cue in self.book.cues:
            yield from ((("cue", cue.id), pattern) for pattern in cue.patterns)
        for name, patterns in self.book.frames.items():
            yield from (((name, name), pattern) for pattern in patterns)

    def _add(self, owner: Owner, chain: Chain | str | RawPattern) -> None:
        if isinstance(chain, Chain):
            numbers = [self._segment(tuple(self._named(element) for element in segment)) for segment in chain.segments]
            gaps = list(chain.gaps)
        else:
            numbers, gaps = [self._raw_segment(chain, owner)], [0]
        places = [(number, place) for number in dict.fromkeys(numbers) for place in range(len(self.elements[number]))]
        common = {place: self._frequency(self.elements[place[0]][place[1]]) for place in places}
        if min(common.values()) == float("inf"):
            raise RuleError(f"{owner[1]}: a pattern of numbers only needs a word beside them")
        self.chains.append((*owner, numbers, gaps, sorted(places, key=lambda place: common[place])))

    def _named(self, element: Element) -> Element:
        """Give a list of phrases a label, as a word list has."""
        if isinstance(element, Phrases):
            name = self.phrases.setdefault(element, f"phrases {len(self.phrases)}")
            element = Label(name)
        if isinstance(element, Label):
            self.labels.setdefault(element.name, len(self.labels))
        return element

    def _segment(self, segment: Segment) -> int:
        if segment not in self.segments:
            self.segments[segment] = len(self.elements)
            self.elements.append(segment)
        return self.segments[segment]

    def _raw_segment(self, pattern: str | RawPattern, owner: Owner) -> int:
        if not isinstance(pattern, list) or not required_words(pattern):
            raise RuleError(f"{owner[1]}: the spaCy pattern {pattern!r} needs a token with LOWER that is not optional")
        key = repr(pattern)
        if key not in self.segments:
            self.segments[key] = len(self.elements)
            self.raw[len(self.elements)] = pattern
            self.elements.append(tuple(Word(frozenset(words)) for words in required_words(pattern)))
        return self.segments[key]

    def _count(self, word: str) -> float:
        return self.counts[word] + 0.1

    def _frequency(self, element: Element) -> float:
        if isinstance(element, Word):
            return sum(map(self._count, element.forms))
        name = element.name if isinstance(element, Label) else ""
        if name in SHAPE_NAMES:
            return float("inf") if name == "number" else _SHAPE_COUNT
        return sum(min(map(self._count, words)) for words, _ in self._words_of(name))

    def _words_of(self, name: str) -> list[tuple[tuple[str, ...], bool]]:
        """Entries behind a label: their words, and whether they count in capitals only."""
        if name == "number":
            return [((word,), False) for word in NUMBER_WORDS]
        if name in self.book.lexicons:
            return [(self._split(name, entry), entry.isupper()) for entry in self.book.lexicons[name]]
        return [(phrase, False) for phrases, of in self.phrases.items() if of == name for phrase in sorted(phrases.entries)]

    def _split(self, name: str, entry: str) -> tuple[str, ...]:
        words = tuple(split(entry))
        if not words:
            raise RuleError(f"lexicon {name}: the entry {entry!r} holds no word")
        return words

    def _entries(self) -> list[tuple[str, list[int], list[int]]]:
        found: dict[tuple[str, ...], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for name, label in self.labels.items():
            for words, capitals in self._words_of(name):
                found[words][capitals].append(label)
        return [(" ".join(words), *labels) for words, labels in found.items()]

    def _element(self, element: Element) -> int | list[str]:
        return sorted(element.forms) if isinstance(element, Word) else self.labels[element.name]  # type: ignore[union-attr]


def required_words(pattern: RawPattern) -> list[list[str]]:
    """The longest run of tokens of a spaCy pattern that must be there: LOWER with a value or IN, and no optional operator."""
    runs: list[list[list[str]]] = [[]]
    for token in pattern:
        lower = token.get("LOWER") if isinstance(token, dict) and "OP" not in token else None
        words = [lower] if isinstance(lower, str) else lower.get("IN", []) if isinstance(lower, dict) else []
        if words:
            runs[-1].append(words)
        else:
            runs.append([])
    return max(runs, key=len)
