"""scikit-learn's own checks of the estimators.

scikit-learn has no checks for estimators of raw texts: ``check_estimator`` stops after cloning, because all further checks give
matrices of numbers. So the checks that need no input run on the estimators themselves, and the whole list runs on
subclasses that say every row of numbers as one of two sentences. What then stays out: accuracy on numbers (tag ``poor_score``: a
sentence made from a number says little about it) and, on the estimators themselves, the number of columns (tag
``no_validation``: texts have none).
"""

from typing import Any

import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from als_redflags.estimators import RedFlagClassifier, RedFlagFeatures

pytest.importorskip("sklearn", minversion="1.6", reason="earlier versions have neither these checks nor tags")

from sklearn.utils import estimator_checks as checks
from sklearn.utils.validation import check_is_fitted, validate_data

SELLER = "Our stem cells stop ALS. Guaranteed improvement, only $19,500. Message us on WhatsApp!"
CARE = "Riluzole and good breathing care help people with ALS to live longer. Ask your neurologist about both."


def said(X: NDArray[Any]) -> list[str]:
    return [SELLER if row.sum() > 0 else CARE for row in X]


class NumbersSaid:
    """Makes an estimator of texts one of numbers, for scikit-learn's checks."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = False, True, False
        tags.no_validation = False
        if tags.classifier_tags:
            tags.classifier_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(said(validate_data(self, X)), y)  # type: ignore[misc]


class ClassifierOfNumbers(NumbersSaid, RedFlagClassifier):
    def predict(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict(said(validate_data(self, X, reset=False)))

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(said(validate_data(self, X, reset=False)))


class FeaturesOfNumbers(NumbersSaid, RedFlagFeatures):
    def transform(self, X: Any) -> Any:
        return super().transform(said(validate_data(self, X, reset=False)))


@checks.parametrize_with_checks([ClassifierOfNumbers(), FeaturesOfNumbers()])
def test_scikit_learns_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


WITHOUT_INPUT = [
    checks.check_estimator_cloneable,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_mixin_order,
]


@pytest.mark.parametrize("check", WITHOUT_INPUT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [RedFlagClassifier(), RedFlagFeatures()], ids=lambda e: type(e).__name__)
def test_scikit_learns_checks_that_need_no_input(estimator: BaseEstimator, check: Any) -> None:
    check(type(estimator).__name__, estimator)
