"""Who is speaking: whether a matched claim is asserted by a seller or only mentioned.

A match is *asserted* unless a cue discounts it: in its sentence (negation, attribution, warning, condition, history),
in the heading that governs its block, by quotation marks, by being a question, or by the voice of the whole document
(a regulator's letter that quotes an advertisement sells nothing). Cues are data: ``rules/stance.yaml``. The approach
follows ConText (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002): cues with a direction, a reach and terminators,
and longer pseudo-cues that take precedence ("not only").
"""

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from als_redflags.compiled import Owner
from als_redflags.matcher import Match, RuleMatcher, SentenceMatches
from als_redflags.rulebook import STANCES, Cue, Rule, Spread
from als_redflags.text import Document

Voice = Literal["seller", "reporter", "unclear"]
Topic = Literal["treatment", "illness", "none"]  # what a text names: an unproven treatment; in a short text, illness at least


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule met in a document, with offsets into the cleaned text.

    ``stance`` is ``asserted`` or the reason it was discounted; ``cue`` quotes the words that discounted it.
    """

    rule: Rule
    start: int
    end: int
    stance: str
    cue: str | None = None

    @property
    def asserted(self) -> bool:
        return self.stance == "asserted"


@dataclass(frozen=True)
class Findings:
    """What the rule layer found: every finding in reading order, the voice of the document and what it is about."""

    all: tuple[Finding, ...]
    voice: Voice
    topic: Topic

    def of(self, role: str) -> list[Finding]:
        """Asserted findings of the rules of one role."""
        return [f for f in self.all if f.rule.role == role and f.asserted]

    @property
    def flags(self) -> list[Finding]:
        return self.of("red_flag")

    @property
    def discounted(self) -> list[Finding]:
        return [f for f in self.all if f.rule.role == "red_flag" and not f.asserted]


@dataclass(frozen=True, slots=True)
class _Discount:
    stance: str
    cue: str
    sellers_too: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: Rule
    start: int
    end: int
    sentence: int
    discounts: tuple[_Discount, ...]
    offer_only: bool = False  # only patterns that need an offer matched

    def open_to(self, stance: str) -> bool:
        """Whether the rule can be discounted for this reason."""
        return stance in _OPEN_TO[self.rule.role] and stance not in self.rule.ignores

    def settle(self, voice: Voice, topic: Topic, frame: str | None, *, long: bool) -> Finding:
        """Decide the stance once the voice of the document is known.

        A page that sells does not get away with a hedge or a pair of quotation marks, and a page that reports makes no claim.
        """
        for discount in self.discounts:
            if self.open_to(discount.stance) and (discount.sellers_too or voice != "seller"):
                return Finding(self.rule, self.start, self.end, discount.stance, discount.cue)
        if self.rule.role == "red_flag":
            if topic == "none" or (self.offer_only and topic != "treatment"):
                return Finding(self.rule, self.start, self.end, "accepted_care", "no unproven treatment is named in this text")
            if voice == "reporter":
                return Finding(self.rule, self.start, self.end, "attributed", frame)
            for_sale = self.rule.needs_offer or self.offer_only or (long and self.rule.points < _OUTRIGHT)
            if for_sale and voice != "seller":
                return Finding(self.rule, self.start, self.end, "attributed", frame or "nothing is on offer in this text")
        return Finding(self.rule, self.start, self.end, "asserted")


# An offer may be a question, and a negation near it is rarely about the offer; an honest frame stays one whoever speaks.
_OPEN_TO: dict[str, frozenset[str]] = {
    "red_flag": frozenset(STANCES),
    "offer": frozenset({"attributed", "warned"}),
    "honest": frozenset(),
    "legitimacy": frozenset({"negated", "warned", "asked"}),
}
_QUOTATION = re.compile(r'"[^"\n]{1,400}"')
_SHORT_WORDS = 60  # shorter texts, as advertisements are, may leave their product to the page around them
_OUTRIGHT = 3  # points of a claim that is one wherever it stands; the others need somebody who sells in a longer text
_BARE_WORDS = 25  # a headline or a line of a list may leave its whole subject to the page around it
_HEADING_LEVELS = 10  # headings above headings; a page of nothing but lead-ins would have thousands
_SPREAD_DISTANCE = 2  # sentences without an entry that a list may contain
_SPREAD_MAX_CHARS = 700
_SPREAD_SENTENCES = 12  # a list in which the entries stand further apart is no list


class StanceReader:
    """Applies a compiled rule book to documents and settles the stance of every match."""

    def __init__(self, matcher: RuleMatcher) -> None:
        self.matcher = matcher
        self._cues = {cue.id: cue for cue in matcher.book.cues}
        self._precedence = {cue.id: rank for rank, cue in enumerate(matcher.book.cues)}

    def read(self, document: Document) -> Findings:
        """Find every rule in ``document`` and say who asserts it."""
        sentences = self.matcher.sentences(document)
        blocks = _Blocks(self, document, sentences)
        candidates: list[_Candidate] = []
        for found in sentences:
            claims = [*found.of("rule"), *found.of("on_offer")]
            if claims:
                candidates += self._candidates(document, found, claims, blocks)
        candidates += self._spreads(document, sentences, blocks)
        merged = _without_borrowed_honesty(_merge(candidates))

        offers = [c for c in merged if c.rule.role == "offer" and not any(c.open_to(d.stance) for d in c.discounts)]
        honest = [c for c in merged if c.rule.role == "honest"]
        n_words = _own_words(document, merged)
        voice = _voice(len({c.rule.id for c in offers}), len({c.rule.id for c in honest}), n_words)
        topic = _topic(sentences, n_words)
        frame = document.text[honest[0].start : honest[0].end] if honest else None
        settled = [c.settle(voice, topic, frame, long=n_words >= _SHORT_WORDS) for c in merged]
        if voice == "seller" and topic == "treatment":
            settled += self._page_conditions(document, sentences, offers[0])
        return Findings(tuple(sorted(settled, key=lambda f: f.start)), voice, topic)

    def _page_conditions(self, document: Document, sentences: list[SentenceMatches], offer: _Candidate) -> list[Finding]:
        """Rules about a whole page that sells; their evidence is the first offer on it."""
        rules = [rule for rule in self.matcher.book.rules.values() if rule.page and document.n_words >= rule.page.min_words]
        if not rules:
            return []
        met = {match.owner for found in sentences for kind in ("named", "present", "absent") for match in found.of(kind)}
        return [
            Finding(rule, offer.start, offer.end, "asserted")
            for rule in rules
            if rule.page
            and all(("named", name) in met for name in rule.page.names)
            and (not rule.page.present or ("present", rule.id) in met)
            and ("absent", rule.id) not in met
        ]

    def _candidates(self, document: Document, found: SentenceMatches, claims: list[Match], blocks: "_Blocks") -> list[_Candidate]:
        sentence = document.sentences[found.sentence]
        cues = self._live_cues(found)
        breaks = [match.start for match in found.of("break")]
        cancelled = {match.owner[1]: match for match in found.of("unless")}
        by_block = blocks.discounts(sentence.block)
        asked = document.text[sentence.end - 1] == "?" and not found.of("rhetorical")
        candidates = []
        for match in _tightest(claims):
            rule = self.matcher.book.rules[match.owner[1]]
            discounts = []
            if rule.id in cancelled:
                start, end = found.offsets(cancelled[rule.id].start, cancelled[rule.id].end)
                discounts.append(_Discount("accepted_care", document.text[start:end], True))
            for cue, cue_match in cues:
                if _governs(cue, cue_match, match, breaks) and not _part_of_claim(cue, cue_match, match, claims):
                    start, end = found.offsets(cue_match.start, cue_match.end)
                    discounts.append(_Discount(cue.stance, document.text[start:end], cue.sellers_too))
            if asked:
                discounts.append(_Discount("asked", "?", True))
            start, end = found.offsets(match.start, match.end)
            if blocks.quoted(sentence.block, start, end):
                discounts.append(_Discount("quoted", '"', False))
            start, end = _clause(document.text, sentence.start, sentence.end, start, end)
            candidates.append(_Candidate(rule, start, end, found.sentence, (*discounts, *by_block), match.owner[0] == "on_offer"))
        return candidates

    def _live_cues(self, found: SentenceMatches) -> list[tuple[Cue, Match]]:
        """Cues of the sentence in order of precedence, without those that a pseudo-cue covers."""
        matches = [(self._cues[match.owner[1]], match) for match in found.of("cue")]
        covered = {t for cue, match in matches if cue.stance == "none" for t in range(match.start, match.end)}
        live = [(cue, m) for cue, m in matches if cue.stance != "none" and not covered.issuperset(range(m.start, m.end))]
        return sorted(live, key=lambda pair: self._precedence[pair[0].id])

    def _spreads(self, document: Document, sentences: list[SentenceMatches], blocks: "_Blocks") -> list[_Candidate]:
        """Rules that count entries named close together ("one treatment, many diseases")."""
        candidates = []
        for rule in self.matcher.book.rules.values():
            if rule.spread is None:
                continue
            lists = self.matcher.book.includes[rule.spread.lexicon]
            run: list[SentenceMatches] = []
            for found in [*(s for s in sentences if ("spread", rule.id) in {match.owner for match in s.of("spread")}), None]:
                if found is not None and (not run or found.sentence - run[-1].sentence <= _SPREAD_DISTANCE):
                    run.append(found)
                    continue
                candidates += self._spread_candidate(document, rule, lists, run, blocks)
                run = [found] if found is not None else []
        return candidates

    def _spread_candidate(
        self, document: Document, rule: Rule, lists: tuple[str, ...], run: list[SentenceMatches], blocks: "_Blocks"
    ) -> list[_Candidate]:
        assert rule.spread is not None
        run = _shortest(run, rule.spread, lists)
        if not run:
            return []
        start = document.sentences[run[0].sentence].start
        end = min(document.sentences[run[-1].sentence].end, start + _SPREAD_MAX_CHARS)
        discounts: list[_Discount] = []
        for found in run:
            block = document.sentences[found.sentence].block
            discounts += blocks.discounts(block)
            for cue, match in self._live_cues(found):
                first, last = found.offsets(match.start, match.end)
                discounts.append(_Discount(cue.stance, document.text[first:last], cue.sellers_too))
        return [_Candidate(rule, start, end, run[0].sentence, tuple(discounts))]


def _shortest(run: list[SentenceMatches], spread: Spread, lists: tuple[str, ...]) -> list[SentenceMatches]:
    """The first of the shortest parts of a run of sentences that name enough entries of enough lists; empty if none does."""
    named = [[(name, " ".join(found.words[start:end])) for name in lists for start, end in found.entries(name)] for found in run]
    if len({term for terms in named for _, term in terms}) < spread.terms:
        return []
    for size in range(1, min(len(run), _SPREAD_SENTENCES) + 1):
        for first in range(len(run) - size + 1):
            part = [entry for terms in named[first : first + size] for entry in terms]
            if len({term for _, term in part}) >= spread.terms and len({name for name, _ in part}) >= spread.groups:
                return run[first : first + size]
    return []


class _Blocks:
    """What lies on a whole block: discounts by its heading and by the heading of that heading, and its quotations."""

    def __init__(self, reader: StanceReader, document: Document, sentences: list[SentenceMatches]) -> None:
        self._reader = reader
        self._document = document
        self._sentences = sentences
        self._by_block: dict[int, list[int]] = defaultdict(list)
        for index, sentence in enumerate(document.sentences):
            self._by_block[sentence.block].append(index)
        self._known: dict[int, list[_Discount]] = {}
        self._quotations: dict[int, list[tuple[int, int]]] = {}

    def discounts(self, block: int) -> tuple[_Discount, ...]:
        found: list[_Discount] = []
        governor = self._document.blocks[block].governor
        for _ in range(_HEADING_LEVELS):
            if governor is None:
                break
            if governor not in self._known:
                self._known[governor] = self._own(governor)
            found += self._known[governor]
            governor = self._document.blocks[governor].governor
        return tuple(found)

    def quoted(self, block: int, start: int, end: int) -> bool:
        """Whether quotation marks stand around a span of the block."""
        if block not in self._quotations:
            where = self._document.blocks[block]
            spans = [q.span() for q in _QUOTATION.finditer(self._document.text, where.start, where.end)]
            self._quotations[block] = spans
        spans = self._quotations[block]
        place = bisect_left(spans, (start,)) - 1
        return place >= 0 and end < spans[place][1]

    def _own(self, block: int) -> list[_Discount]:
        document, found = self._document, []
        # the last sentence of a long lead-in is the one that announces the list
        for sentence in self._by_block[block][-1:]:
            for match in self._sentences[sentence].of("cue"):
                cue = self._reader._cues[match.owner[1]]
                if cue.scope == "heading":
                    span = document.sentences[sentence]
                    found.append(_Discount(cue.stance, document.text[span.start : span.end], cue.sellers_too))
        return found


def _tightest(matches: list[Match]) -> list[Match]:
    """Of overlapping matches of one rule only the shortest: what it does not need stands outside it and may be a cue.

    In "clinics that promise guaranteed results" one pattern sees "promise ... results", another "guaranteed results"; to the
    second the promise is somebody else's.
    """
    kept: dict[Owner, list[Match]] = defaultdict(list)
    for match in sorted(matches, key=lambda m: (m.end - m.start, m.start)):
        of_rule = kept[match.owner]
        if all(match.end <= other.start or other.end <= match.start for other in of_rule):
            of_rule.append(match)
    return sorted((m for of_rule in kept.values() for m in of_rule), key=lambda m: (m.start, m.end, m.owner))


def _part_of_claim(cue: Cue, cue_match: Match, match: Match, claims: list[Match]) -> bool:
    """Whether a longer reading of the same rule has the negation or the hedge in it ("never had one who did not improve")."""
    return cue.stance in ("negated", "hypothetical") and any(
        start <= cue_match.start and cue_match.end <= end
        for other in claims
        if other.owner[1] == match.owner[1] and other.start < match.end and match.start < other.end
        for start, end in other.parts
    )


def _governs(cue: Cue, cue_match: Match, match: Match, breaks: list[int]) -> bool:
    """Whether a cue reaches a match: by direction and distance, and with no break between them."""
    if cue.scope == "sentence":
        return True
    if any(cue_match.start < end and start < cue_match.end for start, end in match.parts):
        return False  # a cue inside the match itself ("no side effects") belongs to the claim
    if cue.scope == "before":
        following = [start for start, _ in match.parts if start >= cue_match.end]
        if not following:
            return False
        first, last = cue_match.end, following[0]
    elif cue.scope == "after":
        first, last = match.end, cue_match.start
    else:
        return False
    return 0 <= last - first <= cue.reach and not any(first <= position < last for position in breaks)


def _without_borrowed_honesty(candidates: list[_Candidate]) -> list[_Candidate]:
    """Drop honest frames from sentences that are credentials: "not FDA approved" in small print makes no honest page."""
    borrowed = {c.sentence for c in candidates if c.rule.credential}
    return [c for c in candidates if c.rule.role != "honest" or c.sentence not in borrowed]


def _voice(offers: int, honest: int, n_words: int) -> Voice:
    """Voice of a document from the number of different offer and honest rules in it.

    One honest frame in a few words may belong to the claim itself ("backed by a phase 2 trial"), so short texts need two more.
    """
    if offers > honest:
        return "seller"
    if honest >= offers + (1 if n_words >= _SHORT_WORDS else 2):
        return "reporter"
    return "unclear"


def _own_words(document: Document, candidates: list[_Candidate]) -> int:
    """Words of the sentences that hold neither a claim nor a credential.

    What is asked of long texts only must not be asked because somebody added one more claim or disclaimer.
    """
    marked = {c.sentence for c in candidates if c.rule.role == "red_flag" or c.rule.credential}
    return sum(
        document.text.count(" ", sentence.start, sentence.end) + 1
        for index, sentence in enumerate(document.sentences)
        if index not in marked
    )


def _topic(sentences: list[SentenceMatches], n_words: int) -> Topic:
    if any(found.of("topic") for found in sentences):
        return "treatment"
    if any(found.of("lawful") for found in sentences):
        return "none"
    if n_words < _BARE_WORDS or (n_words < _SHORT_WORDS and any(found.of("short_topic") for found in sentences)):
        return "illness"
    return "none"


_STRONG_BOUNDARY = re.compile(r"[;:]\s|\s[-\u2013\u2014]\s|\u2014|,\s(?=(?:and|but|so|while|which|because|although)\s)")
_WEAK_BOUNDARY = re.compile(r",\s")
_CLAUSE_CHARS = 160


def _clause(text: str, sentence_start: int, sentence_end: int, start: int, end: int) -> tuple[int, int]:
    """The telling clause around a match: the sentence, cut at boundaries outside the match while it is too long."""
    left, right = sentence_start, sentence_end
    for boundary in (_STRONG_BOUNDARY, _WEAK_BOUNDARY):
        if right - left <= _CLAUSE_CHARS:
            break
        for cut in boundary.finditer(text, left, right):
            if cut.end() <= start:
                left = cut.end()
            elif cut.start() >= end:
                right = cut.start()
                break
    return (left, right) if right - left <= 2 * _CLAUSE_CHARS else (start, end)


def _merge(candidates: list[_Candidate]) -> list[_Candidate]:
    """Join overlapping candidates of one rule: the asserted reading, if there is one, decides."""
    merged: list[_Candidate] = []
    last: dict[str, int] = {}
    for candidate in sorted(candidates, key=lambda c: (c.start, -c.end, c.rule.id, len(c.discounts))):
        place = last.get(candidate.rule.id)
        if place is not None and candidate.start < merged[place].end:
            other = merged[place]
            discounts = min(other.discounts, candidate.discounts, key=len)
            merged[place] = _Candidate(
                other.rule,
                other.start,
                max(other.end, candidate.end),
                other.sentence,
                discounts,
                other.offer_only and candidate.offer_only,
            )
        else:
            last[candidate.rule.id] = len(merged)
            merged.append(candidate)
    return merged
