"""The compact pattern notation."""

import pytest

from als_redflags.errors import RuleError
from als_redflags.patterns import parse


@pytest.mark.parametrize(
    ("pattern", "chains"),
    [
        ("cure", 1),
        ("(cure|heal)", 1),  # one word of two forms
        ("(cure|can heal)", 1),  # a list of phrases without a name
        ("(cure|{disease})", 2),
        ("we [also] cure", 2),
        ("we * cure ** {disease}", 1),
        ("we [(really|truly)] * cure", 2),
    ],
)
def test_number_of_chains(pattern: str, chains: int) -> None:
    assert len(parse(pattern)) == chains


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(cure", "missing"),
        ("cure)", "not opened"),
        ("<fees> due", "unknown"),
        ("[cure]", "nothing at all"),
        ("(cure||heal)", "an alternative is empty"),
        ("cure {", "cannot read"),
        (" ".join(["[a]"] * 10), "more than 500"),
    ],
)
def test_wrong_notation_says_what_is_wrong(pattern: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse(pattern)
