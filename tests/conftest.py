"""What several test modules need: the shared scorer, the rule book, and the installed command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from als_redflags import Scorer
from als_redflags.matcher import RuleMatcher
from als_redflags.rulebook import RuleBook
from als_redflags.stance import StanceReader

# the same examples on every run: a property that fails does so for everybody
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

ROOT = Path(__file__).parent.parent
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def book() -> RuleBook:
    return RuleBook.load()


@pytest.fixture(scope="session")
def reader(book: RuleBook) -> StanceReader:
    return StanceReader(RuleMatcher(book))


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return Scorer.load()


@pytest.fixture(scope="session")
def run() -> Run:
    """Run the installed command ``als-redflags`` with these arguments, in an environment without colours."""
    command = Path(sys.executable).with_name("als-redflags")
    assert command.exists(), "the command is not installed in this environment: pip install -e ."

    def call(*arguments: str | Path, stdin: bytes = b"", cwd: Path = ROOT) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run([command, *arguments], input=stdin, capture_output=True, cwd=cwd, timeout=120, check=False)

    return call
