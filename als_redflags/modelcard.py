"""MODEL_CARD.md, written by training: every figure in it was measured in that run."""

from collections import Counter
from typing import Any

from als_redflags.corpus import LabelledDocument
from als_redflags.evaluate import Metrics
from als_redflags.model import TextModel

_TERMS_SHOWN = 25


def model_card(
    header: dict[str, Any], documents: list[LabelledDocument], parts: dict[str, Metrics], text_model: TextModel
) -> str:
    """The card as Markdown."""
    labels = Counter(d.label for d in documents)
    ranked = sorted(zip(text_model.vocabulary, text_model.coef.tolist(), strict=True), key=lambda pair: pair[1])
    clean_terms = ", ".join(f"`{term}`" for term, _ in ranked[:_TERMS_SHOWN])
    red_terms = ", ".join(f"`{term}`" for term, _ in ranked[: -_TERMS_SHOWN - 1 : -1])
    combined = parts["rules and text model"]
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
        "## Figures (5-fold cross-validation grouped by site, redflag against clean)",
        "",
        "| | AUROC | average precision | recall at 2 % false positives | recall at 5 % | Brier | calibration error |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {_n(m.auroc)} | {_n(m.average_precision)} | {_n(m.recall_at_fpr_2)} | {_n(m.recall_at_fpr_5)} | "
            f"{_n(m.brier)} | {_n(m.calibration_error)} |"
            for name, m in parts.items()
        ),
        "",
        '"Rules alone" is the plain sum of saturated severity points, not fitted, so its Brier and calibration mean little.',
        "",
        f"Thresholds: caution {header['thresholds']['caution']:.3f} (at most 10 % of clean documents), "
        f"high {header['thresholds']['high']:.3f} (at most 2 %).",
        "",
        "| label: stratum | n | mean score | at caution or above | at high |",
        "|---|---|---|---|---|",
        *(
            f"| {key} | {r.n} | {r.mean_score:.2f} | {r.at_caution:.0%} | {r.at_high:.0%} |"
            for key, r in combined.by_stratum.items()
        ),
        "",
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


def _n(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
