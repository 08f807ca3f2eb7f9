"""The corpus itself, and the reader of labelled files."""

import json
from collections import Counter
from pathlib import Path

import pytest

from als_redflags import corpus, diversity
from als_redflags.errors import CorpusError
from als_redflags.rulebook import RuleBook
from tests.conftest import ROOT

DOCUMENTS = corpus.read(ROOT / "data")


def test_the_corpus_is_sound() -> None:
    assert corpus.problems(DOCUMENTS, RuleBook.load().rules) == []


def test_labels_are_balanced() -> None:
    labels = Counter(document.label for document in DOCUMENTS)
    assert len(DOCUMENTS) >= 300
    assert 0.4 <= (labels["redflag"] + labels["mild"]) / len(DOCUMENTS) <= 0.65


GOOD = {"id": "1", "text": "Our cells cure ALS.", "label": "redflag", "stratum": "ad", "group": "g"}


def write(folder: Path, *documents: object) -> Path:
    file = folder / "labelled.jsonl"
    file.write_text("\n".join(d if isinstance(d, str) else json.dumps(d) for d in documents), "utf-8")
    return file


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: is no valid JSON"),
        ("[]", "line 1: expected an object"),
        ({**GOOD, "label": "bad"}, "label: 'bad' is none of redflag, mild, clean"),
        ({**GOOD, "text": " "}, "text: a non-empty text is required"),
        ({**GOOD, "group": 3}, "group: a non-empty text is required"),
        ({**GOOD, "spans": [{"flag": "cure-claim"}]}, "every span has flag, start, end and stance"),
        ({**GOOD, "spans": [{"flag": "x", "start": 0, "end": 99, "stance": "asserted"}]}, "does not fit the text"),
        ({**GOOD, "spans": [{"flag": "x", "start": 0, "end": 3, "stance": "maybe"}]}, "stance is unknown"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        corpus.read(write(tmp_path, line))


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds no \.jsonl file"):
        corpus.read(tmp_path)
    with pytest.raises(CorpusError, match="cannot be read"):
        corpus.read(tmp_path / "nothing.jsonl")
    with pytest.raises(CorpusError, match="holds no document"):
        corpus.read(write(tmp_path, ""))
    (tmp_path / "labelled.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(CorpusError, match="is not UTF-8"):
        corpus.read(tmp_path)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([GOOD, {**GOOD, "text": "Another text altogether."}], "the id '1' is used 2 times"),
        ([GOOD, {**GOOD, "id": "2", "text": "our cells: cure ALS"}], "has the same words as 1"),
        ([{**GOOD, "spans": [{"flag": "no-flag", "start": 0, "end": 3, "stance": "asserted"}]}], "unknown flag 'no-flag'"),
        (
            [{**GOOD, "id": g, "group": g, "text": f"{g} says one two three four five six seven"} for g in "abc"],
            "3 groups share the words 'says one two three four five six seven'",
        ),
    ],
)
def test_problems_of_a_corpus(tmp_path: Path, documents: list[object], problem: str) -> None:
    found = corpus.problems(corpus.read(write(tmp_path, *documents)), {"cure-claim"})
    assert any(problem in line for line in found), found


def test_the_corpus_has_the_size_and_the_mix_that_were_planned() -> None:
    labels = Counter(document.label for document in DOCUMENTS)
    assert len(DOCUMENTS) >= 2000
    assert 0.35 <= labels["redflag"] / len(DOCUMENTS) <= 0.5
    assert labels["mild"] / len(DOCUMENTS) >= 0.15
    for label in corpus.LABELS:
        of_label = [document for document in DOCUMENTS if document.label == label]
        assert sum(document.hard for document in of_label) >= 0.4 * len(of_label), label
    assert sum(bool(document.spans) for document in DOCUMENTS) >= 600
    short = [document for document in DOCUMENTS if len(corpus.words_of(document.text)) <= 45]
    assert len(short) >= 400


def test_more_than_a_third_of_all_texts_is_about_als() -> None:
    assert sum(document.disease == "als" for document in DOCUMENTS) >= 0.35 * len(DOCUMENTS)


def test_the_corpus_is_varied() -> None:
    found = diversity.diversity(DOCUMENTS)
    assert found.telltale_auroc < 0.85, "a few words give the label away"
    assert found.likeness_across[1] < 0.5, "documents of different groups are too much alike"
    for curve in found.types.values():
        words, types = curve[1]
        assert types / words > 0.2, "the vocabulary is too small"


def test_the_coverage_page_is_current() -> None:
    page = (ROOT / "data" / "COVERAGE.md").read_text("utf-8")
    assert page == diversity.coverage_markdown(DOCUMENTS), "run: als-redflags corpus --format markdown > data/COVERAGE.md"
