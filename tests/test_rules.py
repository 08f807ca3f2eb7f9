"""Every rule against the examples in its own file, and the structure that all rules share."""

import re
from collections import Counter

import pytest

from als_redflags.patterns import Label
from als_redflags.render import rules_markdown
from als_redflags.rulebook import Rule, RuleBook, chains
from als_redflags.scorer import rule_features
from als_redflags.selftest import failures
from als_redflags.stance import StanceReader
from als_redflags.text import Document
from tests.conftest import ROOT

BOOK = RuleBook.load()


@pytest.mark.parametrize("rule_id", sorted(BOOK.rules))
def test_examples(rule_id: str, reader: StanceReader) -> None:
    failed = failures(reader, [BOOK.rules[rule_id]])
    assert not failed, "\n".join(map(str, failed))


@pytest.mark.parametrize("rule_id", sorted(BOOK.rules))
def test_a_rule_has_enough_examples_that_are_all_different(rule_id: str) -> None:
    rule = BOOK.rules[rule_id]
    assert len(rule.fires) >= 5
    assert len(rule.silent) >= 5
    assert max(Counter([*rule.fires, *rule.silent]).values()) == 1


@pytest.mark.parametrize("rule", [r for r in BOOK.rules.values() if r.role == "red_flag"], ids=lambda r: r.id)
def test_a_red_flag_names_its_sources_or_says_that_nobody_names_it(rule: Rule) -> None:
    assert rule.sources or "no list" in rule.why.lower()


def test_every_lexicon_is_used() -> None:
    used = {name for children in BOOK.includes.values() for name in children}
    used |= {rule.spread.lexicon for rule in BOOK.rules.values() if rule.spread}
    used |= {name for rule in BOOK.rules.values() if rule.page for name in rule.page.names}
    for where, pattern in BOOK.all_patterns():
        for chain in chains(pattern, where):
            for segment in chain.segments:
                used |= {element.name for element in segment if isinstance(element, Label)}
    assert set(BOOK.lexicons) <= used


def test_roles_and_severities() -> None:
    roles = Counter(rule.role for rule in BOOK.rules.values())
    assert roles["offer"] >= 8
    assert roles["honest"] >= 8
    assert roles["legitimacy"] >= 4
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id) for rule in BOOK.rules.values())


FLAGS = [rule for rule in BOOK.rules.values() if rule.role == "red_flag"]


def test_all_seventy_red_flags_are_there_with_eight_examples_each() -> None:
    assert len(FLAGS) == 70
    assert Counter(rule.severity for rule in FLAGS) == {"high": 17, "medium": 36, "low": 17}
    few = [rule.id for rule in FLAGS if len(rule.fires) < 8 or len(rule.silent) < 8]
    assert few == []


def test_every_source_is_used_and_has_an_address() -> None:
    used = {source.key for rule in FLAGS for source in rule.sources}
    assert used == BOOK.sources.keys()
    assert all(source.url.startswith("http") and source.organisation and source.title for source in BOOK.sources.values())


def test_no_rule_is_subsumed_by_another(reader: StanceReader) -> None:
    """A rule of which every hit, on the examples of all rules, is a hit of another one too would add nothing."""
    hits: dict[str, set[tuple[str, int]]] = {rule.id: set() for rule in FLAGS if rule.patterns}
    for text in {text for rule in FLAGS for text in rule.fires}:
        for found in reader.read(Document.of(text)).flags:
            if found.rule.id in hits:
                hits[found.rule.id].add((text, found.start))
    assert [(a, b) for a in hits for b in hits if a != b and hits[a] <= hits[b]] == []


def test_what_a_page_leaves_out_is_told_and_does_not_count(reader: StanceReader) -> None:
    rule = BOOK.rules["risk-not-mentioned"]
    findings = reader.read(Document.of(rule.fires[0]))
    assert rule.id in {found.rule.id for found in findings.flags}
    assert rule.by_absence
    assert rule.id not in rule_features(findings).points
    with_risk = reader.read(Document.of(rule.fires[0] + "\n\nThe procedure carries risks such as infection and bleeding."))
    assert rule.id not in {found.rule.id for found in with_risk.flags}


SALE = "Our stem cell clinic treats ALS. Contact us for the price of our stem cell therapy.\n\n"


@pytest.mark.parametrize(
    ("text", "flag", "quoted"),
    [
        ("We are open daily. Our stem cells cure ALS. Parking is free.", "cure-claim", "Our stem cells cure ALS."),
        ("Results guaranteed", "guaranteed-improvement", "Results guaranteed"),
        ("- no side effects\n- fast results", "no-risk-claim", "no side effects"),
    ],
)
def test_the_span_is_the_telling_clause(reader: StanceReader, text: str, flag: str, quoted: str) -> None:
    document = Document.of(SALE + text)
    spans = [document.text[f.start : f.end] for f in reader.read(document).flags if f.rule.id == flag]
    assert quoted in spans


def test_one_sentence_may_carry_several_flags_and_each_once(reader: StanceReader) -> None:
    text = "Our stem cells cure ALS, cure MS and have no side effects."
    found = Counter(f.rule.id for f in reader.read(Document.of(text)).flags)
    assert found["cure-claim"] == 1, "overlapping hits of one flag are one"
    assert found["no-risk-claim"] == 1


def test_the_page_of_rules_is_current() -> None:
    page = (ROOT / "docs" / "RULES.md").read_text("utf-8")
    assert page == rules_markdown(list(BOOK.rules.values())), "run: als-redflags rules --format markdown > docs/RULES.md"
