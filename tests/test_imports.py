"""What must not be imported: scoring works without scikit-learn and pandas, and the cheap commands without spaCy too."""

import json
import subprocess
import sys

import pytest

HEAVY = ["spacy", "pandas", "sklearn", "scipy"]


def loaded(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has imported after running ``code``."""
    script = f"import sys, json\n{code}\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    lines = [
        f"sys.argv = ['als-redflags', *{list(arguments)}]",
        "from als_redflags.cli import main",
        "try: main()",
        "except SystemExit: pass",
    ]
    return "\n".join(lines)


def test_scoring_needs_neither_scikit_learn_nor_pandas() -> None:
    assert loaded("from als_redflags import score; score('Our stem cells cure ALS, call us today.')") <= {"spacy"}


def test_importing_the_package_loads_nothing() -> None:
    assert loaded("import als_redflags; als_redflags.__version__") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["rules"], ["rules", "cure-claim"]])
def test_cheap_commands(arguments: list[str]) -> None:
    assert loaded(command(*arguments)) == set()
