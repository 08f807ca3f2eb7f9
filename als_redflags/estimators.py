"""Red flags in scikit-learn: a classifier that is trained already, and flag counts as features for a model of your own.

>>> texts = ["Our stem cells cure ALS, guaranteed. Book now!", "Riluzole helps people with ALS to live longer."]
>>> RedFlagClassifier(verdict="high").fit(texts).predict(texts).tolist()
[1, 0]
>>> counts = RedFlagFeatures().transform(texts)
>>> names = RedFlagFeatures().get_feature_names_out()
>>> int(counts[0, names.tolist().index("cure-claim")])
1

Both keep nothing but their parameters and the classes (the scorer is shared by the process and loaded when needed), so they are
cheap to clone and to pickle. A pickled one scores with the als_redflags that is installed where it is loaded.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from als_redflags.report import Report, Verdict
from als_redflags.scorer import Scorer, shared_scorer

if TYPE_CHECKING:
    from sklearn.utils import Tags  # scikit-learn 1.6 and later; earlier versions ask for no tags

_POSITIVE = {"high": (Verdict.HIGH,), "caution": (Verdict.CAUTION, Verdict.HIGH)}


class RedFlagClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """The shipped scorer as a binary classifier of raw texts. ``fit`` learns nothing but the names of the classes.

    So it can be measured beside models that do learn, in ``cross_val_score``, ``GridSearchCV`` or a voting ensemble.

    Parameters
    ----------
    verdict : {"caution", "high"}
        The verdict from which ``predict`` gives the positive class.
    pos_label : label of the positive class, optional
        By default the greater one of the two, as everywhere in scikit-learn: 1, True, "redflag" beside "clean".
    model : str, optional
        Folder of another trained model.
    n_jobs : int
        Worker processes for scoring. Leave it at 1 inside a search that runs in parallel itself.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted. ``[0, 1]`` after ``fit`` without ``y``.
    """

    def __init__(self, *, verdict: str = "high", pos_label: Any = None, model: str | None = None, n_jobs: int = 1) -> None:
        self.verdict = verdict
        self.pos_label = pos_label
        self.model = model
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> "Tags":
        tags: Tags = _for_texts(super().__sklearn_tags__())
        tags.target_tags.required = False
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Iterable[str | None], y: ArrayLike | None = None) -> "RedFlagClassifier":
        """Record the classes of ``y``, shape (n_texts,); without ``y`` they are 0 and 1.

        Raises
        ------
        ValueError
            If a parameter is wrong, ``X`` holds no texts, or ``y`` is of another length or does not fit two classes.
        """
        texts = raw_texts(X)
        if self.verdict not in _POSITIVE:
            raise ValueError(f"verdict is 'caution' or 'high', not {self.verdict!r}")
        if y is None:
            classes = np.array([0, 1])
        else:
            labels = column_or_1d(y, warn=True)
            assert_all_finite(labels, input_name="y")
            check_classification_targets(labels)
            check_consistent_length(texts, labels)
            classes = np.unique(labels)
        if len(classes) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(labels)}: {classes.tolist()}"
            )
        if len(classes) < 2:
            raise ValueError(f"y holds 1 class, {classes.tolist()}; two are needed, or no y at all")
        if self.pos_label is not None and self.pos_label not in classes.tolist():
            raise ValueError(f"pos_label {self.pos_label!r} is none of the classes {classes.tolist()}")
        self.classes_ = classes
        return self

    def predict(self, X: Iterable[str | None]) -> NDArray[Any]:
        """Labels of shape (n_texts,). A text that cannot be judged gets the negative one."""
        check_is_fitted(self)
        reached = [report.verdict in _POSITIVE[self.verdict] for report in self._reports(X)]
        positive = self._positive()
        return self.classes_[np.where(reached, positive, 1 - positive)]

    def predict_proba(self, X: Iterable[str | None]) -> NDArray[np.float64]:
        """Probabilities of shape (n_texts, 2), in the order of ``classes_``.

        A text that cannot be judged gets the prevalence that the model assumes: nothing is known about it.
        """
        check_is_fitted(self)
        prior = float(shared_scorer(self.model).trained.header["prevalence"])
        scores = np.array([prior if report.score is None else report.score for report in self._reports(X)], dtype=np.float64)
        columns = (1.0 - scores, scores) if self._positive() == 1 else (scores, 1.0 - scores)
        return np.column_stack(columns)

    def _positive(self) -> int:
        return 1 if self.pos_label is None else self.classes_.tolist().index(self.pos_label)

    def _reports(self, X: Iterable[str | None]) -> list[Report]:
        return _score(shared_scorer(self.model), raw_texts(X), self.n_jobs)


class RedFlagFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """How often a text asserts each red flag: raw texts to a matrix of shape (n_texts, n_flags).

    Passages that only mention a flag (a denial, a warning, a quotation) are not counted. It is stateless: ``transform`` works
    without ``fit``.

    Parameters
    ----------
    sparse_output : bool
        A scipy CSR matrix, or with False a numpy array, which ``set_output(transform="pandas")`` needs.
    model : str, optional
        Folder of another trained model.
    n_jobs : int
        Worker processes for scoring.
    """

    def __init__(self, *, sparse_output: bool = True, model: str | None = None, n_jobs: int = 1) -> None:
        self.sparse_output = sparse_output
        self.model = model
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> "Tags":
        tags: Tags = _for_texts(super().__sklearn_tags__())
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Iterable[str | None], y: ArrayLike | None = None) -> "RedFlagFeatures":
        """Check that ``X`` holds texts; there is nothing to learn.

        Raises
        ------
        ValueError
            If ``X`` holds no texts.
        """
        raw_texts(X)
        return self

    def transform(self, X: Iterable[str | None]) -> csr_matrix | NDArray[np.int64]:
        """Counts of shape (n_texts, n_flags), int64; a text that cannot be judged has only zeros."""
        texts = raw_texts(X)
        scorer = shared_scorer(self.model)
        column = {name: number for number, name in enumerate(_flag_ids(scorer))}
        hits = [(row, column[f.id]) for row, report in enumerate(_score(scorer, texts, self.n_jobs)) for f in report.flags]
        rows, columns = zip(*hits, strict=True) if hits else ((), ())
        # entries of the same cell are added up
        counts = csr_matrix((np.ones(len(hits), dtype=np.int64), (rows, columns)), shape=(len(texts), len(column)))
        return counts if self.sparse_output else counts.toarray()

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Ids of the red flags, sorted; shape (n_flags,). ``input_features`` is ignored: the input has no columns."""
        return np.array(_flag_ids(shared_scorer(self.model)), dtype=object)


def raw_texts(X: Iterable[str | None]) -> list[str]:
    """``X`` as a list of texts; a missing one (None, NaN, NA) becomes the empty text, which cannot be judged.

    Raises
    ------
    ValueError
        If ``X`` is one text, a table, or holds something that is neither text nor missing.
    """
    if isinstance(X, str):
        raise ValueError("an iterable of texts is needed, not one text; put it into a list")
    shape = getattr(X, "shape", (None,))
    if len(shape) != 1:
        raise ValueError(f"raw texts of shape (n_texts,) are needed, not a table of shape {shape}; name one column")
    texts = []
    for number, text in enumerate(X):
        if isinstance(text, str):
            texts.append(text)
        elif _is_missing(text):
            texts.append("")
        else:
            raise ValueError(f"texts are needed; item {number} is of type {type(text).__name__}")
    return texts


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_scalar(value) and bool(pd.isna(value))


def _score(scorer: Scorer, texts: list[str], n_jobs: int) -> list[Report]:
    return list(scorer.score_many(texts, n_jobs=n_jobs))


def _flag_ids(scorer: Scorer) -> list[str]:
    return sorted(rule.id for rule in scorer.book.rules.values() if rule.role == "red_flag")


def _for_texts(tags: "Tags") -> "Tags":
    tags.input_tags.one_d_array = True
    tags.input_tags.two_d_array = False
    tags.input_tags.string = True
    tags.no_validation = True
    return tags
