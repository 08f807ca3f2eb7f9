"""How the scoring of tables scales: rows a second and peak memory by size of the table, and two worker processes against one.

    python benchmarks/scaling.py            # 1,000, 10,000 and 100,000 short ads
    python benchmarks/scaling.py --full     # also 1,000,000

The ads are drawn from the short texts of data/ with a fixed seed and made different from one another by a serial number, so
that none is scored from memory. Memory is the resident set of all processes of the run together, looked at ten times a second.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from als_redflags import corpus

ROOT = Path(__file__).parent.parent
SHORT_WORDS = 60
SEED = 7
PAIRS = 3


def write_ads(path: Path, n: int) -> None:
    texts = [document.text for document in corpus.read(ROOT / "data") if len(document.text.split()) <= SHORT_WORDS]
    draw = random.Random(SEED)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([i, f"{draw.choice(texts)} Reference {i}."] for i in range(n))


def resident_mb(process: psutil.Process) -> float:
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def count_rows(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file))


def run(source: Path, jobs: int) -> tuple[float, float]:
    """Seconds and peak megabytes of ``als-redflags batch``."""
    output = source.with_name("out.csv")
    command = [
        Path(sys.executable).with_name("als-redflags"),
        "batch",
        source,
        "--output",
        output,
        "--force",
        "--jobs",
        str(jobs),
    ]
    begun = time.perf_counter()
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, resident_mb(watched))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"the run ended with status {process.returncode}")
    if count_rows(output) != count_rows(source):
        raise SystemExit("rows were lost")
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="also score 1,000,000 ads")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes for the table sizes")
    parser.add_argument("--ratio-rows", type=int, default=10_000, help="ads for the comparison of one process with two")
    options = parser.parse_args()
    sizes = [1_000, 10_000, 100_000, *([1_000_000] if options.full else [])]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "ads.csv"
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.jobs} jobs")
        print(f"{'rows':>10} {'seconds':>9} {'rows/s':>8} {'peak MB':>8}")
        for n in sizes:
            write_ads(source, n)
            seconds, peak = run(source, options.jobs)
            print(f"{n:>10,} {seconds:>9.1f} {n / seconds:>8.0f} {peak:>8.0f}", flush=True)
        write_ads(source, options.ratio_rows)
        # in turn, and the fastest of each, because other work on the machine slows single runs down
        times = [(run(source, 1)[0], run(source, 2)[0]) for _ in range(PAIRS)]
        one, two = (min(column) for column in zip(*times, strict=True))
        print(f"{options.ratio_rows:,} rows: {one:.1f} s with one process, {two:.1f} s with two, ratio {one / two:.2f}")


if __name__ == "__main__":
    main()
