"""Training: the text model by TF-IDF and logistic regression, the combiner on out-of-fold logits, thresholds, model card.

Everything is chosen on the corpus by cross-validation grouped by author or site. scikit-learn and SciPy are used here only.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from als_redflags import __version__, artefact, corpus
from als_redflags.artefact import Combiner
from als_redflags.corpus import LabelledDocument
from als_redflags.evaluate import Metrics, keyword_density, metrics
from als_redflags.matcher import RuleMatcher
from als_redflags.model import TextModel, as_vocabulary, terms
from als_redflags.modelcard import write_card
from als_redflags.rulebook import RuleBook
from als_redflags.scorer import Features, Window, rule_features, text_logit, windows
from als_redflags.stance import StanceReader
from als_redflags.text import Document

FOLDS = 5
SEED = 20240601
MIN_GROUPS = 3  # a term must be used by this many authors, so that invented names are not learnt
C = 10.0
# The corpus is written to be hard, so rules and words catch less of it than of ordinary pages. Left alone, the fit would trust
# the red flags too little. The weights are therefore drawn towards a prior: a family with one flag of high severity (its feature
# is then 0.5) adds 0.75 logits. The strength of the prior hardly matters on the corpus.
PRIOR = {"text model": 1.0, "treatment named": 1.0, "offer": 1.0, "honest": -1.0, "legitimacy": -0.5}
FAMILY_PRIOR = 1.5
PRIOR_STRENGTH = 0.03
# Share of red-flag marketing that the scores assume among the texts people ask about. The corpus holds more; a tool that accuses
# should rather assume less.
PREVALENCE = 0.2
# Most of the corpus was written to be mistaken, and few pages of the web are; such a text counts this much for the combiner, so
# that its scores are not too timid.
HARD_WEIGHT = 0.25
# Thresholds are set where half of the rate that is promised (10 % and 2 %) is reached on the corpus: the web is no corpus.
FALSE_POSITIVE_RATES = {"caution": 0.05, "high": 0.01}
SHORT_WORDS = 60  # false positives are limited among short and long texts each
# Share of a label that counts as positive: two readers of a mild document differ.
_TARGET = {"redflag": 1.0, "mild": 0.5, "clean": 0.0}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Training:
    """What training found: the header of the artefact, metrics of the out-of-fold scores, text model and fitted pipeline."""

    header: dict[str, Any]
    combined: Metrics
    text_model: TextModel
    pipeline: Pipeline


@dataclass(frozen=True)
class Prepared:
    """Labelled documents with what the rule layer found in them and the windows that the text model reads."""

    documents: list[LabelledDocument]
    features: list[Features]
    windows: list[list[Window]]

    @classmethod
    def of(cls, documents: list[LabelledDocument], reader: StanceReader) -> "Prepared":
        prepared = [Document.of(document.text) for document in documents]
        findings = [reader.read(document) for document in prepared]
        texts = [windows(document, found) for document, found in zip(prepared, findings, strict=True)]
        return cls(documents, [rule_features(found) for found in findings], texts)

    def compare(self, combined: Floats, logits: Floats, thresholds: dict[str, float]) -> dict[str, Metrics]:
        """Metrics of the whole beside those of its parts and of counting keywords."""
        return {
            "rules and text model": metrics(self.documents, list(combined), thresholds),
            "text model alone": metrics(self.documents, list(1 / (1 + np.exp(-logits))), thresholds),
            "rules alone": metrics(self.documents, _rules_alone(self.features), thresholds),
            "counting keywords": metrics(self.documents, [keyword_density(d.text) for d in self.documents], thresholds),
        }


def train(data: str | Path, output: str | Path, measure: str | Path | None = None, rules: str | Path | None = None) -> Training:
    """Train on the corpus in ``data`` and write the artefact and ``MODEL_CARD.md`` into the folder ``output``.

    ``measure`` names labelled documents that are not trained on; the figures on them go into the card. ``rules`` is a folder of
    rules to use instead of the package's; the model carries them with it.

    Raises
    ------
    CorpusError
        If the corpus, or what is to be measured, cannot be read.
    RuleError
        If the rules cannot be read.
    """
    documents = corpus.read(data)
    outside = corpus.read(measure) if measure is not None else []
    book = RuleBook.load(rules)
    reader = StanceReader(RuleMatcher(book))
    prepared = Prepared.of(documents, reader)
    folds = _folds(documents)

    logits = np.zeros(len(documents))
    for fold in range(FOLDS):
        rest = [i for i in range(len(documents)) if folds[i] != fold]
        model = as_arrays(fit_pipeline([documents[i] for i in rest]))
        for i in np.flatnonzero(folds == fold):
            logits[i], _ = text_logit(model, prepared.windows[i])

    names = ["text model", *book.families, "treatment named", "offer", "honest", "legitimacy"]
    matrix = _matrix(prepared.features, logits, names)
    targets = np.array([_TARGET[document.label] for document in documents])
    shares = np.array([HARD_WEIGHT if document.hard else 1.0 for document in documents])
    out_of_fold = np.zeros(len(documents))
    for fold in range(FOLDS):
        held, rest_mask = folds == fold, folds != fold
        combiner = fit_combiner(matrix[rest_mask], targets[rest_mask], names, shares[rest_mask])
        out_of_fold[held] = _apply(combiner, matrix[held], names)
    combiner = fit_combiner(matrix, targets, names, shares)
    thresholds = choose_thresholds(documents, out_of_fold)
    pipeline = fit_pipeline(documents)
    text_model = as_arrays(pipeline)
    parts = prepared.compare(out_of_fold, logits, thresholds)
    header = {
        "version": __version__,
        "trained_with": {"scikit-learn": sklearn.__version__},
        "vectoriser": {"ngram_range": [1, 2], "binary": True, "min_groups": MIN_GROUPS, "C": C},
        "prevalence": PREVALENCE,
        "n_terms": len(text_model.vocabulary),
        "combiner": {"intercept": combiner.intercept, "weights": combiner.weights},
        "thresholds": thresholds,
        "data_sha256": corpus.sha256(documents),
        "n_documents": len(documents),
        "out_of_fold": parts["rules and text model"].to_dict(),
    }
    tables = {f"Cross-validation on the corpus ({FOLDS} folds, grouped by site)": parts}
    short = [i for i, document in enumerate(documents) if len(document.text.split()) < SHORT_WORDS]
    if short:
        part = Prepared([documents[i] for i in short], [prepared.features[i] for i in short], [])
        tables[f"The same, texts of fewer than {SHORT_WORDS} words"] = part.compare(out_of_fold[short], logits[short], thresholds)
    if outside:
        there = Prepared.of(outside, reader)
        there_logits = np.array([text_logit(text_model, text)[0] for text in there.windows])
        scores = _apply(combiner, _matrix(there.features, there_logits, names), names)
        tables["Documents of other origin, never trained on"] = there.compare(scores, there_logits, thresholds)
    artefact.save(Path(output), text_model, book, header)
    write_card(Path(output), header, documents, tables, text_model)
    return Training(header, parts["rules and text model"], text_model, pipeline)


def fit_pipeline(documents: list[LabelledDocument]) -> Pipeline:
    """Fit scikit-learn's TF-IDF and logistic regression; a mild document counts half for each class."""
    groups: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        for term in _analyse(document.text):
            groups[term].add(document.group)
    vocabulary = sorted(term for term, users in groups.items() if len(users) >= MIN_GROUPS)
    rows = [(d.text, y, _TARGET[d.label] if y else 1 - _TARGET[d.label]) for d in documents for y in (0, 1)]
    rows = [row for row in rows if row[2] > 0]
    pipeline = Pipeline(
        [
            ("tfidf", TfidfVectorizer(analyzer=_analyse, vocabulary=vocabulary, binary=True)),
            ("logistic", LogisticRegression(C=C, class_weight="balanced", max_iter=2000)),
        ]
    )
    pipeline.fit([text for text, _, _ in rows], [y for _, y, _ in rows], logistic__sample_weight=[w for *_, w in rows])
    return pipeline


def _analyse(text: str) -> list[str]:
    return terms(Document.of(text))


def as_arrays(pipeline: Pipeline) -> TextModel:
    vectoriser, logistic = pipeline["tfidf"], pipeline["logistic"]
    vocabulary = as_vocabulary(vectoriser.get_feature_names_out())
    return TextModel(vocabulary, vectoriser.idf_, logistic.coef_[0], float(logistic.intercept_[0]))


def _folds(documents: list[LabelledDocument]) -> NDArray[np.intp]:
    folds = np.zeros(len(documents), dtype=np.intp)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    labels, groups = [d.label for d in documents], [d.group for d in documents]
    for fold, (_, held) in enumerate(splitter.split(documents, labels, groups)):
        folds[held] = fold
    return folds


def _matrix(features: list[Features], logits: Floats, names: list[str]) -> Floats:
    rows = [[f.values.get(name, 0.0) for name in names] for f in features]
    matrix = np.array(rows)
    matrix[:, names.index("text model")] = logits
    return matrix


def fit_combiner(matrix: Floats, targets: Floats, names: list[str], shares: Floats | None = None) -> Combiner:
    """Logistic regression with the sign of every weight fixed: more red flags never lower a score.

    Parameters
    ----------
    matrix : ndarray of shape (n_documents, n_features)
    targets : ndarray of shape (n_documents,), in [0, 1]
    names : the features, in the order of the columns
    shares : ndarray of shape (n_documents,), how much each document counts; all alike by default
    """
    prior = np.array([PRIOR.get(name, FAMILY_PRIOR) for name in names])
    shares = np.ones(len(targets)) if shares is None else shares
    share = float(np.average(targets, weights=shares))
    weights = shares * (targets * PREVALENCE / share + (1 - targets) * (1 - PREVALENCE) / (1 - share))
    weights /= weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] + matrix @ parameters[1:]
        away = parameters[1:] - prior
        value = weights @ (np.logaddexp(0, z) - targets * z) + PRIOR_STRENGTH / 2 * away @ away
        error = weights * (1 / (1 + np.exp(-z)) - targets)
        return float(value), np.r_[error.sum(), matrix.T @ error + PRIOR_STRENGTH * away]

    bounds = [(None, None)] + [(None, 0.0) if PRIOR.get(n, FAMILY_PRIOR) < 0 else (0.0, None) for n in names]
    fitted = minimize(loss, np.r_[0.0, prior], jac=True, bounds=bounds, method="L-BFGS-B")
    return Combiner(float(fitted.x[0]), {name: float(w) for name, w in zip(names, fitted.x[1:], strict=True)})


def _apply(combiner: Combiner, matrix: Floats, names: list[str]) -> Floats:
    z = combiner.intercept + matrix @ np.array([combiner.weights[name] for name in names])
    return np.asarray(1 / (1 + np.exp(-z)))


def _rules_alone(features: list[Features]) -> list[float]:
    """Saturated points of the flags as a score: no fit, only to compare."""
    totals = [sum(f.values[family] for family, _ in set(f.points.values())) if f.points else 0.0 for f in features]
    return [1 - 2.0**-total for total in totals]


def choose_thresholds(documents: list[LabelledDocument], scores: Floats) -> dict[str, float]:
    """The lowest thresholds that keep the rate of false positives on clean documents, among the short and the long ones each."""
    parts: dict[bool, list[float]] = {True: [], False: []}
    for document, score in zip(documents, scores, strict=True):
        if document.label == "clean":
            parts[len(document.text.split()) < SHORT_WORDS].append(float(score))
    thresholds = {}
    for name, rate in FALSE_POSITIVE_RATES.items():
        reached = [sorted(part, reverse=True)[int(rate * len(part))] for part in parts.values() if part]
        thresholds[name] = float(np.nextafter(max(reached), 1.0))
    return thresholds
