"""The arrays against the scikit-learn pipeline they come from, and the artefact on disk."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from als_redflags import Scorer, artefact, corpus
from als_redflags.errors import ModelError
from als_redflags.model import TextModel, terms
from als_redflags.rulebook import RULES as PACKAGE_RULES
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


WEIGHTS = {
    **dict.fromkeys(("text model", "treatment named", "offer", *RuleBook.load().families), 1.0),
    **dict.fromkeys(("honest", "legitimacy"), -1.0),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small artefact."""
    folder = tmp_path_factory.mktemp("model")
    model = TextModel({"cure": 0, ("a", "trial"): 1}, np.array([1.0, 2.0]), np.array([3.0, -1.0]), 0.5)
    header = {
        "version": "0",
        "combiner": {"intercept": 0.0, "weights": WEIGHTS},
        "thresholds": {"caution": 0.3, "high": 0.6},
    }
    artefact.save(folder, model, RuleBook.load(), header)
    return folder


@pytest.fixture
def saved(small: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(small, tmp_path / "saved"))


def test_what_is_saved_is_loaded(saved: Path) -> None:
    loaded = artefact.load(saved)
    assert loaded.text_model.vocabulary == {"cure": 0, ("a", "trial"): 1}
    assert loaded.text_model.coef.tolist() == [3.0, -1.0]
    assert loaded.combiner.weights == WEIGHTS
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
        ({"format_version": 3}, "of format 'als-redflags-model' 3.*newer als-redflags: upgrade"),
        ({"format_version": 1}, "of format 'als-redflags-model' 1.*Train one"),
        ({"thresholds": {}}, "cannot be read"),
        ({"combiner": None}, "cannot be read"),
        ({"combiner": {"intercept": "x", "weights": WEIGHTS}}, "intercept: 'x' is no number"),
        ({"combiner": {"intercept": 0.0, "weights": {**WEIGHTS, "offer": float("nan")}}}, "NaN is no number"),
        ({"combiner": {"intercept": 0.0, "weights": {**WEIGHTS, "offer": -1.0}}}, "offer: -1.0 is no number that fits"),
        ({"combiner": {"intercept": 0.0, "weights": {**WEIGHTS, "honest": 1.0}}}, "honest: 1.0 is no number that fits"),
        ({"combiner": {"intercept": 0.0, "weights": {"offer": 1.0}}}, "no weight for honest"),
        ({"combiner": {"intercept": 0.0, "weights": {k: v for k, v in WEIGHTS.items() if k != "pressure"}}}, "for pressure"),
        ({"thresholds": {"caution": 0.9, "high": 0.6}}, "high: 0.6 is no number that fits"),
        ({"version": 1}, "version is no text"),
        ({"arrays_sha256": None}, "does not match its header"),
        ({"rules_sha256": "0"}, "does not match its header"),
        ({"package_rules_sha256": "of another version"}, "trained with other rules"),
    ],
)
def test_a_wrong_header_is_refused(saved: Path, changes: dict[str, object], message: str) -> None:
    _edit(saved, **changes)
    with pytest.raises(ModelError, match=message):
        artefact.load(saved)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1e999}', b" " * 1_000_001])
def test_a_header_that_is_none_is_refused(saved: Path, data: bytes) -> None:
    (saved / "redflags.json").write_bytes(data)
    with pytest.raises(ModelError, match=r"redflags\.json: (the model cannot be read|is larger than 1 MB)"):
        artefact.load(saved)


@pytest.mark.parametrize("name", ["redflags.npz", "redflags.rules.json"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: the model cannot be read \(No such file"):
        artefact.load(saved)


def npz(**changes: object) -> bytes:
    arrays = {"terms": np.array(["cure", "a trial"]), "idf": np.ones(2), "coef": np.ones(2), "intercept": np.ones(1), **changes}
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: np.asarray(value) for name, value in arrays.items() if value is not None})
    return stream.getvalue()


def lying_npz(shape: str) -> bytes:
    """An archive whose array says that it is larger than what is there."""
    stream = io.BytesIO(npz())
    with zipfile.ZipFile(stream) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(b"(2,), }" + b" " * len(shape), f"({shape},), }} ".encode()))
    return stream.getvalue()


ARRAYS = {
    "nothing": b"",
    "no archive": b"PK\x03\x04 and then nothing",
    "truncated": npz()[:-30],
    "cut in the middle": npz()[:200],
    "pickled objects": npz(terms=np.array([{"a": 1}, "b"], dtype=object)),
    "an array is missing": npz(coef=None),
    "an array too many": npz(more=np.ones(1)),
    "different lengths": npz(idf=np.ones(3)),
    "two intercepts": npz(intercept=np.ones(2)),
    "no intercept": npz(intercept=np.ones(0)),
    "a term twice": npz(terms=np.array(["cure", "cure"])),
    "two dimensions": npz(coef=np.ones((2, 1))),
    "no numbers": npz(coef=np.array(["1", "2"])),
    "not finite": npz(coef=np.array([1.0, np.inf])),
    "not a number": npz(intercept=np.array([np.nan])),
    "negative frequency": npz(idf=np.array([1.0, -1.0])),
    "larger than it is": lying_npz("99999999999999"),
    "unpacks to a gigabyte": npz(coef=np.zeros(130_000_000, dtype=np.float32)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_none_are_refused_though_their_hash_is_right(saved: Path, name: str) -> None:
    (saved / "redflags.npz").write_bytes(ARRAYS[name])
    _edit(saved, arrays_sha256=artefact.file_sha256(saved / "redflags.npz"))
    with pytest.raises(ModelError, match=r"redflags\.npz: the model cannot be read"):
        artefact.load(saved)


Spoil = Callable[[dict[str, Any]], object]
RULES: dict[str, Spoil] = {
    "no tables": lambda d: d.pop("tables"),
    "no rules": lambda d: d.update(book=[]),
    "another hash": lambda d: d["book"].update(sha256="0"),
    "a title that is no text": lambda d: d["book"]["rules"][0].update(title=[1]),
    "a field too many": lambda d: d["book"]["rules"][0].update(run="rm"),
    "an unknown severity": lambda d: d["book"]["rules"][0].update(severity="huge"),
    "an address that runs": lambda d: d["book"]["sources"][0].update(url="javascript:alert(1)"),
    "a cue without reach": lambda d: d["book"]["cues"][0].update(reach=None),
    "a segment that is not there": lambda d: d["tables"]["chains"][0][2].append(10**9),
    "a negative segment": lambda d: d["tables"]["chains"][0].__setitem__(2, [-1]),
    "an unknown owner": lambda d: d["tables"]["chains"][0].__setitem__(1, "no-such-rule"),
    "an unknown label": lambda d: d["tables"]["entries"][0][1].append(10**6),
    "an anchor outside": lambda d: d["tables"]["anchors"].__setitem__(0, 99),
    "anchors cut": lambda d: d["tables"]["anchors"].pop(),
    "a gap of a page": lambda d: d["tables"]["chains"][0].__setitem__(3, [10**9]),
    "a rare part outside": lambda d: d["tables"]["chains"][0].__setitem__(4, [[0, 99]]),
    "a regular expression": lambda d: d["tables"]["raw"].update({"0": [{"LOWER": {"REGEX": "(a+)+$"}}]}),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_that_are_none_are_refused_though_their_hash_is_right(saved: Path, name: str) -> None:
    file = saved / "redflags.rules.json"
    compiled = json.loads(file.read_text("utf-8"))
    RULES[name](compiled)
    file.write_text(json.dumps(compiled), "utf-8")
    _edit(saved, rules_sha256=artefact.file_sha256(file))
    with pytest.raises(ModelError, match=r"redflags\.rules\.json: the model cannot be read"):
        artefact.load(saved)


def test_swapped_files_of_two_models_are_refused(saved: Path) -> None:
    (saved / "redflags.npz").write_bytes((ROOT / "models" / "redflags.npz").read_bytes())
    with pytest.raises(ModelError, match="does not match its header"):
        artefact.load(saved)


def test_a_model_with_rules_of_its_own_carries_them(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(PACKAGE_RULES, folder)
    lexicon = folder / "lexicon" / "cure.txt"
    lexicon.write_text(lexicon.read_text("utf-8") + "\nunillify\n", "utf-8")
    model = TextModel({"cure": 0}, np.ones(1), np.ones(1), 0.0)
    header = {
        "version": "0",
        "combiner": {"intercept": 0.0, "weights": WEIGHTS},
        "thresholds": {"caution": 0.3, "high": 0.6},
    }
    artefact.save(tmp_path / "model", model, RuleBook.load(folder), header)
    text = "Our stem cells unillify ALS. Call our clinic."
    assert "cure-claim" in {flag.id for flag in Scorer.load(tmp_path / "model").score(text).flags}
    assert "cure-claim" not in {flag.id for flag in Scorer.load().score(text).flags}


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model found in"):
        artefact.load(tmp_path)


def test_the_model_that_is_shipped_belongs_to_the_rules_and_the_corpus() -> None:
    header = artefact.load().header
    assert header["data_sha256"] == corpus.sha256(corpus.read(ROOT / "data")), "data/ changed: run als-redflags train"
