"""Rule files that break the format give an error that names file and key."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from als_redflags.errors import RuleError
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
