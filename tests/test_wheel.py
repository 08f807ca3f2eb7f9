"""The built wheel, installed into a fresh environment, scores a text from an empty directory."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXT = b"Our stem cells cure ALS, guaranteed. Book your place on WhatsApp now!"


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    subprocess.run([sys.executable, "-m", "build", "--outdir", dist, ROOT], check=True, capture_output=True, timeout=600)
    (wheel,) = dist.glob("*.whl")
    assert len(list(dist.glob("*.tar.gz"))) == 1, "the wheel is built from the source distribution"

    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True, timeout=600)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [environment / "bin" / "als-redflags", "score", "-", "--format", "json"],
        input=TEXT, capture_output=True, cwd=empty, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout)["verdict"] == "high"
    where = subprocess.run(
        [python, "-c", "import als_redflags; print(als_redflags.__file__)"],
        capture_output=True,
        cwd=empty,
        check=True,
        timeout=60,
    )
    assert Path(where.stdout.decode().strip()).is_relative_to(environment)
