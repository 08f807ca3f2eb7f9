"""Clusters: the same results as on one machine, and nothing lost when a worker dies."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from als_redflags import Scorer
from als_redflags.batch import score_table
from als_redflags.distributed import dask_engine, parquet_schema, score_batches, score_dataframe
from als_redflags.errors import BatchError, InputError
from tests.conftest import Run
from tests.table_runs import write_csv

distributed = pytest.importorskip("distributed", reason="Dask is an extra")
dd = pytest.importorskip("dask.dataframe", reason="Dask is an extra")
psutil = pytest.importorskip("psutil", reason="comes with Dask")
pa = pytest.importorskip("pyarrow", reason="comes with Dask")

TEXTS = [
    "Our stem cells cure ALS, guaranteed. Book now, only $19,500!",
    None,
    "Riluzole and good breathing care help people with ALS to live longer, says the charity.",
    "Too short",
]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {"id": range(40), "text": [text and f"{text} {i}" for i, text in enumerate(TEXTS * 10)]}, index=range(40, 0, -1)
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=30)
        yield client


def same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether two scored tables agree, whatever types hold their values."""

    def plain(value: Any) -> Any:
        if hasattr(value, "__len__") and not isinstance(value, str):
            return list(value)
        return None if pd.isna(value) else value

    return [[plain(v) for v in row] for row in found.to_numpy()] == [[plain(v) for v in row] for row in expected.to_numpy()]


def load_counts() -> tuple[int, int]:
    from als_redflags.scorer import shared_scorer

    found = shared_scorer.cache_info()
    return found.misses, found.hits


@pytest.mark.parametrize("flags", ["list", "wide", "none"])
def test_a_dask_frame_gets_what_a_pandas_frame_gets(scorer: Scorer, client: Any, frame: pd.DataFrame, flags: Any) -> None:
    expected = scorer.score_frame(frame, flags=flags)
    scored = score_dataframe(dd.from_pandas(frame, npartitions=6, sort=False), flags=flags)
    assert list(scored.columns) == list(expected.columns)
    found = scored.compute()
    assert found.dtypes.to_dict() == scored.dtypes.to_dict(), "the types that were promised"
    assert found.index.tolist() == frame.index.tolist()
    assert same(found, expected)
    loads = client.run(load_counts)
    assert len(loads) == 2
    assert all(misses == 1 for misses, _ in loads.values()), "one load in each process"
    assert sum(hits for _, hits in loads.values()) >= 4


def test_parquet_in_and_out(scorer: Scorer, client: Any, tmp_path: Path, frame: pd.DataFrame) -> None:
    for index in range(3):
        # the first file raises no flag, and its partition must have the same types
        part = frame.iloc[[index * 4, index * 4 + 1]] if index else frame.iloc[[1, 3]]
        part.to_parquet(tmp_path / f"in-{index}.parquet", index=False)
    scored = score_dataframe(dd.read_parquet(tmp_path / "in-*.parquet"))
    scored.to_parquet(tmp_path / "out", write_index=False, schema=parquet_schema(scored))
    schemas = {str(pa.parquet.read_schema(file).remove_metadata()) for file in (tmp_path / "out").glob("*.parquet")}
    assert len(schemas) == 1
    found = pd.read_parquet(tmp_path / "out")
    assert same(found, scorer.score_frame(frame.iloc[[1, 3, 4, 5, 8, 9]]))


@pytest.mark.parametrize(
    ("columns", "message"), [(["id"], "there is no column 'text'"), (["text", "score"], "has a column 'score' already")]
)
def test_columns_that_do_not_fit(columns: list[str], message: str) -> None:
    frame = pd.DataFrame({name: ["x"] for name in columns})
    with pytest.raises(InputError, match=message):
        score_dataframe(dd.from_pandas(frame, npartitions=1))
    with pytest.raises(InputError, match=message):
        next(score_batches(frame))


def test_batches_come_lazily_and_one_by_one(scorer: Scorer, frame: pd.DataFrame) -> None:
    """What Spark calls with an iterator of frames, and Ray with a frame."""
    taken = []

    def batches() -> Iterator[pd.DataFrame]:
        for start in range(0, 40, 10):
            taken.append(start)
            yield frame.iloc[start : start + 10]

    scored = score_batches(batches())
    first = next(scored)
    assert taken == [0]
    expected = scorer.score_frame(frame)
    assert same(pd.concat([first, *scored]), expected)
    (alone,) = score_batches(frame)
    assert same(alone, expected)
    assert list(frame.columns) == ["id", "text"], "the caller's table is left alone"
    (renamed,) = score_batches(frame.rename(columns={"text": "ad"}), "ad", flags="none", max_chars=70)
    assert set(renamed.loc[renamed["reason"].str.contains("at most 70", na=False), "id"]) == set(range(2, 40, 4))


def kill_one(client: Any) -> None:
    """Kill the process of a worker; its nanny starts another."""
    pid = client.scheduler_info(n_workers=-1)["workers"]
    name = sorted(pid)[0]
    psutil.Process(client.run(os.getpid, workers=[name])[name]).kill()


def test_a_worker_is_killed_and_no_row_is_lost(client: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([i, f"{TEXTS[i % 4] or ''} {i}"] for i in range(1300))])
    score_table(source, tmp_path / "local.parquet")
    killed: list[int] = []

    def on_progress(done: int, total: int) -> None:
        if done and not killed:
            killed.append(done)
            kill_one(client)

    address = client.scheduler.address
    summary = score_table(source, tmp_path / "out.parquet", engine=dask_engine(address), on_progress=on_progress)
    assert killed[0] < 1300
    assert summary.n_rows == sum(summary.verdicts.values()) == 1300
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()


def test_a_worker_is_killed_while_a_dask_frame_is_scored(scorer: Scorer, client: Any, frame: pd.DataFrame) -> None:
    frames = [frame.assign(part=part) for part in range(12)]
    table = pd.concat(frames, ignore_index=True)
    scored = score_dataframe(dd.from_pandas(table, npartitions=24)).persist()
    kill_one(client)
    assert same(scored.compute(), scorer.score_frame(table))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "ftp://127.0.0.1:8786"])
def test_an_address_where_no_scheduler_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str) -> None:
    monkeypatch.setattr("als_redflags.distributed._CONNECT_SECONDS", 0.3)
    source = write_csv(tmp_path / "in.csv", 10)
    with pytest.raises(BatchError, match=f"{address}: no Dask scheduler answers .* Start one with 'dask scheduler'"):
        score_table(source, tmp_path / "out.csv", engine=dask_engine(address))
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_scheduler_without_workers(tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL") as empty:
        source = write_csv(tmp_path / "in.csv", 10)
        with pytest.raises(BatchError, match="the scheduler has no workers; start some with: dask worker"):
            score_table(source, tmp_path / "out.csv", engine=dask_engine(empty.scheduler_address))


def test_a_text_that_kills_every_worker_ends_the_run(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("als_redflags.distributed.score_piece", lambda model, texts: os._exit(1))
    source = write_csv(tmp_path / "in.csv", 10)
    with pytest.raises(BatchError, match=r"the cluster lost its workers .*KilledWorker.* go on with --resume"):
        score_table(source, tmp_path / "out.csv", engine=dask_engine(client.scheduler.address))


def test_the_command_with_a_cluster_of_its_own(run: Run, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 600)
    done = run("batch", source, "--output", tmp_path / "dask.csv", "--engine", "dask", "--jobs", "2")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    score_table(source, tmp_path / "local.csv")
    assert (tmp_path / "dask.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
