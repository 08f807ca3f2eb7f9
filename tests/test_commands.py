"""The commands in this process, where coverage sees them; tests/test_cli.py runs the installed command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from als_redflags import Scorer
from als_redflags.cli import Format, app
from tests.conftest import ROOT

CLINIC, TRIAL = (str(ROOT / "examples" / f"{name}.txt") for name in ("clinic", "trial_announcement"))


@pytest.fixture(autouse=True)
def _one_scorer(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading is tested elsewhere and takes longer than all of these."""
    fresh = Scorer(scorer.trained)
    monkeypatch.setattr(Scorer, "load", lambda path=None: fresh)


def invoke(*arguments: str | Path, stdin: str = "", status: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    assert done.exit_code == status, done.output
    return done.output


@pytest.mark.parametrize("kind", Format)
def test_score_in_every_format_to_the_screen_and_to_a_file(tmp_path: Path, kind: Format) -> None:
    arguments = ["score", CLINIC, TRIAL, "--show-discounted", "--show-text", "--format", str(kind)]
    screen = invoke(*arguments)
    invoke(*arguments, "--output", tmp_path / "report")
    written = (tmp_path / "report").read_text("utf-8")
    assert written
    assert screen.endswith(written)


def test_the_status_says_whether_the_limit_was_reached() -> None:
    text = "Our stem cells cure ALS, guaranteed. Book now, only $19,500."
    assert "HIGH" in invoke("score", stdin=text, status=0)
    for limit in ("high", "caution"):
        invoke("score", "--fail-on", limit, stdin=text, status=1)
        invoke("score", TRIAL, "--fail-on", limit, status=0)
    assert "at most 9 are read" in invoke("score", "--max-chars", "9", stdin=text, status=2)
    assert "no such file" in invoke("score", "nowhere.txt", CLINIC, status=2)
    assert "cannot be written" in invoke("score", CLINIC, "--output", "nowhere/report", status=2)


def test_rules_are_listed_explained_and_tested() -> None:
    assert "cure-claim" in invoke("rules")
    assert "Patterns" in invoke("rules", "cure-claim")
    assert invoke("rules", "--format", "markdown").startswith("#")
    assert json.loads(invoke("rules", "cure-claim", "--format", "json"))["id"] == "cure-claim"
    assert len(json.loads(invoke("rules", "--format", "json"))) > 50
    assert "0 failed" in invoke("rules", "cure-claim", "--test")
    assert "there is no rule" in invoke("rules", "nothing", status=2)


def test_labelled_documents_are_checked_and_measured(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "text": "Our stem cells cure ALS, guaranteed. Call now!", "label": "redflag", "stratum": "ad", "group": "a",
         "spans": [{"flag": "cure-claim", "start": 0, "end": 23, "stance": "asserted"}]},
        {"id": "b", "text": "Be wary of clinics that say they cure ALS.", "label": "clean", "stratum": "warning", "group": "b",
         "spans": [{"flag": "cure-claim", "start": 33, "end": 41, "stance": "discounted"}]},
    ]  # fmt: skip
    (tmp_path / "labelled.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    checked = invoke("corpus", tmp_path)
    assert "0 problems" in checked
    assert "too few groups" in checked
    assert invoke("corpus", tmp_path, "--format", "markdown").startswith("#")
    assert "1 redflag" in invoke("evaluate", tmp_path, "--spans", "--rules")
    assert json.loads(invoke("evaluate", tmp_path, "--spans", "--format", "json"))["discounted"] == [1, 1]
    for command in ("corpus", "evaluate"):
        assert "holds no .jsonl file" in invoke(command, ROOT / "examples", status=2)
    assert "holds no .jsonl file" in invoke("train", "--data", ROOT / "examples", "--output", tmp_path, status=2)
