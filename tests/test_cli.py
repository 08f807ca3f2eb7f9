"""The installed command, run as a user runs it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from als_redflags import __version__
from tests.conftest import ROOT, Run

CLINIC = "examples/clinic.txt"


def test_score_prints_verdict_evidence_and_next_steps(run: Run) -> None:
    done = run("score", CLINIC)
    out = done.stdout.decode()
    assert done.returncode == 0
    assert out.startswith("examples/clinic.txt: HIGH")
    assert "line 13: \u201c87% of our ALS patients" in out
    assert "Why it matters" in out
    assert "Named by" in out
    assert "cond=Amyotrophic%20Lateral%20Sclerosis&aggFilters=status:rec,studyType:int" in out.replace("\n  ", "")
    assert "\x1b" not in out, "no colour codes when not on a terminal"


def test_discounted_passages_are_listed_on_request(run: Run) -> None:
    warning = "examples/regulator_warning.txt"
    assert "--show-discounted lists them" in " ".join(run("score", warning).stdout.decode().split())
    out = run("score", "--show-discounted", warning).stdout.decode()
    assert "Mentioned, not claimed" in out
    assert "not counted: warned" in out


def test_standard_input_json(run: Run) -> None:
    text = "Our stem cells cure ALS \u2014 guaranteed.\nCall now!"
    done = run("score", "-", "--format", "json", stdin=text.encode())
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["schema_version"] == 1
    assert set(report) == {
        "schema_version", "source", "score", "verdict", "reason", "n_words", "model", "voice", "flags", "discounted",
        "contributions", "legitimacy", "wording", "next_steps", "warnings",
    }  # fmt: skip
    assert report["source"] == "standard input"
    assert 0 <= report["score"] <= 1
    assert set(report["flags"][0]) == {
        "id", "title", "family", "severity", "start", "end", "text", "line", "contribution",
    }  # fmt: skip
    for flag in report["flags"]:
        assert text[flag["start"] : flag["end"]] == flag["text"]


def test_several_files_as_json_lines_and_as_table(run: Run) -> None:
    files = [f"examples/{name}.txt" for name in ("clinic", "trial_announcement")]
    lines = [json.loads(line) for line in run("score", *files, "--format", "jsonl").stdout.splitlines()]
    assert [line["source"] for line in lines] == files
    assert [line["verdict"] for line in lines] == ["high", "low"]
    table = run("score", *files).stdout.decode().splitlines()[-3:]
    assert table[0].split() == ["verdict", "score", "flags", "source"]
    assert table[1].startswith("high")


@pytest.mark.parametrize(("name", "limit", "status"), [
    ("clinic", "high", 1), ("clinic", "caution", 1), ("trial_announcement", "caution", 0), ("trial_announcement", "high", 0),
])  # fmt: skip
def test_fail_on(run: Run, name: str, limit: str, status: int) -> None:
    assert run("score", f"examples/{name}.txt", "--fail-on", limit).returncode == status


def test_show_text_prints_what_is_scored(run: Run) -> None:
    assert b"    1  Lakeview Regenerative Neurology, Tijuana" in run("score", CLINIC, "--show-text").stdout
    assert b"\x1b" not in run("score", "--show-text", stdin=b"Our stem cells \x1b[31m cure ALS.").stdout


def test_output_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = run("score", CLINIC, "--format", "json", "--output", file)
    assert (done.returncode, done.stdout) == (0, b"")
    assert json.loads(file.read_text("utf-8"))["verdict"] == "high"


@pytest.fixture
def spoilt_model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "models", folder)
    with (folder / "redflags.npz").open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "nowhere.txt"], "nowhere.txt: no such file"),
        (["score", "examples"], "examples: is a folder; name the files in it"),
        (["score", "https://example.org/page"], "pages are not fetched. Save the page"),
        (["score", "empty.txt"], "empty.txt: is empty"),
        (["score", "binary.txt"], "binary.txt: is a binary file"),
        (["score", "russian.txt"], "russian.txt: is not UTF-8 (byte 0), and its encoding cannot be told. Convert it"),
        (["score", "ok.txt", "--colour"], "No such option"),
        (["score", "ok.txt", "--format", "xml"], "Invalid value for '--format'"),
        (["score", "ok.txt", "--model", "nowhere"], "No model found in nowhere"),
        (["score", "ok.txt", "--model", "model"], "does not match its header"),
        (["score", "ok.txt", "--output", "missing/report.txt"], "cannot be written (No such file or directory)"),
        (["rules", "no-such-rule"], "there is no rule 'no-such-rule'"),
        (["evaluate", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["evaluate", "bad.jsonl"], "bad.jsonl, line 1: label: 'scam' is none of"),
        (["train", "--data", "examples", "--output", "out"], "examples: holds no .jsonl file"),
        (["train", "--data", "nowhere", "--output", "out"], "nowhere: cannot be read"),
        (["nonsense"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@pytest.mark.usefixtures("spoilt_model")
def test_bad_input_is_explained_and_fails(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "ok.txt").write_text("Our stem cells cure ALS, says the page.", "utf-8")
    (tmp_path / "empty.txt").write_text(" \n", "utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "russian.txt").write_bytes("\u0414\u0410\u041c \u041f\u0420\u0418\u0417".encode("cp1251"))
    (tmp_path / "bad.jsonl").write_text('{"id": "1", "text": "x", "label": "scam", "stratum": "s", "group": "g"}', "utf-8")
    done = run(*arguments, cwd=tmp_path)
    error = " ".join(done.stderr.decode().replace("\u2502", " ").split())
    assert done.returncode == 2
    assert message in error
    assert "Traceback" not in error
    assert done.stdout == b""


def test_one_unreadable_file_does_not_stop_the_others(run: Run) -> None:
    done = run("score", "nowhere.txt", CLINIC)
    assert done.returncode == 2
    assert b"nowhere.txt: no such file" in done.stderr
    assert b"HIGH" in done.stdout


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("Our stem cells cure ALS.", "utf-8")
    file.chmod(0)
    assert b"cannot be read (Permission denied)" in run("score", file).stderr


def test_rules(run: Run) -> None:
    assert b"cure-claim" in run("rules").stdout
    one = run("rules", "cure-claim").stdout.decode()
    assert "Patterns:" in one
    assert "Stays silent on:" in one
    assert json.loads(run("rules", "cure-claim", "--format", "json").stdout)["severity"] == "high"
    tested = run("rules", "cure-claim", "--test")
    assert tested.returncode == 0
    assert b"0 failed" in tested.stdout


def test_evaluate(run: Run, tmp_path: Path) -> None:
    sale = "Our stem cells cure ALS, guaranteed. Book now, only $19,500!"
    warning = "Be wary of clinics that say they cure ALS. Talk to your neurologist."
    lines = [
        {"id": "a", "text": sale, "label": "redflag", "stratum": "ad", "group": "a", "origin": "here",
         "spans": [{"flag": "cure-claim", "start": 0, "end": 23, "stance": "asserted"}]},
        {"id": "b", "text": warning, "label": "clean", "stratum": "warning", "group": "b", "origin": "here",
         "spans": [{"flag": "cure-claim", "start": 33, "end": 41, "stance": "discounted"}]},
    ]  # fmt: skip
    file = tmp_path / "labelled.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    done = run("evaluate", file, "--spans")
    out = done.stdout.decode()
    assert done.returncode == 0
    assert "1 redflag, 0 mild, 1 clean" in out
    assert "1 of 1 passages marked as discounted" in out
    data = json.loads(run("evaluate", file, "--format", "json", "--spans").stdout)
    assert data["auroc"] == 1.0
    assert data["discounted"] == [1, 1]
    assert data["flags"]["cure-claim"]["against_spans"] == {"true_positive": 1, "false_positive": 0, "false_negative": 0}
    quality = run("evaluate", file, "--rules").stdout.decode()
    assert "found most often together with" in quality


def test_corpus(run: Run, tmp_path: Path) -> None:
    done = run("corpus", "--format", "markdown")
    assert done.returncode == 0
    assert done.stdout.decode().startswith("# Coverage of the corpus")
    line = '{"id": "1", "text": "Our cells cure ALS.", "label": "redflag", "stratum": "s", "group": "g"}\n'
    (tmp_path / "twice.jsonl").write_text(line * 2, "utf-8")
    done = run("corpus", tmp_path, "--format", "markdown")
    assert done.returncode == 1, "a corpus with problems is no success"


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout.decode() == f"als-redflags {__version__}\n"
    out = run("--help").stdout.decode()
    assert all(command in out for command in ("score", "rules", "train", "evaluate"))
    assert run().returncode == 2
