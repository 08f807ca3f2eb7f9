"""Finds the patterns of a rule book in a document.

One Aho-Corasick pass over the cleaned text finds trigger words. Only sentences in which every word that some chain
needs can be present are tokenised by spaCy; there its Matcher finds the segments of the candidate chains, which are
then joined over their gaps.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ahocorasick_rs
import spacy
from spacy.matcher import Matcher as SpacyMatcher
from spacy.tokens import Doc

from als_redflags.errors import RuleError
from als_redflags.patterns import Chain, Element, Label, Phrases, Segment, Word, separate, split_words
from als_redflags.rulebook import RawPattern, RuleBook, chains
from als_redflags.text import Document

Owner = tuple[str, str]  # (kind, id); the kinds are those of _EVIDENCE, "unless", "cue", and the frames
# Kinds for which a sentence is kept although no other kind is found in it.
_EVIDENCE = ("rule", "on_offer", "spread", "topic", "short_topic", "lawful", "named", "present", "absent")


@dataclass(frozen=True, slots=True)
class Match:
    """A chain found in a sentence: token spans of its segments (``parts``), half-open, in order."""

    owner: Owner
    parts: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        return self.parts[0][0]

    @property
    def end(self) -> int:
        return self.parts[-1][1]


@dataclass(frozen=True)
class SentenceMatches:
    """All matches in one sentence. ``spans[i]`` are the offsets of token ``i`` in the cleaned text."""

    sentence: int
    spans: list[tuple[int, int]]
    words: list[str]
    matches: dict[str, list[Match]] = field(default_factory=lambda: defaultdict(list))
    entries: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Match]:
        """Matches whose owner is of this kind."""
        return self.matches.get(kind, [])

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the cleaned text of tokens ``[start, end)``."""
        return self.spans[start][0], self.spans[end - 1][1]


_AMOUNT = r"\d[\d,.]*\d|\d"
_SCALE = r"\s?(?:k|thousand|lakhs?|million|crores?|m|bn|billion)\b"
_CURRENCY_SIGN = r"(?:us|ca|a|nz|s|hk)?[$\u20ac\u00a3\u20b9\u0e3f\u00a5\u20bd]|\b(?:usd|eur|gbp|inr|aud|cad|thb|rs\.?|chf)"
_CURRENCY_WORD = (
    r"(?:us\s)?(?:usd|eur|gbp|inr|aud|cad|chf|thb|dollars?|euros?|pounds|rupees|baht|pesos|francs|"
    r"[$\u20ac\u00a3])"
)
_MONEY = re.compile(
    rf"(?:{_CURRENCY_SIGN})\s?(?P<a>{_AMOUNT})(?P<sa>{_SCALE})?|"
    rf"\b(?P<b>{_AMOUNT})(?P<sb>{_SCALE})?\s?{_CURRENCY_WORD}(?![a-z])"
)
_PERCENT = re.compile(rf"(?:{_AMOUNT}|\b[a-z]+(?:y|teen|ten))\s?(?:%|per\s?cent\b)|(?:{_AMOUNT})\s?percent\b")
_NUMBER = re.compile(
    r"\d[\d,.]*\d|\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|"
    r"fifty|sixty|seventy|eighty|ninety|dozens?|hundreds?|thousands?|millions?|billions?)\b"
)
_REGISTRY = re.compile(r"\bnct\s?\d{8}\b|\bisrctn\s?\d{8}\b|\b20\d{2}-\d{6}-\d{2}\b")
_FEE_RANGE = (1_000, 200_000)  # TAXONOMY of prices seen: 1,150 for one injection to 41,500 for a package of twelve
_FOREIGN_SMALL = re.compile(r"inr|rs|rupees|\u20b9|baht|thb|\u0e3f|pesos|\u00a5|\u20bd|lakh|crore")
_SHAPE_TRIGGERS = {
    "money": [
        "$",
        "\u20ac",
        "\u00a3",
        "\u20b9",
        "\u0e3f",
        "\u00a5",
        "\u20bd",
        "usd",
        "eur",
        "gbp",
        "inr",
        "aud",
        "cad",
        "chf",
        "thb",
        "rs",
        "dollar",
        "dollars",
        "euro",
        "euros",
        "pounds",
        "rupees",
        "baht",
        "pesos",
        "francs",
    ],
    "percent": ["%", "percent", "cent"],
    "registry": ["nct", "isrctn", "20"],
}
_SHAPE_TRIGGERS["fee"] = _SHAPE_TRIGGERS["money"]

# Words found in nearly every sentence make poor triggers.
_COMMON = frozenset(
    "a an the of in on at to for with by from and or is are was were be been can could may might will would has have "
    "had do does did not no you your we our us i my it its this that these those they their who as".split()
)


def _shapes(text: str) -> list[tuple[str, int, int]]:
    """Numbers, percentages and amounts of money in lower-case text, as (name, start, end)."""
    found = [("number", *m.span()) for m in _NUMBER.finditer(text)]
    if not found:
        return found
    found += [("registry", *m.span()) for m in _REGISTRY.finditer(text)]
    found += [("percent", *m.span()) for m in _PERCENT.finditer(text)]
    for match in _MONEY.finditer(text):
        found.append(("money", *match.span()))
        if _FEE_RANGE[0] <= _amount(match) <= _FEE_RANGE[1]:
            found.append(("fee", *match.span()))
    return found


def _amount(match: re.Match[str]) -> float:
    """An amount as a number; 0 where the currency's unit is too small for the range of fees to mean anything."""
    if _FOREIGN_SMALL.search(match.group()):
        return 0.0
    digits = match.group("a") or match.group("b")
    scale = (match.group("sa") or match.group("sb") or "").strip()
    # "5.000" and "5,000" are thousands; "5.5k" is a decimal
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits).replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        return 0.0
    return value * {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "bn": 1e9, "billion": 1e9}.get(scale, 1)


class _Lexicons:
    """Marks the entries of all lists in a tokenised sentence."""

    def __init__(self, lexicons: dict[str, tuple[str, ...]]) -> None:
        # by first word and by all words: the lists that hold the entry, and those that want it in capitals
        self._by_first: dict[str, dict[tuple[str, ...], list[tuple[str, bool]]]] = defaultdict(dict)
        for name, entries in lexicons.items():
            for entry in entries:
                words = tuple(split_words(entry))
                if not words:
                    raise RuleError(f"lexicon {name}: the entry {entry!r} holds no word")
                self.add(name, tuple(word.lower() for word in words), capitals_only=entry.isupper())

    def add(self, name: str, words: tuple[str, ...], *, capitals_only: bool = False) -> None:
        self._by_first[words[0]].setdefault(words, []).append((name, capitals_only))

    def mark(self, words: list[str], lower: list[str]) -> list[tuple[str, int, int]]:
        found = []
        for start, first in enumerate(lower):
            for entry, lists in self._by_first.get(first, {}).items():
                end = start + len(entry)
                if tuple(lower[start:end]) == entry:
                    capitals = "".join(words[start:end]).isupper()
                    found += [(name, start, end) for name, capitals_only in lists if capitals or not capitals_only]
        return found


class RuleMatcher:
    """A compiled rule book.

    >>> matcher = RuleMatcher(RuleBook.load())
    >>> document = Document.of("Our stem cell therapy cures ALS.")
    >>> "cure-claim" in {m.owner[1] for found in matcher.sentences(document) for m in found.of("rule")}
    True
    """

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self._nlp = spacy.blank("en")
        self._lexicons = _Lexicons(book.lexicons)
        self._triggers: dict[str, set[str]] = {}
        self._phrases: dict[Phrases, str] = {}
        self._segments: dict[Any, int] = {}
        self._elements: list[Segment] = []  # of each segment; none for a spaCy token pattern
        self._patterns: list[Any] = []  # the same for spaCy
        self._matchers: dict[int, SpacyMatcher] = {}
        self._chains: list[tuple[Owner, tuple[int, ...], tuple[int, ...]]] = []
        triggers: dict[str, set[int]] = defaultdict(set)
        for owner, pattern in self._owned_patterns():
            compiled: list[Chain | str | RawPattern] = [*chains(pattern, owner[1])]
            for chain in compiled or [pattern]:
                self._add(owner, chain, triggers)
        for rule in book.rules.values():
            if rule.spread:
                self._add(("spread", rule.id), Chain(((Label(rule.spread.lexicon),),), (0,)), triggers)
        for name in sorted({name for rule in book.rules.values() if rule.page for name in rule.page.names}):
            self._add(("named", name), Chain(((Label(name),),), (0,)), triggers)
        self._cue_chains = {number for number, (owner, *_) in enumerate(self._chains) if owner[0] == "cue"}
        trigger_words = sorted(triggers)
        self._trigger_chains = [sorted(triggers[word]) for word in trigger_words]
        self._automaton = ahocorasick_rs.AhoCorasick(trigger_words)

    def _owned_patterns(self) -> Iterable[tuple[Owner, str | RawPattern]]:
        for rule in self.book.rules.values():
            yield from ((("rule", rule.id), pattern) for pattern in rule.patterns)
            yield from ((("on_offer", rule.id), pattern) for pattern in rule.on_offer)
            yield from ((("unless", rule.id), pattern) for pattern in rule.unless)
            if rule.page:
                yield from ((("present", rule.id), pattern) for pattern in rule.page.present)
                yield from ((("absent", rule.id), pattern) for pattern in rule.page.absent)
        for cue in self.book.cues:
            yield from ((("cue", cue.id), pattern) for pattern in cue.patterns)
        for name, patterns in self.book.frames.items():
            yield from (((name, name), pattern) for pattern in patterns)

    def _add(self, owner: Owner, chain: Chain | str | RawPattern, triggers: dict[str, set[int]]) -> None:
        number = len(self._chains)
        if isinstance(chain, Chain):
            named = [tuple(map(self._name, segment)) for segment in chain.segments]
            self._chains.append((owner, tuple(map(self._segment, named)), chain.gaps))
            words = self._trigger([element for segment in chain.segments for element in segment], owner)
        else:
            self._chains.append((owner, (self._segment(chain),), (0,)))
            words = _raw_trigger(chain, owner)
        for word in words:
            triggers[word].add(number)

    def _name(self, element: Element) -> Element:
        """Give a list of phrases a label, as a lexicon has."""
        if not isinstance(element, Phrases):
            return element
        if element not in self._phrases:
            self._phrases[element] = f"phrases{len(self._phrases)}"
            for phrase in sorted(element.entries):
                self._lexicons.add(self._phrases[element], phrase)
        return Label(self._phrases[element])

    def _segment(self, segment: Segment | str | RawPattern) -> int:
        key = segment if isinstance(segment, tuple) else repr(segment)
        if key not in self._segments:
            self._segments[key] = len(self._patterns)
            compact = isinstance(segment, tuple)
            self._elements.append(segment if isinstance(segment, tuple) else ())
            self._patterns.append(list(map(_token_pattern, self._elements[-1])) if compact else segment)
            if not compact:
                self._matcher(self._segments[key])  # spaCy checks it; what we compile ourselves can wait until it is needed
        return self._segments[key]

    def _matcher(self, number: int) -> SpacyMatcher:
        """The Matcher of a segment, made when first needed: most texts need few of some thousands."""
        if number not in self._matchers:
            matcher = SpacyMatcher(self._nlp.vocab)
            try:
                matcher.add("segment", [self._patterns[number]], greedy="LONGEST")
            except ValueError as error:
                raise RuleError(f"spaCy token pattern {self._patterns[number]!r}: {error}") from None
            self._matchers[number] = matcher
        return self._matchers[number]

    def _trigger(self, elements: list[Element], owner: Owner) -> list[str]:
        """The words of the element that is rarest in text: one of them is present wherever the chain matches."""
        options = [words for words in map(self._words_of, elements) if words]
        if not options:
            raise RuleError(f"{owner[1]}: a pattern of numbers only needs a word beside them")
        return min(options, key=lambda words: sum(50 if w in _COMMON else 1 for w in words))

    def _lexicon_triggers(self, name: str) -> set[str]:
        if name not in self._triggers:
            self._triggers[name] = {_rarest([w.lower() for w in split_words(e)]) for e in self.book.lexicons[name]}
        return self._triggers[name]

    def _words_of(self, element: Element) -> list[str]:
        if isinstance(element, Word):
            words = set(element.forms)
        elif isinstance(element, Phrases):
            words = set(map(_rarest, element.entries))
        elif element.name in self.book.lexicons:
            words = self._lexicon_triggers(element.name)
        else:
            words = set(_SHAPE_TRIGGERS.get(element.name, ()))
        # spaCy splits "cannot" in two
        return sorted(words | ({"cannot"} if words & {"can", "not"} else set()))

    def sentences(self, document: Document) -> list[SentenceMatches]:
        """Sentences in which a rule, or an entry counted by a rule, was found, with their cues."""
        candidates: dict[int, set[int]] = defaultdict(set)
        starts = [sentence.start for sentence in document.sentences]
        lower = document.lower
        for number, start, end in self._automaton.find_matches_as_indexes(lower, overlapping=True):
            # a trigger inside a longer word is none, but "n't" and "'re" hang on their word, and "would" stands in "wouldn't"
            if lower[start].isalpha() and start and lower[start - 1].isalpha() and lower[start:end] != "n't":
                continue
            if end < len(lower) and lower[end - 1].isalpha() and lower[end].isalpha() and lower[end : end + 3] != "n't":
                continue
            where = bisect_right(starts, start) - 1
            if where >= 0:
                candidates[where].update(self._trigger_chains[number])
        found = []
        for where, numbers in sorted(candidates.items()):
            if any(self._chains[number][0][0] in _EVIDENCE for number in numbers):
                matches = self._match(document, where, numbers)
                if any(map(matches.of, _EVIDENCE)):
                    found.append(matches)
        return found

    def match_all(self, document: Document, sentence: int) -> SentenceMatches:
        """All matches in a sentence, found without the prefilter."""
        return self._match(document, sentence, set(range(len(self._chains))))

    def cues(self, document: Document, sentence: int) -> list[str]:
        """Ids of the cues in a sentence, whatever else it holds."""
        return [match.owner[1] for match in self._match(document, sentence, self._cue_chains).of("cue")]

    def _match(self, document: Document, where: int, numbers: set[int]) -> SentenceMatches:
        sentence = document.sentences[where]
        doc, spans = self._tokenise(document.text[sentence.start : sentence.end], sentence.start)
        words = [token.text for token in doc]
        lower = [word.lower() for word in words]
        entries = self._entries(words, lower, spans, document.lower[sentence.start : sentence.end], sentence.start)
        result = SentenceMatches(where, spans, words, entries=entries)
        places: _Places = {name: list(found) for name, found in entries.items()}
        for position, word in enumerate(lower):
            places.setdefault(word, []).append((position, position + 1))
        possible: dict[int, bool] = {}
        chosen = []
        for number in sorted(numbers):
            segments = self._chains[number][1]
            for segment in segments:
                if segment not in possible:
                    possible[segment] = _adjacent(self._elements[segment], places)
                if not possible[segment]:
                    break
            else:
                chosen.append(number)
        needed = {segment for number in chosen for segment in self._chains[number][1]}
        _write_labels(doc, entries, {e.name for segment in needed for e in self._elements[segment] if isinstance(e, Label)})
        cache: dict[int, list[tuple[int, int]]] = {}
        for number in chosen:
            owner, segments, gaps = self._chains[number]
            for segment in segments:
                if segment not in cache:
                    cache[segment] = sorted((s, e) for _, s, e in self._matcher(segment)(doc))
            for parts in _join([cache[segment] for segment in segments], gaps):
                result.matches[owner[0]].append(Match(owner, parts))
        return result

    def _tokenise(self, text: str, offset: int) -> tuple[Doc, list[tuple[int, int]]]:
        doc = self._nlp.make_doc(separate(text))
        kept = [token for token in doc if not token.is_space and token.text not in ("'", "''")]
        spans = [(offset + token.idx, offset + token.idx + len(token)) for token in kept]
        if len(kept) != len(doc):
            doc = Doc(self._nlp.vocab, words=[token.text for token in kept])
        return doc, spans

    def _entries(
        self, words: list[str], lower: list[str], spans: list[tuple[int, int]], text: str, offset: int
    ) -> dict[str, list[tuple[int, int]]]:
        """Token spans of the entries of every lexicon and shape."""
        entries: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for name, start, end in self._lexicons.mark(words, lower):
            entries[name].append((start, end))
        starts = [start for start, _ in spans]
        for name, start, end in _shapes(text):
            first = max(bisect_right(starts, start + offset) - 1, 0)
            entries[name].append((first, bisect_right(starts, end + offset - 1)))
        return entries


_Places = dict[str, list[tuple[int, int]]]  # where words and entries stand, in tokens


def _adjacent(elements: Segment, places: _Places) -> bool:
    """Whether the elements stand one after the other somewhere: far cheaper to see than to run a Matcher in vain."""
    ends: set[int] | None = None
    for element in elements:
        names = (element.name,) if isinstance(element, Label) else _forms(element)
        ends = {end for name in names for start, end in places.get(name, ()) if ends is None or start in ends}
        if not ends:
            return False
    return True


def _write_labels(doc: Doc, entries: dict[str, list[tuple[int, int]]], names: set[str]) -> None:
    """Write the labels of each token into its MORPH, the one set-valued attribute that the Matcher reads."""
    by_token: dict[int, set[str]] = defaultdict(set)
    for name in names:
        for start, end in entries.get(name, ()):
            for position in range(start, end):
                by_token[position].add(name)
    for position, labels in by_token.items():
        doc[position].set_morph("L=" + ",".join(sorted(labels)))  # type: ignore[attr-defined]  # missing in spaCy's stubs


def _rarest(words: Sequence[str]) -> str:
    return max(words, key=lambda word: (word not in _COMMON, len(word)))


def _forms(element: Element) -> frozenset[str]:
    assert isinstance(element, Word)  # lists of phrases were named, and have become labels
    return element.forms


def _token_pattern(element: Element) -> dict[str, Any]:
    if isinstance(element, Label):
        return {"MORPH": {"IS_SUPERSET": [f"L={element.name}"]}, "OP": "+"}
    forms = sorted(_forms(element))
    return {"LOWER": forms[0] if len(forms) == 1 else {"IN": forms}}


def _raw_trigger(pattern: str | RawPattern, owner: Owner) -> list[str]:
    """Words of a token of a spaCy pattern that must be present: LOWER with a value or IN, and no optional operator."""
    best: list[str] = []
    for token in pattern:
        lower = token.get("LOWER") if isinstance(token, dict) and token.get("OP", "1") in ("1", "+") else None
        words = [lower] if isinstance(lower, str) else lower.get("IN", []) if isinstance(lower, dict) else []
        if words and (not best or len(words) < len(best)):
            best = words
    if not best:
        raise RuleError(f"{owner[1]}: the spaCy pattern {pattern!r} needs a token with LOWER that is not optional")
    return best


def _join(spans: list[list[tuple[int, int]]], gaps: tuple[int, ...]) -> Iterable[tuple[tuple[int, int], ...]]:
    """Chains of spans, one from each list, that follow each other within the gaps; the shortest for each beginning."""

    def follow(level: int, end: int) -> tuple[tuple[int, int], ...] | None:
        if level == len(spans):
            return ()
        for span in spans[level]:
            if end <= span[0] <= end + gaps[level]:
                rest = follow(level + 1, span[1])
                if rest is not None:
                    return (span, *rest)
        return None

    for first in spans[0]:
        rest = follow(1, first[1])
        if rest is not None:
            yield (first, *rest)
