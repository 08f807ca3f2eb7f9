"""Pinned floors of quality, and the only way to change them.

    python -m tests.gate.floors                              show every figure beside its floor
    python -m tests.gate.floors --update                     raise the floors that are surpassed
    python -m tests.gate.floors --update --allow-regression "why it is worth it"

A floor is what was once reached. An update never lowers one, and never drops one, unless a reason is given; the reason goes into
CHANGELOG.md. Ranking and false positives are those of the cross-validation grouped by site that training writes into the model
(``out_of_fold``), so no document is measured by a model that has read it. Flags and mentions are compared with the spans that are
marked in the corpus.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from als_redflags import Scorer, corpus, evaluate

ROOT = Path(__file__).parent.parent.parent
FLOORS = Path(__file__).with_name("floors.json")
CHANGELOG = ROOT / "CHANGELOG.md"
MIN_SPANS = 20  # documents in which somebody marked a flag; with fewer, its F1 is chance
SLACK = 0.005  # of a share, or one document where that is more: a floor is no tripwire for rounding


@dataclass(frozen=True)
class Figure:
    """A measured share in [0, 1], more being better; ``slack`` is how far it may lie under its floor."""

    value: float
    slack: float


def measure(scorer: Scorer, documents: list[corpus.LabelledDocument]) -> dict[str, Figure]:
    """Every figure that has a floor, by name."""
    header = scorer.trained.header
    found = header["out_of_fold"]
    figures = {
        "AUROC, out of fold": Figure(found["auroc"], SLACK),
        "recall at 2 % false positives, out of fold": Figure(found["recall_at_fpr_2"], SLACK),
    }
    for name, rates in found["by_stratum"].items():
        if name.startswith("clean: "):
            for level in ("caution", "high"):
                share = 1 - rates[f"at_{level}"]
                figures[f"below {level}, out of fold, {name}"] = Figure(share, max(SLACK, 1 / rates["n"]))
    _, reports = evaluate.evaluate(scorer, documents)
    for flag, quality in evaluate.rule_quality(documents, reports).items():
        spans = quality.against_spans
        marked = spans.true_positive + spans.false_negative
        if marked >= MIN_SPANS:
            f1 = 2 * spans.true_positive / (2 * spans.true_positive + spans.false_positive + spans.false_negative)
            figures[f"F1 of {flag}"] = Figure(f1, max(SLACK, 1 / marked))
    right, touched = evaluate.discounted_quality(documents, reports)
    figures["mentions that are discounted"] = Figure(right / touched, max(SLACK, 1 / touched))
    return figures


def shortfalls(floors: dict[str, float], figures: dict[str, Figure]) -> list[str]:
    """What lies under its floor by more than its slack, or is no longer measured, a sentence each."""
    found = []
    for name, floor in floors.items():
        figure = figures.get(name)
        if figure is None:
            found.append(f"{name}: is no longer measured; it was at least {floor:.4f}")
        elif figure.value < floor - figure.slack:
            found.append(f"{name}: {figure.value:.4f}, at least {floor:.4f} was reached before")
    return found


def raised(floors: dict[str, float], figures: dict[str, Figure], *, lower: bool) -> dict[str, float]:
    """New floors: the better of floor and figure; with ``lower``, the figures as they are."""
    return {name: round(f.value if lower else max(f.value, floors.get(name, 0.0)), 4) for name, f in sorted(figures.items())}


def update(
    figures: dict[str, Figure], data_sha256: str, reason: str | None, file: Path = FLOORS, log: Path = CHANGELOG
) -> list[str]:
    """Write new floors; returns what stands in the way, in which case nothing is written."""
    floors = json.loads(file.read_text("utf-8"))["floors"] if file.exists() else {}
    fallen = shortfalls(floors, figures)
    if fallen and not reason:
        return fallen
    if fallen and reason:
        _note(log, reason, fallen)
    data = {"data_sha256": data_sha256, "floors": raised(floors, figures, lower=bool(fallen))}
    file.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    return []


def _note(log: Path, reason: str, fallen: list[str]) -> None:
    """Put the reason under "Changed" of the newest version."""
    lines = log.read_text("utf-8").split("\n")
    versions = [number for number, line in enumerate(lines) if line.startswith("## ")] + [len(lines)]
    heading = next((n for n in range(versions[0], versions[1]) if lines[n] == "### Changed"), None)
    note = [f"- Floors of quality lowered: {' '.join(reason.split())}", *(f"  - {line}" for line in fallen)]
    if heading is None:
        lines[versions[0] + 1 : versions[0] + 1] = ["", "### Changed", "", *note]
    else:
        lines[heading + 2 : heading + 2] = note
    log.write_text("\n".join(lines), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gate.floors", description="Floors of quality.")
    parser.add_argument("--update", action="store_true", help="raise the floors that are surpassed")
    parser.add_argument("--allow-regression", metavar="REASON", help="also lower floors; the reason goes into CHANGELOG.md")
    arguments = parser.parse_args()
    if arguments.allow_regression is not None and not (arguments.update and arguments.allow_regression.strip()):
        parser.error("--allow-regression needs --update and a reason")
    documents = corpus.read(ROOT / "data")
    figures = measure(Scorer.load(), documents)
    if arguments.update:
        if fallen := update(figures, corpus.sha256(documents), arguments.allow_regression):
            print("\n".join(fallen))
            sys.exit("nothing was written: mend it, or give the reason with --allow-regression")
        return
    floors = json.loads(FLOORS.read_text("utf-8"))["floors"]
    for name, figure in sorted(figures.items()):
        print(f"{figure.value:.4f}  floor {floors.get(name, 0.0):.4f}  {name}")


if __name__ == "__main__":
    main()
