"""Coverage-guided fuzzing, as far as a test has time for it; ``python -m fuzz.run`` goes on for longer."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_a_minute_of_fuzzing_breaks_nothing() -> None:
    pytest.importorskip("atheris", reason="the fuzzer is not installed: pip install -e '.[fuzz]'")
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.run", "--seconds", "60"], capture_output=True, cwd=ROOT, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout.decode()
    assert done.stdout.count(b"nothing found") == 6
    assert b" 0 executions" not in done.stdout, "a target that never ran proves nothing"
