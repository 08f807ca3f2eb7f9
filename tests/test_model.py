"""The arrays against the scikit-learn pipeline they come from, and the artefact on disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from als_redflags import artefact, corpus
from als_redflags.errors import ModelError
from als_redflags.model import TextModel, terms
from als_redflags.rulebook import RuleBook
from als_redflags.text import Document
from als_redflags.train import as_arrays, fit_pipeline
from als_redflags.words import split
from tests.conftest import ROOT

SAMPLE = corpus.read(ROOT / "data")[::12]


def test_arrays_give_the_logits_of_the_pipeline() -> None:
    pipeline = fit_pipeline(SAMPLE)
    model = as_arrays(pipeline)
    texts = [document.text for document in SAMPLE]
    expected = pipeline.decision_function(texts)
    found = [model.logit(model.known(Document.of(text).words)) for text in texts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_terms_mask_numbers_and_places() -> None:
    assert terms(Document.of("Fly to Tijuana for $7,500!"), 1) == ["fly", "to", "@", "for", "$", "#", "!"]
    assert terms(Document.of("No cure. For now")) == ["no", "cure", "no cure", "for", "now", "for now"]


def test_the_shares_of_the_words_add_up_to_the_logit() -> None:
    model = artefact.load().text_model
    known = model.known([split("Our stem cells help patients with ALS, and the study is free of charge.")])
    weights = model.weights(known)
    assert model.logit(known) == pytest.approx(model.intercept + sum(share for _, share in weights), abs=1e-12)
    assert [abs(share) for _, share in weights] == sorted((abs(share) for _, share in weights), reverse=True)
    assert model.logit(model.known([["zzz", "qqq"]])) == model.intercept


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small artefact that a test may spoil."""
    model = TextModel({"cure": 0, ("a", "trial"): 1}, np.array([1.0, 2.0]), np.array([3.0, -1.0]), 0.5)
    header = {
        "version": "0",
        "combiner": {"intercept": 0.0, "weights": {"offer": 1.0}},
        "thresholds": {"caution": 0.3, "high": 0.6},
    }
    artefact.save(tmp_path, model, RuleBook.load(), header)
    return tmp_path


def test_what_is_saved_is_loaded(saved: Path) -> None:
    loaded = artefact.load(saved)
    assert loaded.text_model.vocabulary == {"cure": 0, ("a", "trial"): 1}
    assert loaded.text_model.coef.tolist() == [3.0, -1.0]
    assert loaded.combiner.weights == {"offer": 1.0}
    assert loaded.thresholds == {"caution": 0.3, "high": 0.6}


def _edit(folder: Path, **changes: object) -> None:
    file = folder / "redflags.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")


@pytest.mark.parametrize("name", ["redflags.npz", "redflags.rules.json"])
def test_changed_files_are_refused(saved: Path, name: str) -> None:
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ModelError, match="does not match its header"):
        artefact.load(saved)


def test_other_rules_are_refused(saved: Path) -> None:
    _edit(saved, rulebook_sha256="changed rules")
    with pytest.raises(ModelError, match="trained with other rules"):
        artefact.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "another"}, "of format 'another'"),
        ({"format_version": 3}, "of format 'als-redflags-model' 3"),
        ({"thresholds": {}}, "cannot be read"),
        ({"combiner": None}, "cannot be read"),
        ({"combiner": {"intercept": "x", "weights": {}}}, "cannot be read"),
    ],
)
def test_a_wrong_header_is_refused(saved: Path, changes: dict[str, object], message: str) -> None:
    _edit(saved, **changes)
    with pytest.raises(ModelError, match=message):
        artefact.load(saved)


def test_a_truncated_header_is_refused(saved: Path) -> None:
    file = saved / "redflags.json"
    file.write_text(file.read_text("utf-8")[:50], "utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        artefact.load(saved)


def test_pickled_arrays_are_never_loaded(saved: Path) -> None:
    file = saved / "redflags.npz"
    np.savez(file, terms=np.array([{"a": 1}], dtype=object), idf=np.ones(1), coef=np.ones(1), intercept=np.ones(1))
    _edit(saved, arrays_sha256=artefact.file_sha256(file))
    with pytest.raises(ModelError, match="cannot be read"):
        artefact.load(saved)


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model found in"):
        artefact.load(tmp_path)


def test_the_model_that_is_shipped_belongs_to_the_rules_and_the_corpus() -> None:
    header = artefact.load().header
    assert header["data_sha256"] == corpus.sha256(corpus.read(ROOT / "data")), "data/ changed: run als-redflags train"
