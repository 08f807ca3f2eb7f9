"""The tables in ``tests/cases``: who asserts a claim, and why a mention is not counted."""

from dataclasses import dataclass

import pytest

from als_redflags.matcher import Match
from als_redflags.rulebook import STANCES, Cue
from als_redflags.stance import (
    Finding,
    StanceReader,
    Topic,
    Voice,
    _Candidate,
    _clause,
    _Discount,
    _governs,
    _merge,
    _own_words,
    _part_of_claim,
    _tightest,
    _topic,
    _voice,
    _without_borrowed_honesty,
)  # fmt: skip
from als_redflags.text import Document
from tests.conftest import ROOT

CASES = ROOT / "tests" / "cases"


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    text: str
    flag: str
    stance: str
    reason: str


def rows(name: str) -> list[Case]:
    lines = [line for line in (CASES / name).read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [Case(row[0].replace("<br>", "\n"), *row[1:]) for row in cells if row[1] != "flag"]


def outcome(reader: StanceReader, case: Case) -> bool:
    found = [f for f in reader.read(Document.of(case.text)).all if f.rule.id == case.flag]
    if case.stance == "asserted":
        return any(f.asserted for f in found)
    # which of several good reasons is named first matters less than that the claim is not counted
    return not any(f.asserted for f in found) and (case.stance == "silent" or bool(found))


@pytest.mark.parametrize("case", rows("stance.md"), ids=lambda case: case.text[:60])
def test_case(reader: StanceReader, case: Case) -> None:
    found = [(f.stance, f.cue) for f in reader.read(Document.of(case.text)).all if f.rule.id == case.flag]
    assert outcome(reader, case), f"expected {case.stance} ({case.reason}), found {found}"


@pytest.mark.parametrize("case", rows("stance_known_failures.md"), ids=lambda case: case.text[:60])
def test_known_failure_still_fails(reader: StanceReader, case: Case) -> None:
    assert not outcome(reader, case), "passes now: move it to stance.md"


def test_tables_are_large_and_well_formed(reader: StanceReader) -> None:
    cases = rows("stance.md")
    assert len(cases) >= 200
    assert len({case.text + case.flag for case in cases}) == len(cases)
    rules = reader.matcher.book.rules
    for case in [*cases, *rows("stance_known_failures.md")]:
        assert case.stance in (*STANCES, "asserted", "silent"), case
        assert rules[case.flag].role == "red_flag"
        assert case.reason


# The parts of the decision, each by itself.


def match(*parts: tuple[int, int], owner: str = "r") -> Match:
    return Match(("rule", owner), parts)


def cue(scope: str, reach: int = 3, stance: str = "negated") -> Cue:
    return Cue("c", stance, scope, reach, sellers_too=True, patterns=())


@pytest.mark.parametrize(
    ("scope", "cue_at", "claim", "breaks", "governs"),
    [
        ("before", (0, 1), [(1, 3)], [], True),
        ("before", (0, 1), [(4, 5)], [], True),  # three words between: as far as it reaches
        ("before", (0, 1), [(5, 6)], [], False),
        ("before", (0, 1), [(4, 5)], [2], False),
        ("before", (0, 1), [(4, 5)], [1], False),  # a break right after the cue
        ("before", (0, 1), [(4, 5)], [4], True),  # a break that begins the claim stands between nothing
        ("before", (0, 1), [(4, 5)], [0], True),
        ("before", (5, 6), [(1, 2)], [], False),
        ("before", (3, 4), [(0, 1), (6, 7)], [], True),  # between the parts of the claim it reaches the later one
        ("before", (0, 2), [(1, 3)], [], False),  # it overlaps the claim: it is part of it
        ("before", (1, 2), [(0, 1), (2, 3)], [], True),  # it only touches
        ("after", (3, 4), [(0, 2)], [], True),
        ("after", (5, 6), [(0, 2)], [], True),
        ("after", (6, 7), [(0, 2)], [], False),
        ("after", (2, 3), [(0, 2)], [], True),
        ("after", (3, 4), [(0, 2)], [2], False),
        ("after", (0, 1), [(3, 4)], [], False),
        ("sentence", (90, 91), [(0, 2)], [40], True),
        ("sentence", (0, 1), [(0, 2)], [], True),
        ("heading", (0, 1), [(1, 2)], [], False),
    ],
)
def test_what_a_cue_governs(
    scope: str, cue_at: tuple[int, int], claim: list[tuple[int, int]], breaks: list[int], governs: bool
) -> None:
    assert _governs(cue(scope), match(cue_at), match(*claim), breaks) is governs


def test_of_overlapping_readings_the_shortest_counts() -> None:
    long, short, beside, other = match((0, 6)), match((2, 5)), match((6, 8)), match((0, 6), owner="s")
    assert _tightest([long, short, beside, other]) == [other, short, beside]
    assert _tightest([match((0, 2)), match((2, 4))]) == [match((0, 2)), match((2, 4))], "they only touch"
    assert _tightest([match((1, 3)), match((0, 2))]) == [match((0, 2))], "of equal length the first"


@pytest.mark.parametrize(
    ("stance", "cue_at", "readings", "part"),
    [
        ("negated", (3, 4), [match((2, 6))], True),
        ("hypothetical", (2, 6), [match((2, 6))], True),
        ("warned", (3, 4), [match((2, 6))], False),
        ("negated", (1, 4), [match((2, 6))], False),
        ("negated", (3, 7), [match((2, 6))], False),
        ("negated", (3, 4), [match((2, 3), (5, 6))], False),  # it stands in the gap
        ("negated", (3, 4), [match((2, 6), owner="other")], False),
        ("negated", (9, 10), [match((8, 12))], False),  # another place
        ("negated", (1, 2), [match((1, 4))], False),  # it only touches the claim
        ("negated", (6, 7), [match((6, 9))], False),
    ],
)
def test_a_cue_inside_a_longer_reading_of_the_claim(
    stance: str, cue_at: tuple[int, int], readings: list[Match], part: bool
) -> None:
    claim = match((4, 6))
    assert _part_of_claim(cue("before", stance=stance), match(cue_at), claim, [claim, *readings]) is part


@pytest.mark.parametrize(
    ("offers", "honest", "n_words", "voice"),
    [
        (1, 0, 10, "seller"), (2, 1, 500, "seller"), (1, 1, 500, "unclear"), (0, 0, 10, "unclear"), (0, 0, 500, "unclear"),
        (0, 1, 59, "unclear"), (0, 1, 60, "reporter"), (0, 2, 59, "reporter"), (1, 2, 60, "reporter"), (1, 2, 59, "unclear"),
        (1, 3, 59, "reporter"),
    ],
)  # fmt: skip
def test_voice(offers: int, honest: int, n_words: int, voice: str) -> None:
    assert _voice(offers, honest, n_words) == voice


TREATMENT, ILLNESS, LAWFUL, NEUTRAL = "We inject stem cells.", "He has leukaemia.", "Dental implants hold.", "We repair bicycles."


@pytest.mark.parametrize(
    ("text", "n_words", "topic"),
    [
        (TREATMENT, 10, "treatment"),
        (TREATMENT, 900, "treatment"),
        (NEUTRAL, 24, "illness"),
        (NEUTRAL, 25, "none"),
        (ILLNESS, 24, "illness"),
        (ILLNESS, 59, "illness"),
        (ILLNESS, 60, "none"),
        (LAWFUL, 10, "none"),
        (f"{LAWFUL} {ILLNESS}", 10, "none"),
        (f"{LAWFUL} {TREATMENT}", 10, "treatment"),
    ],
)
def test_topic(reader: StanceReader, text: str, n_words: int, topic: str) -> None:
    assert _topic(reader.matcher.sentences(Document.of(text)), n_words) == topic


@pytest.mark.parametrize(
    ("sentence", "claim", "clause"),
    [
        ("We cure ALS, and more.", "cure ALS", "We cure ALS, and more."),  # short: the whole sentence
        (f"We cure ALS; {'x' * 160}", "cure ALS", "We cure ALS"),
        (f"{'x' * 160}; we cure ALS", "cure ALS", "we cure ALS"),
        (f"{'x' * 160} \u2014 we cure ALS - {'y' * 160}", "cure ALS", "we cure ALS"),
        (f"{'x' * 160}, and we cure ALS, but {'y' * 160}", "cure ALS", "and we cure ALS"),
        (f"{'x' * 160}, we cure ALS, {'y' * 160}", "cure ALS", "we cure ALS"),  # commas where there is nothing stronger
        (f"{'x' * 100}; {'y' * 60}, we cure ALS", "cure ALS", f"{'y' * 60}, we cure ALS"),  # and only where it is still too long
        (f"{'x' * 340} cure ALS", "cure ALS", "cure ALS"),  # nowhere to cut: the claim alone
        (f"{'x' * 200} cure ALS", "cure ALS", f"{'x' * 200} cure ALS"),
        (f"we cure; and {'x' * 140} ALS; {'y' * 200}", f"cure; and {'x' * 140} ALS", f"we cure; and {'x' * 140} ALS"),
    ],
)
def test_the_telling_clause(sentence: str, claim: str, clause: str) -> None:
    text = f"Before. {sentence} After; it."
    start = text.index(claim)
    left, right = _clause(text, 8, 8 + len(sentence), start, start + len(claim))
    assert text[left:right] == clause


def test_findings_by_role_and_stance(reader: StanceReader) -> None:
    text = "Our clinic offers stem cell therapy. It cures ALS. We cannot guarantee any improvement. Call us to book now."
    found = reader.read(Document.of(text))
    assert found.voice == "seller"
    assert found.topic == "treatment"
    assert {f.rule.role for f in found.flags} == {"red_flag"}
    assert {f.rule.id for f in found.flags} >= {"cure-claim"}
    assert [f.rule.id for f in found.of("offer")]
    assert all(f.asserted for f in [*found.flags, *found.of("offer")])
    assert {(f.rule.id, f.stance, f.cue) for f in found.discounted} == {("guaranteed-improvement", "negated", "cannot")}
    assert [f.start for f in found.all] == sorted(f.start for f in found.all)
    assert len(found.flags) + len(found.discounted) == sum(f.rule.role == "red_flag" for f in found.all)


LONG = "The history of the town is long, and people who live there tell it gladly to all who come by in the evening. " * 4


ELSEWHERE = "no unproven treatment is named in this text"


@pytest.mark.parametrize(
    ("text", "flag", "stance", "cue"),
    [
        ("Do stem cells cure ALS?", "cure-claim", "asked", "?"),
        ('The old sign "stem cells cure ALS" hung there.', "cure-claim", "quoted", '"'),
        ("Stem cells do not cure ALS.", "cure-claim", "negated", "not"),
        (f"{LONG}\nOur soap is safe and has no side effects.", "no-risk-claim", "accepted_care", ELSEWHERE),
    ],
)
def test_the_reason_is_named(reader: StanceReader, text: str, flag: str, stance: str, cue: str) -> None:
    assert [(f.stance, f.cue) for f in reader.read(Document.of(text)).all if f.rule.id == flag] == [(stance, cue)]


DISEASES = ["ALS", "autism", "diabetes", "arthritis", "stroke", "lupus", "dementia", "asthma"]


def spread_ids(reader: StanceReader, text: str) -> set[str]:
    return {f.rule.id for f in reader.read(Document.of(text)).flags if f.rule.spread}


def test_many_diseases_close_together_are_a_list(reader: StanceReader) -> None:
    offer = "Our clinic offers stem cell therapy. Call us to book now. "
    (rule,) = spread_ids(reader, f"{offer}We treat {', '.join(DISEASES)}.")
    bullets = "\n".join(f"- {disease}" for disease in DISEASES)
    assert spread_ids(reader, f"{offer}\nWe treat:\n{bullets}") == {rule}
    far = "\n\n".join(f"We treat {disease}.\n\nIt is far.\n\nIt is cold.\n\nIt is late." for disease in DISEASES)
    assert spread_ids(reader, f"{offer}\n{far}") == set(), "entries that stand far apart are no list"
    found = [f for f in reader.read(Document.of(f"{offer}\nWe treat:\n{bullets}")).all if f.rule.id == rule]
    assert len(found) == 1


def test_a_list_is_as_discounted_as_its_heading(reader: StanceReader) -> None:
    bullets = "\n".join(f"- stem cells for {disease}" for disease in DISEASES)
    text = f"Be wary of clinics that offer all of the following:\n{bullets}"
    assert {f.stance for f in reader.read(Document.of(text)).all if f.rule.spread} <= {"warned", "attributed"}
    assert spread_ids(reader, text) == set()


def test_headings_above_headings_discount_too(reader: StanceReader) -> None:
    middle = "This is the first of the things that were written to us by those who came back from such a place, in order:"
    for levels in (0, 1, 9, 3_000):
        text = "Warning signs\n\n" + f"{middle}\n" * levels + "- our stem cells cure ALS"
        found = [f for f in reader.read(Document.of(text)).all if f.rule.id == "cure-claim"]
        assert len(found) == 1
        if levels in (0, 1):
            assert found[0].stance == "warned"


@pytest.mark.parametrize("flag", ["cure-claim"])
def test_overlapping_candidates_of_a_rule_are_one_and_the_asserted_reading_decides(reader: StanceReader, flag: str) -> None:
    rule = reader.matcher.book.rules[flag]
    doubt = _Discount("negated", "not", True)
    discounted, asserted = _Candidate(rule, 0, 10, 0, (doubt,)), _Candidate(rule, 5, 20, 1, ())
    for order in ([discounted, asserted], [asserted, discounted]):
        assert _merge(order) == [_Candidate(rule, 0, 20, 0, ())]
    apart = [_Candidate(rule, 0, 10, 0, (doubt,)), _Candidate(rule, 10, 20, 0, ())]
    assert _merge(apart) == apart, "they only touch"
    inside = _Candidate(rule, 2, 4, 0, (doubt,), offer_only=True)
    assert _merge([inside, discounted]) == [discounted]
    assert _merge([inside, inside])[0].offer_only
    other = _Candidate(reader.matcher.book.rules["no-risk-claim"], 1, 9, 0, ())
    assert len(_merge([discounted, other, asserted])) == 2, "other rules between do not part them"


def test_honest_frames_in_small_print_are_borrowed(reader: StanceReader) -> None:
    rules = reader.matcher.book.rules.values()
    honest = next(r for r in rules if r.role == "honest")
    credential = next(r for r in rules if r.credential)
    small, plain = _Candidate(honest, 0, 5, 0, ()), _Candidate(honest, 9, 12, 1, ())
    token = _Candidate(credential, 0, 5, 0, ())
    assert _without_borrowed_honesty([small, token, plain]) == [token, plain]


def test_own_words_are_those_of_sentences_without_claim_or_credential(reader: StanceReader) -> None:
    document = Document.of("Three plain words. Our cells cure ALS. Two words.")
    claim = _Candidate(reader.matcher.book.rules["cure-claim"], 19, 38, 1, ())
    offer = _Candidate(next(r for r in reader.matcher.book.rules.values() if r.role == "offer"), 0, 5, 0, ())
    assert _own_words(document, []) == 9
    assert _own_words(document, [claim]) == 5
    assert _own_words(document, [claim, offer]) == 5


def settled(
    reader: StanceReader,
    flag: str,
    voice: Voice,
    topic: Topic,
    *discounts: _Discount,
    long: bool = False,
    offer_only: bool = False,
) -> str:
    candidate = _Candidate(reader.matcher.book.rules[flag], 0, 5, 0, discounts, offer_only)
    return candidate.settle(voice, topic, "frame", long=long).stance


def test_how_a_claim_is_settled(reader: StanceReader) -> None:
    hedge, doubt = _Discount("hypothetical", "may", False), _Discount("negated", "not", True)
    assert settled(reader, "cure-claim", "seller", "treatment", hedge) == "asserted"
    assert settled(reader, "cure-claim", "unclear", "treatment", hedge) == "hypothetical"
    assert settled(reader, "cure-claim", "seller", "treatment", hedge, doubt) == "negated"
    assert settled(reader, "cure-claim", "seller", "none") == "accepted_care"
    assert settled(reader, "cure-claim", "reporter", "treatment") == "attributed"
    assert settled(reader, "cure-claim", "unclear", "illness", long=True) == "asserted", "an outright claim is one anywhere"
    assert settled(reader, "cure-claim", "unclear", "illness", offer_only=True) == "accepted_care"
    assert settled(reader, "cure-claim", "unclear", "treatment", offer_only=True) == "attributed"
    assert settled(reader, "cure-claim", "seller", "treatment", offer_only=True) == "asserted"
    minor = next(r.id for r in reader.matcher.book.rules.values() if r.severity == "medium" and not r.needs_offer)
    assert settled(reader, minor, "unclear", "treatment", long=True) == "attributed"
    assert settled(reader, minor, "unclear", "treatment") == "asserted"
    assert settled(reader, minor, "seller", "treatment", long=True) == "asserted"


def test_pages_that_leave_something_out(reader: StanceReader) -> None:
    rules = [rule for rule in reader.matcher.book.rules.values() if rule.page]
    assert rules
    for rule in rules:
        assert rule.page is not None
        for text, expected in [*((t, True) for t in rule.fires), *((t, False) for t in rule.silent)]:
            found = [f for f in reader.read(Document.of(text)).all if f.rule.id == rule.id]
            assert any(f.asserted for f in found) is expected, text[-200:]
            if expected and rule.by_absence:
                short = Document.of(text[: len(text) // 3])
                if short.n_words < rule.page.min_words:
                    assert rule.id not in {f.rule.id for f in reader.read(short).all}, "too short to miss anything"


def test_a_warning_speaks_as_a_reporter(reader: StanceReader) -> None:
    text = (ROOT / "examples" / "regulator_warning.txt").read_text("utf-8")
    found = reader.read(Document.of(text))
    assert found.voice == "reporter"
    assert found.flags == []
    honest = found.of("honest")
    assert honest
    frame = Document.of(text).text[honest[0].start : honest[0].end]
    unread = [f for f in found.discounted if f.stance == "attributed" and f.cue == frame]
    assert all(f.cue for f in found.discounted)
    assert unread or {f.stance for f in found.discounted}


def listing(reader: StanceReader, *parts: str) -> list[Finding]:
    text = "\n\n".join(["Our clinic offers stem cell therapy. Call us to book now.", *parts])
    return [f for f in reader.read(Document.of(text)).flags if f.rule.spread]


APART = "It is far.\n\nIt is cold.\n\nIt is late.\n\nIt is dark."


def test_a_run_of_entries_begins_again_after_a_gap(reader: StanceReader) -> None:
    rule = next(rule for rule in reader.matcher.book.rules.values() if rule.spread)
    assert rule.spread is not None
    just = [f"We see {disease}." for disease in DISEASES[: rule.spread.terms]]
    assert listing(reader, *just), "just enough entries"
    assert not listing(reader, *just[:-1]), "one too few"
    assert listing(reader, "We see asthma.", APART, *just), "the first of the new run counts"
    assert listing(reader, *just, APART, "We see asthma.")
    between = [part for line in just for part in (line, "It is cold.")]
    assert listing(reader, *between), "one sentence between"
    assert not listing(reader, *[part for line in just for part in (line, "It is cold.", "It is late.", "It is dark.")])


def test_the_shortest_part_of_a_run_is_the_evidence(reader: StanceReader) -> None:
    line = f"We treat {', '.join(DISEASES)}."
    parts = ["We see asthma.", line, "We see lupus."]
    (found,) = listing(reader, *parts)
    text = "\n\n".join(["Our clinic offers stem cell therapy. Call us to book now.", *parts])
    assert text[found.start : found.end] == line
