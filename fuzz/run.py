"""Coverage-guided fuzzing (atheris, ``pip install -e '.[fuzz]'``).

    python -m fuzz.run [--seconds 60] [TARGET ...]

Every target runs in a process of its own for its share of the time, beginning with the examples and what earlier runs kept in
``--keep``. Prints the executions of each; exit status 1 if one was broken, with the input that did it.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("cleaning", "readers", "rules", "reports", "labelled", "patterns")
ROOT = Path(__file__).parent.parent
_ONE = (
    "import sys, atheris\nwith atheris.instrument_imports(include=['als_redflags']):\n    from fuzz.targets import TARGETS\n"
    + ("name = sys.argv.pop(1)\natheris.Setup(sys.argv, TARGETS[name])\natheris.Fuzz()\n")
)
_SEEDS = {
    "labelled": [b'{"id":"1","text":"Our cells cure ALS.","label":"redflag","stratum":"s","group":"g","spans":[]}\n'],
    "patterns": [b"we * (cure|{heal}) ** [our] {disease}", b"<money> (a|b c) [x]"],
    "readers": ["caf\u00e9".encode("utf-16"), b"\xef\xbb\xbfcure", b"caf\xe9"],
}


def fuzz(name: str, seconds: int, keep: Path) -> tuple[int, str]:
    """Fuzz one target; returns the number of executions, and the trace of what broke or nothing."""
    folder = keep / name
    folder.mkdir(parents=True, exist_ok=True)
    texts = [b" " + file.read_bytes() for file in (ROOT / "examples").glob("*.txt")] + [b"\x60" + bytes(range(70))]
    for number, seed in enumerate(_SEEDS.get(name, texts)):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-print_final_stats=1",
        "-max_len=3000",
        "-timeout=20",
        f"-artifact_prefix={keep}/broken-{name}-",
    ]
    done = subprocess.run(
        [sys.executable, "-c", _ONE, name, *options, folder], capture_output=True, cwd=ROOT, check=False, timeout=seconds + 300
    )
    log = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    executions = re.search(r"number_of_executed_units: *(\d+)", log) or re.search(r"Done (\d+) runs", log)
    return int(executions[1]) if executions else 0, log[-4000:] if done.returncode else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description="Fuzz als_redflags.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--keep", type=Path, help="folder for inputs that reach new code, and for those that break something")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(NAMES):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    names = arguments.targets or NAMES
    broken = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            executions, trace = fuzz(name, max(arguments.seconds // len(names), 1), (arguments.keep or Path(scratch)).resolve())
            broken += bool(trace)
            print(f"{name}: {executions} executions, {'broken' if trace else 'nothing found'}", flush=True)
            print(trace, end="")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
