"""Rule files that break the format give an error that names file and key."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from als_redflags.errors import RuleError
from als_redflags.matcher import RuleMatcher
from als_redflags.rulebook import RULES, RuleBook

RULE = Path("outcome_promises/cure-claim.yaml")
Edit = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped rules that a test may spoil."""
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.replace("id: cure-claim", "id: other"), "id: .*differs from the file name"),
        (lambda s: s.replace("role: red_flag", "role: flag"), "role: 'flag' is none of"),
        (lambda s: s.replace("severity: high", "severity: huge"), "severity: high, medium or low"),
        (lambda s: s.replace("severity: high", "weight: 3"), "weight: unknown key"),
        (lambda s: s.replace("sources: [", "sources: [NOBODY, "), "'NOBODY' is not listed"),
        (lambda s: s.replace("{cure}", "{curse}"), "there is no lexicon 'curse'"),
        (lambda s: s.replace("{cure}", "{cure"), "cannot read"),
        (lambda s: s.replace("patterns:", "patterns: 3\nunless:", 1), "no valid YAML|expected a list"),
        (lambda s: s.replace("title:", "title: ["), "is no valid YAML"),
        (lambda s: s.split("tests:")[0], "tests.fires: a list of texts is required"),
        (lambda s: "- just\n- a list\n", "expected a mapping"),
        (lambda s: "!!python/object/apply:os.system ['false']", "is no valid YAML"),
        (lambda s: s + "\nignores: 3\n", "of the wrong kind"),
        (lambda s: s + "\nignores: [{}]\n", "of the wrong kind"),
        (lambda s: s + "\nneeds_offer: maybe\n", "needs_offer: true or false"),
        (lambda s: s + "\nspread: {lexicon: disease, terms: three, groups: 2}\n", "of the wrong kind"),
        (lambda s: s + "\npage: {min_words: many}\n", "of the wrong kind"),
        (lambda s: s.replace("sources: [", "sources: [{}, "), "of the wrong kind"),
        (lambda s: s.replace("tests:", "tests: 3\nwhatever:"), "unknown key"),
        (lambda s: s.split("tests:")[0] + "tests: 3\n", "of the wrong kind"),
        (lambda s: s.replace("patterns:", "patterns:\n  - [{LOWER: {REGEX: '(a+)+$'}}]", 1), "REGEX is not allowed"),
        (lambda s: s.replace("patterns:", "patterns:\n  - " + "(" * 5_000 + "a", 1), "too many brackets|is missing"),
        (lambda s: f"a: &a [{'x, ' * 9}x]\nb: &b [{'*a, ' * 9}*a]\nc: [{'*b, ' * 9}*b]\n", "uses a YAML alias"),
        (lambda s: s + "\nwhy: \x01\n", "is no valid YAML"),
        (lambda s: "[" * 100_000, "is no valid YAML"),
        (lambda s: "#" * 1_000_001, "larger than 1000 kB"),
    ],
)
def test_a_spoilt_rule_is_reported_with_file_and_key(folder: Path, spoil: Edit, message: str) -> None:
    file = folder / RULE
    text = file.read_text("utf-8")
    assert spoil(text) != text
    file.write_text(spoil(text), "utf-8")
    with pytest.raises(RuleError, match=message) as caught:
        RuleBook.load(folder)
    assert "cure-claim" in str(caught.value)


def test_a_lexicon_that_includes_itself(folder: Path) -> None:
    file = folder / "lexicon" / "disease_als.txt"
    file.write_text(file.read_text("utf-8") + "\n@disease\n", "utf-8")
    with pytest.raises(RuleError, match="includes itself"):
        RuleBook.load(folder)


def test_a_lexicon_that_includes_an_unknown_list(folder: Path) -> None:
    file = folder / "lexicon" / "disease_als.txt"
    file.write_text("@nothing\n", "utf-8")
    with pytest.raises(RuleError, match="no list 'nothing'"):
        RuleBook.load(folder)


def test_the_same_id_in_two_families(folder: Path) -> None:
    shutil.copy(folder / RULE, folder / "pressure" / RULE.name)
    with pytest.raises(RuleError, match="exists already"):
        RuleBook.load(folder)


def test_an_unknown_stance(folder: Path) -> None:
    file = folder / "stance.yaml"
    file.write_text(file.read_text("utf-8").replace("stance: warned", "stance: alarmed", 1), "utf-8")
    with pytest.raises(RuleError, match="'alarmed' is none of"):
        RuleBook.load(folder)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no such folder"):
        RuleBook.load(tmp_path / "nothing")


def test_the_hash_changes_with_any_file(book: RuleBook, folder: Path) -> None:
    assert RuleBook.load(folder).sha256 == book.sha256
    file = folder / "lexicon" / "cure.txt"
    file.write_text(file.read_text("utf-8") + "\nmend\n", "utf-8")
    assert RuleBook.load(folder).sha256 != book.sha256


@pytest.mark.parametrize("data", [b"\xff\xfe", b"word\n\xe9\n", b"x" * 1_000_001])
def test_a_lexicon_that_cannot_be_read(folder: Path, data: bytes) -> None:
    (folder / "lexicon" / "cure.txt").write_bytes(data)
    with pytest.raises(RuleError, match=r"cure\.txt: .*(not UTF-8|larger than)"):
        RuleBook.load(folder)


@pytest.mark.parametrize("text", ["cues: []\nframes: 3\n", "cues: 3\nframes: {}\n", "cues: [3]", ""])
def test_a_stance_file_that_is_none(folder: Path, text: str) -> None:
    (folder / "stance.yaml").write_text(text, "utf-8")
    with pytest.raises(RuleError, match=r"stance\.yaml"):
        RuleBook.load(folder)


def test_a_source_is_a_web_address_because_reports_link_to_it(folder: Path) -> None:
    file = folder / "sources.yaml"
    file.write_text(file.read_text("utf-8").replace("https://", "javascript://", 1), "utf-8")
    with pytest.raises(RuleError, match="is no web address"):
        RuleBook.load(folder)


def test_a_token_pattern_that_spacy_refuses_is_found_before_any_text(folder: Path) -> None:
    file = folder / RULE
    text = file.read_text("utf-8").replace("patterns:", "patterns:\n  - [{LOWER: cure, OP: sometimes}, {LOWER: als}]", 1)
    file.write_text(text, "utf-8")
    with pytest.raises(RuleError, match="spaCy token pattern"):
        RuleMatcher(RuleBook.load(folder))


LEAVES = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "cure", "{cure}", "(", "{x", "high", "negated", "*"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
)
KEYS = sorted(yaml.safe_load((RULES / RULE).read_text("utf-8")).keys() | {"ignores", "needs_offer", "page", "spread", "unless"})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_in_a_rule_file_is_taken_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    file = tmp_path_factory.mktemp("rules") / "family" / RULE.name
    file.parent.mkdir()
    raw = {**yaml.safe_load((RULES / RULE).read_text("utf-8")), "sources": [], key: value}
    file.write_text(yaml.safe_dump(raw), "utf-8")
    for name in ("sources.yaml", "stance.yaml"):
        shutil.copy(RULES / name, file.parent.parent)
    (file.parent.parent / "lexicon").symlink_to(RULES / "lexicon")
    with suppress(RuleError):
        book = RuleBook.load(file.parent.parent)
        RuleMatcher(book)
        assert RuleBook.from_dict(json.loads(json.dumps(book.to_dict()))) == book
