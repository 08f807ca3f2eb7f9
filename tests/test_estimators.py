"""The scikit-learn estimators: what they are for. scikit-learn's own checks are in ``test_sklearn_checks.py``."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline, make_union

from als_redflags import Scorer
from als_redflags.errors import ModelError
from als_redflags.estimators import RedFlagClassifier, RedFlagFeatures, raw_texts

SALE = "Our stem cells stop ALS. Guaranteed improvement, only $19,500. Message us on WhatsApp!"
NEWS = "The regulator warned about clinics that say stem cells stop ALS. No such product is approved."
CARE = "Riluzole and good breathing care help people with ALS to live longer. Ask your neurologist about both."
TEXTS = [SALE, NEWS, CARE, SALE + " Book now."] * 3
LABELS = ["seller", "honest", "honest", "seller"] * 3


def test_the_classifier_gives_the_scorers_verdicts_and_scores(scorer: Scorer) -> None:
    reports = [scorer.score(text) for text in TEXTS]
    scores = [report.score for report in reports]
    high, caution = (RedFlagClassifier(verdict=verdict).fit(TEXTS, LABELS) for verdict in ("high", "caution"))
    assert high.classes_.tolist() == ["honest", "seller"]
    assert (high.predict(TEXTS) == "seller").tolist() == [report.verdict == "high" for report in reports]
    assert (caution.predict(TEXTS) == "seller").tolist() == [report.verdict in ("caution", "high") for report in reports]
    assert high.predict_proba(TEXTS)[:, 1].tolist() == scores
    assert high.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1.0)
    turned = RedFlagClassifier(pos_label="ad").fit([SALE, NEWS], ["ad", "news"])
    assert turned.predict([SALE, NEWS]).tolist() == ["ad", "news"]
    assert turned.predict_proba([SALE])[0, 0] == scores[0]


@pytest.mark.parametrize(("y", "expected"), [(None, [1, 0]), ([False, True], [True, False]), ([0, 7], [7, 0])])
def test_labels(y: list[object] | None, expected: list[object]) -> None:
    assert RedFlagClassifier().fit([SALE, NEWS], y).predict([SALE, NEWS]).tolist() == expected


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, "", "Too short"])
def test_a_text_that_cannot_be_judged(scorer: Scorer, missing: Any) -> None:
    classifier = RedFlagClassifier().fit([SALE, missing], [1, 0])
    assert classifier.predict([missing]).tolist() == [0]
    assert classifier.predict_proba([missing])[0, 1] == scorer.trained.header["prevalence"]
    assert RedFlagFeatures().transform([missing]).nnz == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RedFlagClassifier(verdict="low").fit(TEXTS, LABELS), "'caution' or 'high', not 'low'"),
        (lambda: RedFlagClassifier(pos_label="scam").fit(TEXTS, LABELS), "'scam' is none of the classes"),
        (lambda: RedFlagClassifier().fit(TEXTS, LABELS[1:]), "inconsistent numbers of samples"),
        (lambda: RedFlagClassifier().fit([SALE], ["ad"]), "1 class"),
        (lambda: RedFlagClassifier().fit([SALE, NEWS, CARE], ["a", "b", "c"]), "Only binary classification"),
        (lambda: RedFlagClassifier().fit(TEXTS, [0.5] * len(TEXTS)), "[Cc]ontinuous"),
        (lambda: RedFlagFeatures().transform(SALE), "put it into a list"),
        (lambda: RedFlagFeatures().transform([SALE, 7]), "item 1 is of type int"),
        (lambda: RedFlagFeatures().fit(pd.DataFrame({"text": [SALE]})), r"not a table of shape \(1, 1\); name one column"),
    ],
)
def test_wrong_input_is_explained(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="No model found in nowhere"):
        RedFlagFeatures(model="nowhere").transform([SALE])


def test_texts_come_in_any_container() -> None:
    for container in (list, tuple, np.array, pd.Series, iter, lambda texts: (text for text in texts)):
        assert raw_texts(container([SALE, NEWS])) == [SALE, NEWS]


def test_features_count_what_is_asserted(scorer: Scorer) -> None:
    twice = f"{SALE}\n\n{SALE}"
    features = RedFlagFeatures().fit(TEXTS)
    names = features.get_feature_names_out().tolist()
    counts = features.transform([SALE, NEWS, twice])
    assert names == sorted(rule.id for rule in scorer.book.rules.values() if rule.role == "red_flag")
    assert counts.shape == (3, len(names))
    for row, text in enumerate((SALE, NEWS, twice)):
        ids = [flag.id for flag in scorer.score(text).flags]
        assert counts[row].toarray()[0].tolist() == [ids.count(name) for name in names]
    assert counts[2].max() >= 2
    assert RedFlagFeatures(sparse_output=False).transform([SALE]).tolist() == counts[0].toarray().tolist()
    frame = RedFlagFeatures(sparse_output=False).set_output(transform="pandas").transform([SALE])
    assert frame.columns.tolist() == names


def test_cross_validation_search_and_ensembles() -> None:
    assert cross_val_score(RedFlagClassifier(), TEXTS, LABELS, cv=3, scoring="roc_auc").tolist() == [1.0, 1.0, 1.0]
    search = GridSearchCV(RedFlagClassifier(), {"verdict": ["caution", "high"]}, cv=2, scoring="balanced_accuracy")
    assert set(search.fit(TEXTS, LABELS).cv_results_["param_verdict"]) == {"caution", "high"}
    learner = make_pipeline(make_union(RedFlagFeatures(), TfidfVectorizer()), LogisticRegression())
    vote = VotingClassifier([("flags", RedFlagClassifier()), ("learner", learner)], voting="soft").fit(np.array(TEXTS), LABELS)
    assert roc_auc_score([1, 0], vote.predict_proba([SALE, CARE])[:, 1]) == 1.0


def test_a_column_of_a_table() -> None:
    table = pd.DataFrame({"n": [1.0, 2.0], "text": [SALE, NEWS]})
    columns = ColumnTransformer([("flags", RedFlagFeatures(sparse_output=False), "text")], remainder="passthrough")
    out = columns.set_output(transform="pandas").fit_transform(table)
    assert out["flags__guaranteed-improvement"].tolist() == [1, 0]
    assert out["remainder__n"].tolist() == [1.0, 2.0]


def test_clones_and_pickles_are_small_and_agree() -> None:
    fitted = RedFlagClassifier(verdict="caution", n_jobs=1).fit(TEXTS, LABELS)
    stored = pickle.dumps(fitted)
    assert len(stored) < 2_000, "the model is not in it"
    assert pickle.loads(stored).predict_proba(TEXTS).tolist() == fitted.predict_proba(TEXTS).tolist()
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "classes_")


def test_worker_processes_agree() -> None:
    assert (RedFlagFeatures(n_jobs=2).transform(TEXTS) != RedFlagFeatures().transform(TEXTS)).nnz == 0
