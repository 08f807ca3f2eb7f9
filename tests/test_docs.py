"""The guides, the hooks and the citation say what works: snippets and commands are run."""

import doctest
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from als_redflags import __version__
from als_redflags.cli import Format
from tests.conftest import ROOT, Run

GUIDES = [ROOT / "docs" / "CI.md", ROOT / "docs" / "INTEGRATIONS.md"]
CI = GUIDES[0].read_text("utf-8")
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CI, re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_snippets_run(guide: Path) -> None:
    result = doctest.testfile(str(guide), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted >= 3
    assert result.failed == 0


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_recipes_are_well_formed() -> None:
    config, workflow = (yaml.safe_load(block) for block in blocks("yaml"))
    (repository,) = config["repos"]
    assert {hook["id"] for hook in repository["hooks"]} <= set(HOOKS)
    steps = workflow["jobs"]["red-flags"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)


COMMANDS = sorted(
    {
        line.split("  #")[0].strip().removeprefix("- run: ")
        for block in blocks("sh") + blocks("yaml")
        for line in block.splitlines()
        if "als-redflags score" in line
    }
)


@pytest.mark.parametrize("name", ["clinic", "regulator_warning"])
def test_the_commands_of_the_recipes_run(run: Run, tmp_path: Path, name: str) -> None:
    assert len(COMMANDS) >= 3
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "page.md").write_bytes((ROOT / "examples" / f"{name}.txt").read_bytes())
    for line in COMMANDS:
        arguments = [a.replace("content/*.md", "content/page.md") for a in shlex.split(line)[1:]]
        expected = 1 if "--fail-on" in line and name == "clinic" else 0
        assert run(*arguments, cwd=tmp_path).returncode == expected, line
    assert (tmp_path / "redflags.sarif").stat().st_size > 0
    assert (tmp_path / "redflags.csv").stat().st_size > 0


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_stops_the_seller_and_lets_the_warning_pass(run: Run, hook: dict[str, object]) -> None:
    assert {"id", "name", "entry", "language"} <= set(hook)
    command, *arguments = str(hook["entry"]).split()
    assert command in PROJECT["scripts"]
    assert run(*arguments, "examples/clinic.txt", "examples/trial_announcement.txt").returncode == 1
    assert run(*arguments, "examples/regulator_warning.txt", "examples/trial_announcement.txt").returncode == 0


def test_the_formats_for_programs_are_documented() -> None:
    assert {str(Format.JSON), str(Format.JSONL), str(Format.CSV), str(Format.SARIF)} <= set(
        re.findall(r"^\| `(\w+)` \|", CI, re.MULTILINE)
    )


def test_the_citation_is_valid_and_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    schema = json.loads((ROOT / "tests" / "schemas" / "cff-1.2.0.json").read_text("utf-8"))
    assert [error.message for error in Draft7Validator(schema).iter_errors(citation)] == []
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert set(citation["keywords"]) == set(PROJECT["keywords"])


def test_scoring_opens_no_connection_starts_no_program_and_unpickles_nothing() -> None:
    code = """
import sys
seen = []
watched = "socket.connect socket.getaddrinfo socket.sendto subprocess.Popen os.system os.exec pickle.find_class".split()
sys.addaudithook(lambda event, arguments: seen.append(event) if event in watched else None)
from als_redflags import score
from als_redflags.cli import main
score("Our stem cells cure ALS: see https://clinic.example/cure and call us today. __import__('os').system('true')")
sys.argv = ["als-redflags", "score", "examples/clinic.txt"]
try: main()
except SystemExit as end: assert end.code in (0, None)
print("seen:", seen, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120, cwd=ROOT)
    assert b"HIGH" in done.stdout
    assert done.stderr.decode().splitlines() == ["seen: []"]
