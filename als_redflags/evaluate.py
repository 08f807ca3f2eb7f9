"""How good the scores are: ranking, rates at the shipped thresholds, calibration, and flags against marked spans."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from als_redflags.corpus import LabelledDocument

if TYPE_CHECKING:
    from als_redflags.report import Report
    from als_redflags.scorer import Scorer

_BINS = 10
_ALARMS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Rates:
    """Of a set of documents: how many, their mean score, the shares at or above each threshold."""

    n: int
    mean_score: float
    at_caution: float
    at_high: float


@dataclass(frozen=True)
class Metrics:
    """Quality of scores on labelled documents.

    Ranking and calibration compare ``redflag`` with ``clean`` (mild documents are left out): ``auroc`` and
    ``average_precision`` in [0, 1], recall at the score that lets through 2 % and 5 % of clean documents, ``brier``,
    ``calibration_error`` (expected calibration error over 10 bins of equal width). ``None`` where one class is missing.
    """

    n_redflag: int
    n_mild: int
    n_clean: int
    auroc: float | None
    average_precision: float | None
    recall_at_fpr_2: float | None
    recall_at_fpr_5: float | None
    brier: float | None
    calibration_error: float | None
    reliability: list[tuple[int, float, float]]  # of ten bins of the score: documents, mean score, share of redflag
    by_label: dict[str, Rates]
    by_stratum: dict[str, Rates]
    auroc_by_origin: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FlagQuality:
    """Document-level hits of one flag against marked spans, on documents that somebody marked."""

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def precision(self) -> float:
        return self.true_positive / max(self.true_positive + self.false_positive, 1)

    @property
    def recall(self) -> float:
        return self.true_positive / max(self.true_positive + self.false_negative, 1)


@dataclass(frozen=True, slots=True)
class RuleQuality:
    """Where one red flag was found: documents by label, quality against marked spans, and what it shares with others.

    ``overlap`` is the rule found most often in the same documents, with the share of this rule's documents that have it too.
    ``false_alarms`` are (document id, quoted text) on clean documents, those of the highest scores first.
    """

    n_redflag: int
    n_mild: int
    n_clean: int
    against_spans: FlagQuality
    overlap: tuple[str, float] | None
    false_alarms: tuple[tuple[str, str], ...]


def metrics(documents: Sequence[LabelledDocument], scores: Sequence[float], thresholds: dict[str, float]) -> Metrics:
    """Compute all metrics; ``scores[i]`` belongs to ``documents[i]``; a score that is not a number counts as 0."""
    values = np.nan_to_num(np.asarray(scores, dtype=float), nan=0.0)
    labels = np.array([d.label for d in documents])
    binary = labels != "mild"
    truth, known = labels[binary] == "redflag", values[binary]
    both = bool(truth.any() and not truth.all())
    origins = np.array([d.origin or "" for d in documents])
    by_origin = {}
    for origin in sorted(set(origins) - {""}):
        here = binary & (origins == origin)
        if len(set(labels[here])) == 2:
            by_origin[origin] = float(roc_auc_score(labels[here] == "redflag", values[here]))
    return Metrics(
        n_redflag=int((labels == "redflag").sum()),
        n_mild=int((labels == "mild").sum()),
        n_clean=int((labels == "clean").sum()),
        auroc=float(roc_auc_score(truth, known)) if both else None,
        average_precision=float(average_precision_score(truth, known)) if both else None,
        recall_at_fpr_2=recall_at(truth, known, 0.02) if both else None,
        recall_at_fpr_5=recall_at(truth, known, 0.05) if both else None,
        brier=float(np.mean((known - truth) ** 2)) if both else None,
        calibration_error=calibration_error(truth, known) if both else None,
        reliability=reliability(truth, known),
        by_label=_rates(labels, values, thresholds),
        by_stratum=_rates(np.array([f"{d.label}: {d.stratum}" for d in documents]), values, thresholds),
        auroc_by_origin=by_origin,
    )


def recall_at(truth: Any, scores: Any, false_positive_rate: float) -> float:
    """Share of positives above the lowest threshold that keeps the rate of false positives."""
    clean = np.sort(scores[~truth])[::-1]
    threshold = clean[int(false_positive_rate * len(clean))]
    return float(np.mean(scores[truth] > threshold))


def reliability(truth: Any, scores: Any) -> list[tuple[int, float, float]]:
    """For each of ten bins of equal width that is not empty: its size, its mean score and its share of positives."""
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    chosen = [bins == b for b in range(_BINS)]
    return [(int(b.sum()), float(scores[b].mean()), float(truth[b].mean())) for b in chosen if b.any()]


def calibration_error(truth: Any, scores: Any) -> float:
    """Mean distance of score and share of positives over the bins of :func:`reliability`, weighted by their size."""
    return math.fsum(n * abs(score - share) for n, score, share in reliability(truth, scores)) / max(len(scores), 1)


# What a first attempt would look for.
_KEYWORDS = re.compile(
    r"cure|guarantee|miracle|breakthrough|testimonial|success stor|fda|approved|proven|no side effects|risk|safe|stem cell|"
    r"revers|[$\u20ac\u00a3]\s?\d|%", re.IGNORECASE
)  # fmt: skip


def keyword_density(text: str) -> float:
    """Telling words for each hundred words, squeezed into [0, 1]: the baseline that every method has to beat."""
    density = 100 * len(_KEYWORDS.findall(text)) / max(len(text.split()), 1)
    return density / (density + 5.0)


def _rates(keys: Any, values: Any, thresholds: dict[str, float]) -> dict[str, Rates]:
    rates = {}
    for key in sorted(set(keys.tolist())):
        here = values[keys == key]
        rates[key] = Rates(
            len(here),
            float(here.mean()),
            float((here >= thresholds["caution"]).mean()),
            float((here >= thresholds["high"]).mean()),
        )
    return rates


def evaluate(scorer: "Scorer", documents: Sequence[LabelledDocument]) -> tuple[Metrics, list["Report"]]:
    """Score labelled documents; returns the metrics and the reports, in the order of ``documents``."""
    reports = list(scorer.score_many(document.text for document in documents))
    scores = [math.nan if report.score is None else report.score for report in reports]
    return metrics(documents, scores, scorer.trained.thresholds), reports


def flag_quality(documents: Sequence[LabelledDocument], reports: Sequence["Report"]) -> dict[str, FlagQuality]:
    """Quality of each flag that was marked or found, on documents with ``span_read``.

    A flag found in a document is right when an asserted span of the same flag is marked there.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for document, report in zip(documents, reports, strict=True):
        if not document.span_read:
            continue
        marked = {span.flag for span in document.spans if span.stance == "asserted"}
        found = {flag.id for flag in report.flags}
        for flag in marked & found:
            counts[flag][0] += 1
        for flag in found - marked:
            counts[flag][1] += 1
        for flag in marked - found:
            counts[flag][2] += 1
    return {flag: FlagQuality(*counts[flag]) for flag in sorted(counts)}


def rule_quality(documents: Sequence[LabelledDocument], reports: Sequence["Report"]) -> dict[str, RuleQuality]:
    """Hits, precision, recall, overlap and the worst false alarms of every red flag that was found or marked."""
    against_spans = flag_quality(documents, reports)
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    together: dict[str, Counter[str]] = defaultdict(Counter)
    alarms: dict[str, list[tuple[float, str, str]]] = defaultdict(list)
    for document, report in zip(documents, reports, strict=True):
        texts = {flag.id: flag.text for flag in report.flags}
        for name, text in texts.items():
            labels[name][document.label] += 1
            together[name].update(texts.keys() - {name})
            if document.label == "clean":
                alarms[name].append((-(report.score or 0.0), document.id, text))
    quality = {}
    for name in sorted(labels.keys() | against_spans.keys()):
        hits = labels[name]
        common = together[name].most_common(1)
        quality[name] = RuleQuality(
            hits["redflag"],
            hits["mild"],
            hits["clean"],
            against_spans.get(name, FlagQuality(0, 0, 0)),
            (common[0][0], common[0][1] / hits.total()) if common else None,
            tuple((place, text) for _, place, text in sorted(alarms[name])[:_ALARMS_KEPT]),
        )
    return quality


def discounted_quality(documents: Sequence[LabelledDocument], reports: Sequence["Report"]) -> tuple[int, int]:
    """Of the spans marked discounted that a rule touches at all: how many are not asserted, and how many there are."""
    right = touched = 0
    for document, report in zip(documents, reports, strict=True):
        for span in document.spans:
            if span.stance != "discounted":
                continue
            asserted, mentioned = (
                any(f.id == span.flag and f.start < span.end and span.start < f.end for f in found)
                for found in (report.flags, report.discounted)
            )
            touched += asserted or mentioned
            right += mentioned and not asserted
    return right, touched
