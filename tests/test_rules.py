"""Every rule against the examples in its own file, and the structure that all rules share."""

import re
from collections import Counter

import pytest

from als_redflags.patterns import Label
from als_redflags.rulebook import Rule, RuleBook, chains
from als_redflags.selftest import failures
from als_redflags.stance import StanceReader

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
