"""Quality stays above the floors that were reached, and floors do not sink unnoticed."""

import json
from pathlib import Path

import pytest

from als_redflags import Scorer, corpus
from tests.conftest import ROOT
from tests.gate.floors import FLOORS, Figure, measure, shortfalls, update

PINNED = json.loads(FLOORS.read_text("utf-8"))


def test_what_was_reached_is_still_reached(scorer: Scorer) -> None:
    documents = corpus.read(ROOT / "data")
    figures = measure(scorer, documents)
    assert shortfalls(PINNED["floors"], figures) == []
    assert figures.keys() == PINNED["floors"].keys(), "something new is measured: python -m tests.gate.floors --update"
    assert corpus.sha256(documents) == PINNED["data_sha256"], "data/ changed: python -m tests.gate.floors --update"


def test_every_kind_of_quality_has_a_floor() -> None:
    names = list(PINNED["floors"])
    for beginning, least in (
        ("AUROC", 1),
        ("recall", 1),
        ("below high", 10),
        ("below caution", 10),
        ("F1 of ", 10),
        ("mentions", 1),
    ):
        assert sum(name.startswith(beginning) for name in names) >= least, beginning
    assert all(0 < floor <= 1 for floor in PINNED["floors"].values())


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    floors, log = tmp_path / "floors.json", tmp_path / "CHANGELOG.md"
    floors.write_text(json.dumps({"data_sha256": "old", "floors": {"AUROC": 0.9, "F1 of x": 0.5}}), "utf-8")
    log.write_text("# Changelog\n\n## 2.0\n\n### Added\n\n- y\n\n## 1.0\n\n### Changed\n\n- z\n", "utf-8")
    return floors, log


SAME, BETTER, ROUNDING, WORSE = (Figure(value, 0.005) for value in (0.9, 0.95, 0.897, 0.89))
F1 = Figure(0.5, 0.05)


@pytest.mark.parametrize(
    ("figures", "floor"),
    [
        ({"AUROC": SAME, "F1 of x": F1}, 0.9),
        ({"AUROC": BETTER, "F1 of x": F1}, 0.95),
        ({"AUROC": ROUNDING, "F1 of x": F1}, 0.9),  # many small steps down would add up: the floor stays
        ({"AUROC": BETTER, "F1 of x": F1, "new": SAME}, 0.95),
    ],
)
def test_an_update_raises_floors_and_never_lowers_one(files: tuple[Path, Path], figures: dict[str, Figure], floor: float) -> None:
    log = files[1].read_text("utf-8")
    assert update(figures, "new", None, *files) == []
    data = json.loads(files[0].read_text("utf-8"))
    assert data["floors"]["AUROC"] == floor
    assert data["floors"].keys() == figures.keys()
    assert data["data_sha256"] == "new"
    assert files[1].read_text("utf-8") == log


@pytest.mark.parametrize(
    ("figures", "fallen"),
    [
        ({"AUROC": WORSE, "F1 of x": F1}, "AUROC: 0.8900, at least 0.9000 was reached before"),
        ({"AUROC": BETTER}, "F1 of x: is no longer measured; it was at least 0.5000"),
    ],
)
def test_a_floor_sinks_only_with_a_reason_that_is_written_down(
    files: tuple[Path, Path], figures: dict[str, Figure], fallen: str
) -> None:
    before = [file.read_text("utf-8") for file in files]
    assert shortfalls(json.loads(before[0])["floors"], figures) == [fallen]
    assert update(figures, "new", None, *files) == [fallen]
    assert [file.read_text("utf-8") for file in files] == before, "nothing is written"
    assert update(figures, "new", "a kinder  rule", *files) == []
    assert json.loads(files[0].read_text("utf-8"))["floors"]["AUROC"] == figures["AUROC"].value
    newest = files[1].read_text("utf-8").split("## 1.0")[0]
    assert f"### Changed\n\n- Floors of quality lowered: a kinder rule\n  - {fallen}\n" in newest
    assert newest.index("## 2.0") < newest.index("a kinder rule") < newest.index("### Added")
