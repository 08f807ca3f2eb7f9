"""Runs over tables: every row arrives once, in order, whatever happens on the way."""

import csv
import doctest
import gzip
import itertools
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from als_redflags import Scorer
from als_redflags.batch import Summary, score_table
from als_redflags.checkpoint import PartFolder
from als_redflags.errors import BatchError, InputError, ModelError
from als_redflags.workers import processes
from tests.conftest import ROOT, Run
from tests.table_runs import fast, write_csv

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra")
pytest.importorskip("zstandard", reason="zstd is an extra")

ADS = [
    "Our stem cells cure ALS, guaranteed. Book now, only $19,500!",
    "Riluzole and good breathing care help people with ALS to live longer, says the charity.",
    "=Stop ALS with our cells, 87% of our patients improved. Call us on WhatsApp today!",
    "Too short",
    'Be wary of clinics that say "we cure ALS";\nask your neurologist first.',
]


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 2,600 ads: six chunks."""
    return write_csv(tmp_path_factory.mktemp("ads") / "ads.csv", 2600)


@pytest.fixture(scope="module")
def many_ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that is not done before somebody interrupts it, however slow that somebody is."""
    return write_csv(tmp_path_factory.mktemp("many") / "ads.csv", 40_000)


NAMES = ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.zst", "t.jsonl", "t.jsonl.gz", "t.parquet"]


def write_table(path: Path, frame: pd.DataFrame) -> None:
    kind = path.name.split(".")[1]
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows as strings, with the flags as they are in CSV."""
    kind = path.name.split(".")[1]
    if kind == "parquet":
        frame = pd.read_parquet(path)
    elif kind == "jsonl":
        frame = pd.read_json(path, orient="records", lines=True, dtype=False)
    else:
        frame = pd.read_csv(path, sep="\t" if kind == "tsv" else ",", dtype={"id": str})
    rows = json.loads(frame.to_json(orient="records"))
    for row in rows:
        row["flags"] = ";".join(row["flags"]) if isinstance(row["flags"], list) else row["flags"] or ""
    return rows


@pytest.mark.parametrize("given", NAMES)
@pytest.mark.parametrize("wanted", NAMES)
def test_every_format_into_every_other(scorer: Scorer, tmp_path: Path, given: str, wanted: str) -> None:
    frame = pd.DataFrame({"id": [f"0{i}" for i in range(len(ADS))], "text": ADS})
    write_table(tmp_path / f"in-{given}", frame)
    summary = score_table(tmp_path / f"in-{given}", tmp_path / f"out-{wanted}", guard_formulas=False)
    rows = read_table(tmp_path / f"out-{wanted}")
    expected = scorer.score_frame(frame)
    assert [row["id"] for row in rows] == frame["id"].tolist()
    assert [row["text"] for row in rows] == ADS
    assert [row["verdict"] for row in rows] == expected["verdict"].tolist()
    assert [row["score"] for row in rows] == pytest.approx([None if s != s else s for s in expected["score"]], abs=1e-9)
    assert [row["flags"] for row in rows] == [";".join(ids) for ids in expected["flags"]]
    assert [row["n_flags"] for row in rows] == expected["n_flags"].tolist()
    assert [row["reason"] for row in rows] == [None if s is None or s != s else s for s in expected["reason"]]
    assert summary.verdicts == Counter(row["verdict"] for row in rows)


def test_wide_columns_are_those_of_a_frame(scorer: Scorer, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ADS})
    frame.to_parquet(tmp_path / "in.parquet")
    score_table(tmp_path / "in.parquet", tmp_path / "out.parquet", flags="wide")
    found, expected = pd.read_parquet(tmp_path / "out.parquet"), scorer.score_frame(frame, flags="wide")
    assert list(found.columns) == list(expected.columns)
    for name in list(expected.columns)[5:]:
        assert found[name].tolist() == expected[name].tolist()
        assert found[name].dtype == bool
    score_table(tmp_path / "in.parquet", tmp_path / "none.parquet", flags="none")
    assert list(pd.read_parquet(tmp_path / "none.parquet").columns) == ["text", "score", "verdict", "reason", "n_flags"]


def test_what_cannot_be_scored_is_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(self: Scorer, text: str, **kwargs: Any) -> Any:
        if "stumble" in text:
            raise RecursionError("too deep")
        return score(self, text, **kwargs)

    score = Scorer.score
    monkeypatch.setattr(Scorer, "score", stumble)
    lines = [
        {"id": "a", "text": ADS[0]},
        {"id": "b", "text": None},
        {"id": "c"},
        {"id": "d", "text": 17},
        {"id": "e", "text": "long " * 50},
        {"id": "f", "text": "This is where we stumble over a text."},
        "{broken",
        "",
        {"id": "g", "text": "Too short"},
        {"id": "h", "text": ADS[0]},
    ]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    summary = score_table(source, out, id_column="id", max_chars=100)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(row["id"], row["verdict"], row["reason"]) for row in rows] == [
        ("a", "high", None),
        ("b", "insufficient", "there is no text"),
        ("c", "insufficient", "there is no text"),
        ("d", "insufficient", "the value is no text but of type int"),
        ("e", "insufficient", "the text has 250 characters; at most 100 are read"),
        ("f", "insufficient", "the text could not be scored (RecursionError: too deep)"),
        ("g", "insufficient", "the text has 2 words; at least 5 are needed"),
        ("h", "high", None),
    ]
    assert all(row["score"] is None and row["flags"] == [] for row in rows if row["verdict"] == "insufficient")
    (rejected,) = map(json.loads, (tmp_path / "out.jsonl.rejected.jsonl").read_text("utf-8").splitlines())
    assert (rejected["line"], rejected["raw"]) == (7, "{broken\n")
    assert rejected["error"].startswith("is no JSON")
    assert (summary.n_rows, summary.n_rejected, summary.n_blank, summary.n_failed, summary.n_repeated) == (8, 1, 1, 5, 1)
    assert sum(summary.verdicts.values()) == summary.n_rows
    assert summary.n_rows + summary.n_rejected + summary.n_blank == len(lines)
    assert summary.flags == Counter(flag for row in rows for flag in row["flags"])
    assert [(failure["row"], failure["id"]) for failure in summary.failures] == [(2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f")]


def test_a_text_is_scored_once_while_it_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.jsonl"
    texts = [f"text {i % 30}" for i in range(3000)]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    scored: list[str] = []
    summary = score_table(source, tmp_path / "a.jsonl", engine=fast(scored))
    assert sorted(scored) == sorted(set(texts))
    assert summary.n_repeated == 3000 - 30
    monkeypatch.setattr("als_redflags.batch._REMEMBERED", 5)
    scored.clear()
    score_table(source, tmp_path / "b.jsonl", engine=fast(scored))
    assert len(scored) > 1000, "the memory is bounded"
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_worker_processes_give_the_same_file(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    rows = [[f"{i}", f"{ADS[i % len(ADS)]} {i}"] for i in range(520)]
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *rows])
    score_table(source, tmp_path / "one.csv")
    score_table(source, tmp_path / "two.csv", jobs=2)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    with (tmp_path / "one.csv").open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [row[0] for row in rows]


def test_as_many_chunks_are_read_ahead_as_keep_the_workers_busy_and_no_more(ads: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "in.csv", 20_000)
    events: list[tuple[str, int]] = []
    score_table(
        tmp_path / "in.csv",
        tmp_path / "out.csv",
        engine=fast(on_piece=lambda n: events.append(("piece", n))),
        on_progress=lambda done, total: events.append(("done", done)),
    )
    ahead = most = done = 0
    for name, value in events:
        ahead = value * 50 - done if name == "piece" else ahead
        done = value if name == "done" else done
        most = max(most, ahead)
    assert 500 < most <= 1000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class BrokenOffError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def break_off_at(piece: int) -> Callable[[int], None]:
    def on_piece(n: int) -> None:
        if n == piece:
            raise BrokenOffError

    return on_piece


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl.gz", "out.tsv.zst", "out.parquet"])
@pytest.mark.parametrize("jump", [1, 11, 12, 31, 52])
def test_a_run_that_is_broken_off_goes_on_to_the_same_bytes(ads: Path, tmp_path: Path, name: str, jump: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    out.mkdir()
    expected = score_table(ads, whole / name, engine=fast())
    with pytest.raises(BrokenOffError):
        score_table(ads, out / name, engine=fast(on_piece=break_off_at(jump)))
    assert not (out / name).exists()
    # what the last moment left behind the checkpoint is cut off
    if (out / f"{name}.part").exists():
        with (out / f"{name}.part" / "rows").open("ab") as rows:
            rows.write(b"half a row")
    begun: list[int] = []
    summary = score_table(ads, out / name, engine=fast(), resume=True, on_progress=lambda done, total: begun.append(done))
    assert begun[0] == max(0, (jump - 1) // 10 - 1) * 500
    assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert summary == expected
    assert names(out) == [name]


STEPS = ["Path.replace", "Path.chmod", "Path.unlink", "os.fsync"]


@pytest.mark.parametrize("step", STEPS)
def test_a_run_may_be_broken_off_between_any_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Break off at the first, second, third ... call of a function of the file system, until a run gets through."""
    source = tmp_path / "in.csv"
    source.write_bytes(b"id,text\n1,short\n2\n3,also short\n")
    score_table(source, tmp_path / "whole.csv", engine=fast())
    expected = {name: (tmp_path / f"whole{name}").read_bytes() for name in (".csv", ".csv.rejected.jsonl")}
    owner, name = (Path, step.split(".")[1]) if step.startswith("Path") else (os, "fsync")
    original = getattr(owner, name)
    for last in itertools.count(1):
        count = itertools.count(1)

        def broken(*args: Any, count: Iterator[int] = count, last: int = last, **kwargs: Any) -> Any:
            if next(count) == last:
                raise BrokenOffError
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            # a killed process tidies nothing up, its files are closed
            patch.setattr(PartFolder, "_leave", lambda self: [file.close() for file in (self._rows, self._lock) if file])
            try:
                score_table(source, tmp_path / "out.csv", engine=fast())
                break
            except BrokenOffError:
                pass
        if (tmp_path / "out.csv.part" / "checkpoint.json").exists() or not (tmp_path / "out.csv").exists():
            score_table(source, tmp_path / "out.csv", engine=fast(), resume=True)
        for end, data in expected.items():
            assert (tmp_path / f"out{end}").read_bytes() == data, f"broken off at call {last} of {step}"
            (tmp_path / f"out{end}").unlink()
        shutil.rmtree(tmp_path / "out.csv.part", ignore_errors=True)
    assert last > 2, "the step was met"


# A process that loads everything once, starts a run in a child and kills it at a random moment, until a run gets through.
KILL_RUNS = """
import os, random, signal, sys, time
import pandas  # by pyarrow, when it is first used
from als_redflags import parquet
from als_redflags.batch import score_table
from als_redflags.errors import BatchError
from als_redflags.workers import loaded_scorer
from tests.table_runs import fast
loaded_scorer(None)
moments = random.Random(7)
for out in sys.argv[2:]:
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            try: score_table(sys.argv[1], out, resume=True, engine=fast(on_piece=lambda n: time.sleep(0.003)))
            # the last thing that a run does is to remove its folder; if it is killed there, it is done
            except BatchError as error: os._exit(0 if "exists already" in str(error) else 1)
            os._exit(0)
        # a little later every time, so that a slow machine gets through too
        time.sleep(moments.uniform(0, 0.1 * 1.1**killed))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status): break
        killed += 1
    assert os.WEXITSTATUS(status) == 0
    print(killed)
"""


def test_killed_at_random_moments(ads: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("out.csv", "out.csv.gz", "out.parquet")]
    command = [sys.executable, "-c", KILL_RUNS, ads, *outputs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert all(int(killed) >= 1 for killed in done.stdout.split())
    for out in outputs:
        score_table(ads, tmp_path / f"whole-{out.name}", engine=fast())
        assert out.read_bytes() == (tmp_path / f"whole-{out.name}").read_bytes()


def test_an_output_is_replaced_only_when_asked_for_and_complete(ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_bytes(b"precious")
    out.chmod(0o640)
    with pytest.raises(BatchError, match=r"out\.csv: exists already; name another output, or overwrite it with --force"):
        score_table(ads, out, engine=fast())
    with pytest.raises(BrokenOffError):
        score_table(ads, out, engine=fast(on_piece=break_off_at(25)), force=True)
    assert out.read_bytes() == b"precious"
    with pytest.raises(BatchError, match=r"was not finished; go on with --resume, or throw its rows away"):
        score_table(ads, out, engine=fast())
    score_table(ads, out, engine=fast(), resume=True)
    assert out.read_bytes().count(b"\n") == 2601
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    stale = tmp_path / "out.csv.rejected.jsonl"
    stale.write_text("{}", "utf-8")
    score_table(ads, out, engine=fast(), force=True)
    assert not stale.exists(), "it would be taken for the rejected lines of this run"


def test_an_output_that_appears_during_the_run_is_left_alone(ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(BatchError, match="exists already"):
        score_table(ads, out, engine=fast(on_piece=lambda n: out.write_bytes(b"precious")))
    assert out.read_bytes() == b"precious"
    with pytest.raises(BatchError, match="exists already"):
        score_table(ads, out, engine=fast(), resume=True)
    scored: list[str] = []
    assert score_table(ads, out, engine=fast(scored), resume=True, force=True).n_rows == 2600
    assert scored == []


def test_a_link_stays_a_link(ads: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "there" / "out.csv")
    score_table(ads, tmp_path / "link.csv", engine=fast())
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there" / "out.csv").read_bytes().count(b"\n") == 2601


def test_unfinished_files_are_private(ads: Path, tmp_path: Path) -> None:
    modes: set[tuple[bool, int]] = set()
    (tmp_path / "out.csv.part").mkdir()
    (tmp_path / "out.csv.part").chmod(0o777)

    def look(done: int, total: int) -> None:
        for path in (tmp_path / "out.csv.part", *(tmp_path / "out.csv.part").iterdir()):
            modes.add((path.is_dir(), stat.S_IMODE(path.stat().st_mode)))

    before = os.umask(0o022)
    try:
        score_table(ads, tmp_path / "out.csv", engine=fast(), on_progress=look)
    finally:
        os.umask(before)
    assert modes == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"text_column": "id"}, "the text column"),
        ({"flags": "wide"}, "the choice of flags"),
        ({"max_chars": 7}, "the limit of characters"),
        ({"guard_formulas": False}, "the guard against formulas"),
    ],
)
def test_a_run_goes_on_only_as_it_began(ads: Path, tmp_path: Path, change: dict[str, Any], what: str) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(BrokenOffError):
        score_table(ads, out, engine=fast(on_piece=break_off_at(25)))
    with pytest.raises(BatchError, match=f"cannot go on, because {what} changed since; start again with --force"):
        score_table(ads, out, engine=fast(), resume=True, **change)
    score_table(ads, out, engine=fast(), resume=True)


def test_another_model_is_another_run(ads: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ROOT / "models", model)
    header = json.loads((model / "redflags.json").read_text("utf-8"))
    header["thresholds"]["high"] = 0.5
    (model / "redflags.json").write_text(json.dumps(header), "utf-8")
    with pytest.raises(BrokenOffError):
        score_table(ads, tmp_path / "out.csv", engine=fast(on_piece=break_off_at(25)))
    with pytest.raises(BatchError, match="because the model changed since"):
        score_table(ads, tmp_path / "out.csv", engine=fast(), resume=True, model=model)


@pytest.mark.parametrize("how", ["rewritten", "replaced", "removed", "cut off"])
def test_an_input_that_changes_while_it_is_read(ads: Path, tmp_path: Path, how: str) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    shutil.copy(ads, source)
    other = write_csv(tmp_path / "other.csv", 2600)

    def change(n: int) -> None:
        if n == 25 and how == "rewritten":
            source.write_bytes(other.read_bytes().replace(b"number", b"NUMBER"))
        elif n == 25 and how == "replaced":
            other.replace(source)
        elif n == 25 and how == "removed":
            source.unlink()
        elif n == 25:
            os.truncate(source, 60_000)

    with pytest.raises(BatchError, match=r"in\.csv: was changed or replaced while it was read"):
        score_table(source, out, engine=fast(on_piece=change))
    assert not out.exists()
    if how in ("rewritten", "cut off"):
        with pytest.raises(BatchError, match="because the input changed since"):
            score_table(source, out, engine=fast(), resume=True)
    shutil.copy(ads, source)
    summary = score_table(source, out, engine=fast(), resume=True)
    score_table(ads, tmp_path / "whole.csv", engine=fast())
    assert summary.n_rows == 2600
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_one_run_at_a_time(run: Run, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with PartFolder(out):
        done = run("batch", ads, "--output", out)
        assert done.returncode == 2
        assert b"out.csv: another run is writing it" in done.stderr
        with pytest.raises(BatchError, match="another run is writing it"):
            score_table(ads, out, resume=True, force=True, engine=fast())
    assert names(tmp_path) == []


@pytest.mark.parametrize("spoil", ["checkpoint", "rows", "format"])
def test_a_damaged_checkpoint_is_no_start(ads: Path, tmp_path: Path, spoil: str) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(BrokenOffError):
        score_table(ads, out, engine=fast(on_piece=break_off_at(35)))
    part = tmp_path / "out.csv.part"
    if spoil == "rows":
        os.truncate(part / "rows", 100)
    else:
        (part / "checkpoint.json").write_text('{"format": 99}' if spoil == "format" else "{", "utf-8")
    with pytest.raises(BatchError, match="start again with --force"):
        score_table(ads, out, engine=fast(), resume=True)
    assert score_table(ads, out, engine=fast(), force=True).n_rows == 2600


def test_files_of_others_are_not_touched(ads: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv.part").mkdir(mode=0o700)
    (tmp_path / "out.csv.part" / "thesis.doc").write_bytes(b"precious")
    with pytest.raises(BatchError, match=r"holds other files \(thesis\.doc\)"):
        score_table(ads, tmp_path / "out.csv", force=True, engine=fast())
    assert names(tmp_path / "out.csv.part") == ["thesis.doc"]


@pytest.fixture
def limit_of_files() -> Iterator[Callable[[int], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("name", "limit", "kept"),
    [
        ("out.csv", 2_000, False),
        ("out.csv", 100_000, True),
        ("out.parquet", 2_000, False),
        ("out.parquet", 50_000, True),
        ("out.csv.gz", 100_000, True),
    ],
)
def test_a_file_that_may_not_grow(
    ads: Path, tmp_path: Path, limit_of_files: Callable[[int], None], name: str, limit: int, kept: bool
) -> None:
    whole, out = tmp_path / f"whole-{name}", tmp_path / name
    score_table(ads, whole, engine=fast())
    limit_of_files(limit)
    with pytest.raises(BatchError) as error:
        score_table(ads, out, engine=fast())
    limit_of_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert str(error.value).startswith(f"{out}: cannot be written (File too large)")
    assert ("go on with --resume" in str(error.value)) == kept == (tmp_path / f"{name}.part").exists()
    assert not out.exists()
    score_table(ads, out, engine=fast(), resume=True)
    assert out.read_bytes() == whole.read_bytes()


def test_a_final_file_that_may_not_grow(
    ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_of_files: Callable[[int], None]
) -> None:
    """The rows fit, and the Parquet file made of them does not."""
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    score_table(ads, whole, engine=fast())
    on_progress = lambda done, total: limit_of_files(5_000) if done == total else None  # noqa: E731
    with pytest.raises(BatchError, match=r"File too large\)\. The rows done so far are kept"):
        score_table(ads, out, engine=fast(), on_progress=on_progress)
    limit_of_files(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert names(tmp_path / "out.parquet.part") == ["checkpoint.json", "lock", "rejected.jsonl", "rows"]
    scored: list[str] = []
    score_table(ads, out, engine=fast(scored), resume=True)
    assert scored == []
    assert out.read_bytes() == whole.read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=80k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk(ads: Path, tmp_path: Path, small_disk: Path) -> None:
    score_table(ads, tmp_path / "whole.csv", engine=fast())
    with pytest.raises(BatchError, match=r"No space left on device\)\. The rows done so far are kept: mend that and go on"):
        score_table(ads, small_disk / "out.csv", engine=fast())
    assert names(small_disk) == ["out.csv.part"]
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    begun: list[int] = []
    score_table(ads, small_disk / "out.csv", engine=fast(), resume=True, on_progress=lambda done, total: begun.append(done))
    assert begun[0] > 0
    assert (small_disk / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/out.csv", "there is no folder"),
        (".", "told from its name"),
        ("folder.csv", "is no regular file; name a file to write"),
        ("in.csv", "is the input; name another output"),
        ("out.xlsx", "told from its name"),
    ],
)
def test_outputs_that_cannot_be(ads: Path, tmp_path: Path, output: str, message: str) -> None:
    shutil.copy(ads, tmp_path / "in.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises((BatchError, InputError), match=message):
        score_table(tmp_path / "in.csv", tmp_path / output, engine=fast(), force=True)
    assert names(tmp_path) == ["folder.csv", "in.csv"]
    assert (tmp_path / "in.csv").read_bytes() == ads.read_bytes()


@pytest.mark.parametrize("what", ["link", "file"])
def test_the_folder_of_a_run_is_no_trap(ads: Path, tmp_path: Path, what: str) -> None:
    part = tmp_path / "out.csv.part"
    if what == "file":
        part.write_bytes(b"precious")
    else:
        (tmp_path / "elsewhere").mkdir()
        part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BatchError, match=r"belongs to somebody else|File exists"):
        score_table(ads, tmp_path / "out.csv", force=True, engine=fast())
    assert part.exists()


def test_cells_that_are_separated_by_something_else(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id;text\n1;Our cells cure ALS\n", "utf-8")
    with pytest.raises(InputError, match=r"the table has 'id;text'; are the cells separated by something else"):
        score_table(tmp_path / "in.csv", tmp_path / "out.csv", engine=fast())


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that nobody can write to")
def test_a_read_only_output(ads: Path) -> None:
    with pytest.raises(BatchError, match=r"/sys/out\.csv: cannot be written \(.*\)\. Nothing was kept\."):
        score_table(ads, "/sys/out.csv", engine=fast())


def test_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n", "utf-8")
    for name in ("out.csv", "out.jsonl", "out.parquet", "out.csv.gz"):
        assert score_table(tmp_path / "in.csv", tmp_path / name) == Summary()
    assert (tmp_path / "out.csv").read_bytes() == b"id,text,score,verdict,reason,n_flags,flags\n"
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()
    assert pd.read_parquet(tmp_path / "out.parquet").shape == (0, 7)


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        (["id", "ad"], {}, InputError, "there is no column 'text'; the table has 'id', 'ad'"),
        (["id", "text"], {"id_column": "ad"}, InputError, "there is no column 'ad'"),
        (["text", "score"], {}, InputError, "has a column 'score' already, which would be overwritten; rename it first"),
        (["text", "reason", "flags"], {}, InputError, "has columns 'reason', 'flags' already"),
        (["text", "cure-claim"], {"flags": "wide"}, InputError, "has a column 'cure-claim' already"),
        (["text"], {"jobs": 0}, ValueError, "jobs and max_chars are at least 1"),
        (["text"], {"flags": "all"}, ValueError, "flags is one of list, wide, none"),
        (["text"], {"model": "nowhere"}, ModelError, "No model found"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    tmp_path: Path, columns: list[str], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "in.csv").write_text(",".join(columns) + "\n" + ",".join("x" * len(columns)) + "\n", "utf-8")
    with pytest.raises(error, match=message):
        score_table(tmp_path / "in.csv", tmp_path / "out.csv", **options)
    assert names(tmp_path) == ["in.csv"]


def test_a_package_that_lacks_is_missed_at_the_beginning(ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InputError, match=r"pip install 'als-redflags\[zstd\]'"):
        score_table(ads, tmp_path / "out.csv.zst", engine=fast(on_piece=lambda n: pytest.fail("scored")))
    assert names(tmp_path) == []


def test_a_stream_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("pipe.csv", "."):
        with pytest.raises(InputError, match="name a file, which can be read twice"):
            score_table(tmp_path / name, tmp_path / "out.csv")


def test_a_worker_that_is_killed(ads: Path, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="finds the worker processes")
    out = tmp_path / "out.csv"

    def kill_a_worker(done: int, total: int) -> None:
        if done == 500:
            workers = [p for p in psutil.Process().children(recursive=True) if "LokyProcess" in " ".join(p.cmdline())]
            workers[0].kill()

    with pytest.raises(BatchError, match=r"a worker process was killed.* go on with --resume"):
        score_table(ads, out, jobs=2, on_progress=kill_a_worker)
    assert not out.exists()
    scored: list[int] = []
    summary = score_table(ads, out, jobs=2, resume=True, on_progress=lambda done, total: scored.append(done))
    assert 500 <= scored[0] < 2600
    assert summary.n_rows == 2600
    with out.open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [f"ad-{i}" for i in range(2600)]


def threads() -> int:
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def test_numerical_libraries_use_one_thread_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("als_redflags.workers.score_piece", lambda model, texts: threads())
    with processes(1)(None) as workers:
        assert workers.submit(["x"]).result() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(many_ads: Path, tmp_path: Path, times: int) -> None:
    command = Path(sys.executable).with_name("als-redflags")
    out = tmp_path / "out.jsonl"
    arguments = [command, "batch", many_ads, "--output", out, "--jobs", "2"]
    run = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # what runs in the background ignores Ctrl-C, and so does all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while run.poll() is None and not (tmp_path / "out.jsonl.part" / "checkpoint.json").exists():
        time.sleep(0.02)
    for _ in range(times):
        os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to the workers too
        time.sleep(0.03)
    _, error = run.communicate(timeout=30)
    assert run.returncode == 130
    assert error.decode() == "als-redflags: interrupted; the rows done so far are kept, go on with --resume\n"
    assert names(tmp_path) == ["out.jsonl.part"]


def test_the_command(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "ads.jsonl", tmp_path / "scored.csv.gz"
    lines = [*({"id": i, "ad": text} for i, text in enumerate(ADS)), {"id": "x\x1b[31m", "ad": None}, {"id": 9, "ad": ADS[0]}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n\n", "utf-8")
    options = ["--text-column", "ad", "--id-column", "id", "--progress", "plain"]
    done = run("batch", source, "--output", out, *options)
    assert done.returncode == 0, done.stderr.decode()
    summary = done.stdout.decode()
    assert summary.startswith(f"{out}: 7 rows, 2 insufficient, ")
    assert "cure-claim" in summary
    assert "1 row had the text of an earlier row" in summary
    assert "row 6 (x\ufffd[31m): there is no text" in summary
    assert f"1 malformed line: see {out}.rejected.jsonl" in summary
    assert "1 empty line." in summary
    assert done.stderr.decode().splitlines()[0] == "0 of 7 rows (0%)"
    assert "7 of 7 rows (100%)" in done.stderr.decode().splitlines()[-1]
    rows = list(csv.DictReader(gzip.decompress(out.read_bytes()).decode().splitlines(keepends=True)))
    assert rows[2]["ad"] == f"'{ADS[2]}"
    assert "stem-cell" not in rows[0]["flags"]
    assert rows[0]["flags"].split(";") == sorted(rows[0]["flags"].split(";"))
    done = run("batch", source, "--output", tmp_path / "b.tsv", "--text-column", "ad", "--no-guard-formulas", "--flags", "none")
    assert done.stderr == b"", "no progress where nobody looks"
    assert ADS[2].encode() in (tmp_path / "b.tsv").read_bytes()
    assert f"'{ADS[2]}".encode() not in (tmp_path / "b.tsv").read_bytes()


def test_a_bar_on_a_terminal(ads: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="needs a terminal")
    small = write_csv(tmp_path / "in.csv", 20)
    parent, child = pty.openpty()
    command = [Path(sys.executable).with_name("als-redflags"), "batch", small, "--output", tmp_path / "out.csv"]
    with subprocess.Popen(
        command, stderr=child, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ) as run:
        os.close(child)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while data := os.read(parent, 10_000):
                shown += data
    os.close(parent)
    assert run.returncode == 0
    assert b"20/20" in shown
    assert b"rows/s" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "--output", "o.csv"], "nowhere.csv: no such file"),
        (["t.csv", "--output", "o.csv", "--text-column", "ad"], "t.csv: there is no column 'ad'; the table has 'id', 'text'"),
        (["t.csv", "--output", "o.csv", "--scheduler", "tcp://x:1"], "--scheduler belongs to --engine dask"),
        (["t.csv", "--output", "o.csv", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["t.csv"], "Missing option '--output'"),
    ],
)
def test_mistakes_are_explained(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    write_csv(tmp_path / "t.csv", 3)
    done = run("batch", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.decode().replace("\u2502", " ").split())
    assert "Traceback" not in done.stderr.decode()
    assert names(tmp_path) == ["t.csv"]


GUIDE = (ROOT / "docs" / "SCALE.md").read_text("utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]


def test_the_snippets_of_the_guide_run() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "SCALE.md"), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


@pytest.mark.parametrize("line", [line for line in LINES if "dask" not in line])
def test_the_commands_of_the_guide_run(run: Run, tmp_path: Path, line: str) -> None:
    write_csv(tmp_path / "ads.csv", 20)
    with gzip.open(tmp_path / "ads.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"url": "https://a.example", "ad": ADS[0]}) + "\n")
    done = run(*line.split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()


def test_the_guide_names_every_option(run: Run) -> None:
    options = set(re.findall(r"--[a-z-]+", run("batch", "--help").stdout.decode())) - {"--help"}
    assert len(options) >= 12
    assert sorted(option for option in options if option.replace("--no-", "--") not in GUIDE.replace("--no-", "--")) == []
