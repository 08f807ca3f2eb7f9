"""MODEL_CARD.md, written by training: every figure in it was measured in that run."""

from collections import Counter
from pathlib import Path
from typing import Any

from als_redflags.corpus import LabelledDocument
from als_redflags.evaluate import Metrics
from als_redflags.model import TextModel

_TERMS_SHOWN = 25


def write_card(
    folder: Path,
    header: dict[str, Any],
    documents: list[LabelledDocument],
    tables: dict[str, dict[str, Metrics]],
    text_model: TextModel,
) -> None:
    """Write ``MODEL_CARD.md`` and the picture ``reliability.svg`` into ``folder``.

    ``tables`` holds, for each set of documents, the metrics of each method; the first method is the one that is shipped.
    """
    shipped = {title: next(iter(parts.values())) for title, parts in tables.items()}
    (folder / "reliability.svg").write_text(_reliability_svg(shipped), "utf-8")
    (folder / "MODEL_CARD.md").write_text(_card(header, documents, tables, text_model), "utf-8")


def _card(
    header: dict[str, Any],
    documents: list[LabelledDocument],
    tables: dict[str, dict[str, Metrics]],
    text_model: TextModel,
) -> str:
    labels = Counter(d.label for d in documents)
    ranked = sorted(zip(text_model.vocabulary, text_model.coef.tolist(), strict=True), key=lambda pair: pair[1])
    clean_terms = ", ".join(f"`{term}`" for term, _ in ranked[:_TERMS_SHOWN])
    red_terms = ", ".join(f"`{term}`" for term, _ in ranked[: -_TERMS_SHOWN - 1 : -1])
    lines = [
        "# Model card",
        "",
        "Written by `als-redflags train`; do not edit.",
        "",
        "## What it is",
        "",
        "A score in [0, 1] that a text is marketing of an unproven treatment (stem cells for ALS first) with at least one "
        "red flag. A rule layer finds named red flags and who asserts them, a TF-IDF and logistic-regression model judges the "
        "words, and a logistic combiner with fixed signs joins both.",
        "",
        "## Intended use and limits",
        "",
        "For people who read a clinic's page, and for research on such marketing. It reads text, not clinics: a score is no "
        "finding of fraud or illegality, a low score is no proof of safety, and it is no medical or legal advice. English "
        "only. The model is trained on authored text in `data/` (see `data/DATASHEET.md`), so the figures below, measured by "
        "cross-validation on that text, may be better than what other pages will give.",
        "",
        "## Training data",
        "",
        f"{len(documents)} authored documents by {len({d.group for d in documents})} invented sites and authors: "
        f"{labels['redflag']} redflag, {labels['mild']} mild, {labels['clean']} clean. "
        f"{header['n_terms']} terms, each used by at least {header['vectoriser']['min_groups']} of them.",
        "",
        "## Figures",
        "",
        'All compare redflag with clean; mild documents are left out of ranking and calibration. "Rules alone" is the plain sum '
        'of saturated severity points and "counting keywords" their density, neither fitted, so their calibration means little.',
        "",
        *(line for title, parts in tables.items() for line in _table(title, parts)),
        "![Reliability: share of red-flag documents by score](reliability.svg)",
        "",
        f"Scores assume that {header['prevalence']:.0%} of the texts are red-flag marketing; the corpus holds more, so its "
        "calibration error is not small.",
        "",
        f"Thresholds: caution {header['thresholds']['caution']:.3f}, high {header['thresholds']['high']:.3f}. They are meant for "
        "at most 10 % and 2 % of honest texts; on the corpus half of that is allowed, among short and long texts each.",
        "",
        *(line for title, parts in tables.items() for line in _strata(title, next(iter(parts.values())))),
        "## Combiner",
        "",
        "| feature | weight (logits) |",
        "|---|---|",
        f"| intercept | {header['combiner']['intercept']:+.2f} |",
        *(f"| {name} | {weight:+.2f} |" for name, weight in header["combiner"]["weights"].items()),
        "",
        "## Words with the largest weights",
        "",
        f"Towards red flag: {red_terms}",
        "",
        f"Towards clean: {clean_terms}",
        "",
    ]
    return "\n".join(lines)


def _table(title: str, parts: dict[str, Metrics]) -> list[str]:
    first = next(iter(parts.values()))
    origins = list(first.auroc_by_origin)
    lines = [
        f"### {title}",
        "",
        f"{first.n_redflag} redflag, {first.n_mild} mild, {first.n_clean} clean.",
        "",
        "| | AUROC |"
        + "".join(f" AUROC, {origin} |" for origin in origins)
        + " average precision | recall at 2 % false positives | recall at 5 % | Brier | calibration error |",
        "|---" * (7 + len(origins)) + "|",
    ]
    for name, m in parts.items():
        cells = [m.auroc, *(m.auroc_by_origin.get(origin) for origin in origins)]
        cells += [m.average_precision, m.recall_at_fpr_2, m.recall_at_fpr_5, m.brier, m.calibration_error]
        lines.append(f"| {name} | " + " | ".join(map(_n, cells)) + " |")
    return [*lines, ""]


def _strata(title: str, shipped: Metrics) -> list[str]:
    rows = {**shipped.by_label, **shipped.by_stratum}
    return [
        f"### {title}: by stratum",
        "",
        "| label: stratum | n | mean score | at caution or above | at high |",
        "|---|---|---|---|---|",
        *(f"| {key} | {r.n} | {r.mean_score:.2f} | {r.at_caution:.1%} | {r.at_high:.1%} |" for key, r in rows.items()),
        "",
    ]


_SIDE = 300  # of the square that the curves are drawn in, in pixels
_COLOURS = ("#1f4e79", "#b35900", "#2e7d32")


def _reliability_svg(curves: dict[str, Metrics]) -> str:
    """Share of red-flag documents against mean score, a line a set of documents; the diagonal is perfect calibration."""
    margin, height = 50, _SIDE + 70 + 18 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE + 2 * margin + 160}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<rect x="{margin}" y="20" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>',
        f'<line x1="{margin}" y1="{_SIDE + 20}" x2="{_SIDE + margin}" y2="20" stroke="#aaa" stroke-dasharray="4"/>',
        f'<text x="{margin + _SIDE / 2}" y="{_SIDE + 52}" text-anchor="middle">mean score</text>',
        f'<text x="14" y="{20 + _SIDE / 2}" text-anchor="middle" transform="rotate(-90 14 {20 + _SIDE / 2})">'
        "share of redflag</text>",
    ]
    for tick in (0.0, 0.5, 1.0):
        x, y = margin + tick * _SIDE, 20 + (1 - tick) * _SIDE
        parts.append(f'<text x="{x:.0f}" y="{_SIDE + 36}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{margin - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
    for number, (title, found) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(margin + score * _SIDE, 20 + (1 - share) * _SIDE, n) for n, score, share in found.reliability]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{n} documents</title></circle>' for x, y, n in points
        ]
        parts.append(f'<text x="{margin}" y="{_SIDE + 74 + 18 * number}" fill="{colour}">{title}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _n(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
