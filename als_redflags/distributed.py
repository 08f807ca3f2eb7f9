"""Tables beyond one machine: Dask data frames and clusters, and one function for Spark, Ray or whatever hands on pandas frames.

Every worker process loads the model once. docs/SCALE.md says which of these to take.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from als_redflags import outcome
from als_redflags.errors import BatchError
from als_redflags.outcome import MAX_CHARS, FlagColumns
from als_redflags.workers import Engine, Workers, ctrl_c_blocked, ctrl_c_ignored, loaded_scorer, score_piece

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

_CONNECT_SECONDS = 5
_RETRIES = 3  # of a piece whose worker died


def score_batches(
    frames: "pd.DataFrame | Iterable[pd.DataFrame]",
    text_column: str = "text",
    *,
    flags: FlagColumns = "list",
    model: str | Path | None = None,
    max_chars: int = MAX_CHARS,
) -> "Iterator[pd.DataFrame]":
    """Pandas frames in, the same frames with the columns of :meth:`Scorer.score_frame` out, one at a time.

    Can be given as it is to ``mapInPandas`` of Spark, which hands on an iterator of frames, and to ``map_batches`` of Ray with
    ``batch_format="pandas"``, which hands on one frame after the other.

    Raises
    ------
    InputError
        If a frame has no column ``text_column``, or has one of the names that are added.
    """
    import pandas as pd

    added = outcome.column_names(flags, outcome.red_flags(loaded_scorer(model).book))
    for frame in [frames] if isinstance(frames, pd.DataFrame) else frames:
        outcome.check_columns(list(frame.columns), text_column, added)
        yield frame.assign(**_columns(frame[text_column], flags, model, max_chars))


def score_dataframe(
    ddf: "dd.DataFrame",
    text_column: str = "text",
    *,
    flags: FlagColumns = "list",
    model: str | Path | None = None,
    max_chars: int = MAX_CHARS,
) -> "dd.DataFrame":
    """A Dask data frame with the columns of :meth:`Scorer.score_frame`, scored lazily, a partition at a time.

    Order, index and partitions stay as they are. To write Parquet give the schema, see :func:`parquet_schema`.

    Raises
    ------
    InputError
        If there is no column ``text_column``, or one of the names that are added.
    """
    import pandas as pd

    added = outcome.column_names(flags, outcome.red_flags(loaded_scorer(model).book))
    outcome.check_columns(list(ddf.columns), text_column, added)
    empty = ddf._meta.assign(**{name: pd.Series([], dtype=_dtype(name), index=ddf._meta.index) for name in added})
    frames: Any = ddf  # Dask is not typed
    scored: dd.DataFrame = frames.map_partitions(_score_partition, text_column, flags, model, max_chars, meta=empty)
    return scored


def parquet_schema(scored: "dd.DataFrame") -> Any:
    """The Arrow schema of a scored Dask data frame without its index.

    For ``scored.to_parquet(path, write_index=False, schema=parquet_schema(scored))``: Dask itself guesses the type of the flags
    from the first partition, which may hold none.
    """
    import pyarrow as pa

    frame: Any = scored
    names = [name for name in frame.columns if name != "flags"]
    schema = pa.Schema.from_pandas(frame[names]._meta_nonempty, preserve_index=False)
    return schema if len(names) == len(frame.columns) else schema.append(pa.field("flags", pa.list_(pa.string())))


def _score_partition(frame: "pd.DataFrame", text_column: str, flags: FlagColumns, model: Any, max_chars: int) -> "pd.DataFrame":
    import pandas as pd

    columns = _columns(frame[text_column], flags, model, max_chars)
    return frame.assign(**{n: pd.Series(values, dtype=_dtype(n), index=frame.index) for n, values in columns.items()})


def _columns(texts: Iterable[object], flags: FlagColumns, model: str | Path | None, max_chars: int) -> dict[str, list[Any]]:
    scorer = loaded_scorer(model)
    columns = outcome.columns(outcome.score_values(scorer, texts, max_chars), flags, outcome.red_flags(scorer.book))
    return columns | {"score": [float("nan") if score is None else score for score in columns["score"]]}


def _dtype(name: str) -> Any:
    """Type of an added column; the other names are those of the wide columns."""
    import pandas as pd

    text = pd.StringDtype("pyarrow")
    # lists stay Python objects: pandas cannot read the metadata that it writes for lists of Arrow
    return {"score": "float64", "verdict": text, "reason": text, "n_flags": "int64", "flags": "object"}.get(name, "bool")


def dask_engine(scheduler: str | None = None, jobs: int = 1) -> Engine:
    """Score on the Dask cluster whose scheduler has this address, or on one of ``jobs`` processes on this machine.

    A piece of work whose worker dies is given to another one. ``model``, where it is not the shipped one, is a folder that
    all workers can read.
    """

    @contextmanager
    def engine(model: Path | None) -> Iterator[Workers]:
        try:
            import distributed
            from distributed.comm.core import CommClosedError
        except ImportError:
            raise BatchError("scoring on a Dask cluster needs more packages: pip install 'als-redflags[dask]'") from None
        with ExitStack() as stack:
            client = stack.enter_context(_connect(distributed, scheduler, jobs))
            threads = sum(client.nthreads().values())
            if not threads:
                raise BatchError(f"{scheduler}: the scheduler has no workers; start some with: dask worker {scheduler}")

            def submit(texts: list[str]) -> Any:
                return client.submit(score_piece, model, texts, pure=False, retries=_RETRIES)

            try:
                yield Workers(submit, threads)
            except (distributed.KilledWorker, CommClosedError, CancelledError) as error:
                raise BatchError(
                    f"the cluster lost its workers or the scheduler ({type(error).__name__}: {error}). The rows done so far are "
                    "kept: go on with --resume"
                ) from None

    return engine


def _connect(distributed: Any, scheduler: str | None, jobs: int) -> Any:
    """A client, of a cluster of its own if there is no address."""
    if scheduler is None:
        return _own_cluster(distributed, jobs)
    try:
        return distributed.Client(scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise BatchError(
            f"{scheduler}: no Dask scheduler answers ({error}). Start one with 'dask scheduler' and give the address that it "
            "prints, such as tcp://192.168.1.5:8786"
        ) from None


@contextmanager
def _own_cluster(distributed: Any, jobs: int) -> Iterator[Any]:
    with ExitStack() as stack:
        # otherwise it is started with the first worker, and lifts the block
        resource_tracker.ensure_running()
        with ctrl_c_blocked():
            cluster = distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs="ERROR"
            )
            stack.callback(_close, cluster)
        client = distributed.Client(cluster)
        stack.callback(_close, client)
        yield client


def _close(part: Any) -> None:
    with ctrl_c_ignored():
        part.close()
