"""The README's commands and snippets are the ones that are tested."""

import doctest
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run

README = (ROOT / "README.md").read_text("utf-8")


def setup_lines() -> list[str]:
    return re.findall(r"<!-- setup: \w+ -->\n```sh\n(.+)\n```", README)


def test_there_are_two_setup_commands_and_ci_runs_them_as_printed() -> None:
    commands = setup_lines()
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in script if "pip install" in line and not line.startswith("#")] == commands
    assert script[-1] == commands[-1], "CI ends with the summary of the tests"


def test_python_snippets_run() -> None:
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted >= 5
    assert result.failed == 0


LINES = [line.split("#")[0].strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
# training and checking the corpus need the checkout, serving does not end; test_train.py, test_cli.py and test_server.py run them
COMMANDS = [line for line in LINES if line.startswith("als-redflags") and line.split()[1] not in ("train", "corpus", "serve")]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_readme_run(run: Run, tmp_path: Path, line: str) -> None:
    text = (ROOT / "examples" / "clinic.txt").read_bytes()
    for name in ("page.txt", "ad.txt"):
        (tmp_path / name).write_bytes(text)
    (tmp_path / "ads.csv").write_text('id,text\n1,"Our stem cells cure ALS, guaranteed. Book now!"\n2,\n', "utf-8")
    (tmp_path / "page.html").write_bytes(b"<!doctype html><p>" + text.replace(b"\n\n", b"<p>") + b"</html>")
    sample = (ROOT / "data" / "warnings.jsonl").read_text("utf-8").splitlines()[:5]
    (tmp_path / "labelled.jsonl").write_text("\n".join(sample), "utf-8")
    arguments = [part for word in line.split()[1:] for part in ([*map(str, tmp_path.glob(word))] if "*" in word else [word])]
    done = run(*arguments, stdin=text, cwd=tmp_path)
    assert done.returncode == (1 if "--fail-on" in line else 0), done.stderr.decode()
    assert done.stdout or "--output" in line


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_figures_are_those_of_the_model_card() -> None:
    card = (ROOT / "models" / "MODEL_CARD.md").read_text("utf-8").splitlines()
    section = README.split("## How well it does")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert len(rows) >= 8
    assert [row for row in rows if row not in card] == []
