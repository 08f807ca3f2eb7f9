"""Training: repeatable, with signs that keep the score monotone."""

from pathlib import Path

import numpy as np
import pytest

from als_redflags import corpus
from als_redflags.train import FALSE_POSITIVE_RATES, SHORT_WORDS, choose_thresholds, fit_combiner, train
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every eighth line of the corpus: enough to train on, quick enough to train twice."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = [line for file in sorted((ROOT / "data").glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
    (folder / "part.jsonl").write_text("\n".join(lines[::8]), "utf-8")
    return folder


@pytest.mark.slow
def test_training_twice_gives_the_same_bytes(small_corpus: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    training = train(small_corpus, first)
    train(small_corpus, second)
    for name in ("redflags.npz", "redflags.json", "MODEL_CARD.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert training.combined.auroc is not None
    assert training.combined.auroc > 0.8
    assert training.header["n_documents"] == len(corpus.read(small_corpus))


def test_the_combiner_keeps_its_signs_on_data_that_pull_the_other_way() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 200).astype(float)
    names = ["text model", "outcome_promises", "honest"]
    matrix = np.column_stack([targets + rng.normal(size=200), 1 - targets, targets])
    weights = fit_combiner(matrix, targets, names).weights
    assert weights["text model"] > 0
    assert weights["outcome_promises"] == 0
    assert weights["honest"] == 0


def test_thresholds_keep_the_rate_of_false_positives() -> None:
    documents = [d for d in corpus.read(ROOT / "data") if d.label == "clean"]
    scores = np.random.default_rng(0).random(len(documents))
    thresholds = choose_thresholds(documents, scores)
    short = np.array([len(d.text.split()) < SHORT_WORDS for d in documents])
    for name, rate in FALSE_POSITIVE_RATES.items():
        reached = [float(np.mean(scores[part] >= thresholds[name])) for part in (short, ~short)]
        assert max(reached) <= rate
        assert max(reached) >= rate - 0.01, "no stricter than need be"
