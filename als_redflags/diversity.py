"""How varied the corpus is: coverage of its grid, repetition, likeness of documents, and words that give a label away.

A corpus written by few hands is easily too uniform; then a model learns the hands. The figures have limits that the tests keep.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from als_redflags.corpus import LABELS, LabelledDocument, words_of

AXES = ("stratum", "disease", "product", "country", "tone")
_CURVE = (1_000, 10_000, 100_000)
_PHRASES_SHOWN = 15
_TELLTALE_WORDS = 10
_FOLDS = 5
_COUNTRIES_SHOWN = 40


@dataclass(frozen=True)
class Diversity:
    """Figures of a corpus.

    ``types`` holds, for each label, (words read, different words among them); ``phrases`` the runs of four words used by most
    groups, with that number; ``likeness_inside`` and ``likeness_across`` the cosine similarity (TF-IDF of words) of a document to
    its nearest neighbour inside its group and in other groups, as (median, 95th percentile); ``telltale_auroc`` how well ten
    single words tell redflag from clean (grouped cross-validation), not a number where a corpus is too small to tell.
    """

    types: dict[str, list[tuple[int, int]]]
    phrases: dict[str, list[tuple[str, int]]]
    likeness_inside: tuple[float, float]
    likeness_across: tuple[float, float]
    telltale_auroc: float


def diversity(documents: Sequence[LabelledDocument]) -> Diversity:
    """Measure a corpus."""
    inside, across = _nearest(documents)
    return Diversity(
        {label: _type_curve([d for d in documents if d.label == label]) for label in LABELS},
        {label: _common_phrases([d for d in documents if d.label == label]) for label in LABELS},
        _summary(inside),
        _summary(across),
        _telltale_auroc([d for d in documents if d.label != "mild"]),
    )


def _type_curve(documents: Sequence[LabelledDocument]) -> list[tuple[int, int]]:
    words = [word for document in documents for word in words_of(document.text)]
    return [(n, len(set(words[:n]))) for n in (*(n for n in _CURVE if n < len(words)), len(words))]


def _common_phrases(documents: Sequence[LabelledDocument]) -> list[tuple[str, int]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        words = words_of(document.text)
        for i in range(len(words) - 3):
            groups[" ".join(words[i : i + 4])].add(document.group)
    counts = Counter({phrase: len(users) for phrase, users in groups.items()})
    return counts.most_common(_PHRASES_SHOWN)


def _nearest(documents: Sequence[LabelledDocument]) -> tuple[list[float], list[float]]:
    """Similarity of each document to its nearest neighbour, inside its group and across groups."""
    matrix = TfidfVectorizer(sublinear_tf=True).fit_transform([d.text for d in documents])
    groups = np.array([d.group for d in documents])
    inside, across = [], []
    for i in range(len(documents)):
        similarity = (matrix @ matrix[i].T).toarray().ravel()
        similarity[i] = -1.0
        same = groups == groups[i]
        if same.sum() > 1:
            inside.append(float(similarity[same].max()))
        across.append(float(similarity[~same].max()))
    return inside, across


def _summary(values: list[float]) -> tuple[float, float]:
    return (float(np.median(values)), float(np.percentile(values, 95))) if values else (0.0, 0.0)


def _telltale_auroc(documents: Sequence[LabelledDocument]) -> float:
    model = make_pipeline(
        CountVectorizer(binary=True), SelectKBest(chi2, k=_TELLTALE_WORDS), LogisticRegression(class_weight="balanced")
    )
    truth = np.array([d.label == "redflag" for d in documents])
    folds = list(GroupKFold(_FOLDS).split(truth, truth, [d.group for d in documents])) if _groups(documents) >= _FOLDS else []
    if not folds or any(truth[rest].all() or not truth[rest].any() for rest, _ in folds):
        return float("nan")
    scores = cross_val_predict(
        model,
        [d.text for d in documents],
        truth,
        cv=folds,
        method="decision_function",
    )
    return float(roc_auc_score(truth, scores))


def _groups(documents: Sequence[LabelledDocument]) -> int:
    return len({document.group for document in documents})


def coverage_markdown(documents: Sequence[LabelledDocument]) -> str:
    """The grid as it is filled: documents by label on each axis, and by length and difficulty."""
    lines = ["# Coverage of the corpus", "", "Made by `als-redflags corpus --format markdown`; do not edit.", ""]
    columns = [*LABELS, "all"]

    def row(name: str, chosen: Sequence[LabelledDocument]) -> str:
        labels = Counter(d.label for d in chosen)
        return f"| {name} | " + " | ".join(str(labels[c] if c != "all" else len(chosen)) for c in columns) + " |"

    head = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += ["## Size", "", *head, row("documents", documents), row("hard cases", [d for d in documents if d.hard])]
    bounds = (0, 12, 40, 100, 200, 1_000_000)
    lengths = {d.id: len(words_of(d.text)) for d in documents}
    for low, high in pairwise(bounds):
        name = f"{low} to {high} words" if high < bounds[-1] else f"more than {low} words"
        lines.append(row(name, [d for d in documents if low < lengths[d.id] <= high]))
    lines.append(row("with marked spans", [d for d in documents if d.spans]))
    lines.append(f"\nGroups (invented sites and authors): {len({d.group for d in documents})}.")
    for axis in AXES:
        values = Counter(str(getattr(d, axis) or "none") for d in documents)
        lines += ["", f"## By {axis}", "", *head]
        shown = [value for value, _ in sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:_COUNTRIES_SHOWN]]
        lines += [row(value, [d for d in documents if str(getattr(d, axis) or "none") == value]) for value in shown]
        if len(values) > len(shown):
            lines.append(row(f"{len(values) - len(shown)} others", [d for d in documents if str(getattr(d, axis)) not in shown]))
    return "\n".join(lines) + "\n"


def diversity_text(found: Diversity) -> str:
    """The figures of :class:`Diversity` in lines."""
    lines = []
    for label, curve in found.types.items():
        lines.append(f"{label}: " + ", ".join(f"{types:,} different among the first {n:,} words" for n, types in curve))
    for label, phrases in found.phrases.items():
        lines.append(f"{label}, most shared phrases: " + "; ".join(f"{phrase} ({n} groups)" for phrase, n in phrases))
    for name, (median, high) in (("inside a group", found.likeness_inside), ("across groups", found.likeness_across)):
        lines.append(f"nearest neighbour {name}: cosine {median:.2f} (median), {high:.2f} (95th percentile)")
    if np.isnan(found.telltale_auroc):
        lines.append("too few groups to say how well single words tell redflag from clean")
    else:
        lines.append(f"ten single words tell redflag from clean with AUROC {found.telltale_auroc:.3f}")
    return re.sub(r"\b1 groups", "1 group", "\n".join(lines)) + "\n"
