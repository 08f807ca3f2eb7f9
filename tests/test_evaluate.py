"""Metrics on cases small enough to check by hand."""

import numpy as np
import pytest

from als_redflags.corpus import LabelledDocument, Span
from als_redflags.evaluate import calibration_error, discounted_quality, flag_quality, metrics, recall_at
from als_redflags.report import Discounted, Flag, Report, Verdict

THRESHOLDS = {"caution": 0.3, "high": 0.7}


def document(label: str, stratum: str = "s", origin: str | None = None, spans: tuple[Span, ...] = ()) -> LabelledDocument:
    return LabelledDocument("id", "Our cells cure ALS.", label, stratum, "g", origin, spans, span_read=True)


def test_metrics() -> None:
    documents = [
        document("redflag", "page", "web"),
        document("redflag", "ad", "web"),
        document("mild"),
        document("clean", "news", "web"),
        document("clean", "trial", "web"),
    ]
    found = metrics(documents, [0.9, 0.4, 0.5, 0.6, 0.1], THRESHOLDS)
    assert (found.n_redflag, found.n_mild, found.n_clean) == (2, 1, 2)
    assert found.auroc == 0.75, "three of the four pairs are in order"
    assert found.recall_at_fpr_2 == 0.5
    assert found.brier == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert found.by_label["mild"].mean_score == 0.5
    assert found.by_label["clean"].at_caution == 0.5
    assert found.by_stratum["redflag: page"].at_high == 1.0
    assert found.auroc_by_origin == {"web": 0.75}


def test_metrics_of_one_class_have_no_auroc() -> None:
    found = metrics([document("clean")], [0.2], THRESHOLDS)
    assert found.auroc is None
    assert found.brier is None


def test_a_text_that_cannot_be_judged_counts_as_zero() -> None:
    found = metrics([document("redflag"), document("clean")], [float("nan"), 0.1], THRESHOLDS)
    assert found.auroc == 0.0


def test_recall_at_a_false_positive_rate() -> None:
    truth = np.array([True, True, False, False, False, False])
    scores = np.array([0.9, 0.5, 0.6, 0.4, 0.2, 0.1])
    assert recall_at(truth, scores, 0.0) == 0.5
    assert recall_at(truth, scores, 0.25) == 1.0


def test_calibration_error() -> None:
    assert calibration_error(np.array([True, False]), np.array([0.95, 0.05])) == pytest.approx(0.05)
    assert calibration_error(np.array([False, False]), np.array([1.0, 1.0])) == 1.0


def report(*flags: Flag, discounted: tuple[Discounted, ...] = ()) -> Report:
    return Report(None, 0.5, Verdict.CAUTION, None, 4, "0", "0", flags=flags, discounted=discounted)


def test_flags_against_marked_spans() -> None:
    marked = document("redflag", spans=(Span("cure-claim", 0, 18, "asserted"), Span("no-risk-claim", 0, 3, "asserted")))
    found = report(
        Flag("cure-claim", "t", "f", "high", 4, 14, "cells cure", 1, 0.0), Flag("urgency", "t", "f", "low", 0, 3, "Our", 1, 0.0)
    )
    quality = flag_quality([marked], [found])
    assert {name: (q.precision, q.recall) for name, q in quality.items()} == {
        "cure-claim": (1.0, 1.0),
        "no-risk-claim": (0.0, 0.0),
        "urgency": (0.0, 0.0),
    }


def test_marked_discounted_spans() -> None:
    marked = document("clean", spans=(Span("cure-claim", 0, 18, "discounted"), Span("no-risk-claim", 0, 3, "discounted")))
    discounted = Discounted("cure-claim", "t", "f", "high", 4, 14, "cells cure", 1, "warned", "beware")
    asserted = Flag("cure-claim", "t", "f", "high", 4, 14, "cells cure", 1, 0.0)
    assert discounted_quality([marked], [report(discounted=(discounted,))]) == (1, 1)
    assert discounted_quality([marked], [report(asserted)]) == (0, 1)
    assert discounted_quality([marked], [report()]) == (0, 0), "a span that no rule touches says nothing about stance"
