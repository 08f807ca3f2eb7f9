"""Where the texts of a table are scored: in this process, or in worker processes of joblib."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from als_redflags.errors import BatchError
from als_redflags.outcome import Outcome, score_texts

if TYPE_CHECKING:
    from als_redflags.scorer import Scorer

_LOADING = threading.Lock()
# numerical libraries would start as many threads as there are cores in every process
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


class Pending(Protocol):
    """Outcomes that may still be worked on, in the order of the texts."""

    def result(self) -> list[Outcome]: ...


@dataclass(frozen=True)
class Workers:
    """``submit`` hands over texts; ``n`` pieces are worked on at a time."""

    submit: Callable[[list[str]], Pending]
    n: int


Engine = Callable[[Path | None], AbstractContextManager[Workers]]


def loaded_scorer(model: str | Path | None) -> "Scorer":
    """The scorer of this process, loaded once, also where several threads ask for it at the same time."""
    from als_redflags.scorer import shared_scorer

    with _LOADING:
        return shared_scorer(model)


def score_piece(model: Path | None, texts: list[str]) -> list[Outcome]:
    """Score texts with the scorer of this process."""
    return score_texts(loaded_scorer(model), texts)


@contextmanager
def inline(model: Path | None) -> Iterator[Workers]:
    """No workers: texts are scored in this process when they are handed over."""

    def submit(texts: list[str]) -> Future[list[Outcome]]:
        done: Future[list[Outcome]] = Future()
        done.set_result(score_piece(model, texts))
        return done

    yield Workers(submit, 1)


def processes(jobs: int) -> Engine:
    """``jobs`` worker processes on this machine."""

    @contextmanager
    def engine(model: Path | None) -> Iterator[Workers]:
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.process_executor import BrokenProcessPool

        pool = ProcessPoolExecutor(jobs, env=_ONE_THREAD, initializer=_prepare, initargs=(os.getpid(), model))

        def submit(texts: list[str]) -> "Future[list[Outcome]]":
            # the first call starts the processes; Ctrl-C is for this one, which stops them
            with ctrl_c_blocked():
                pending: Future[list[Outcome]] = pool.submit(score_piece, model, texts)
            return pending

        try:
            submit([])
            yield Workers(submit, jobs)
        except BaseException as error:
            with ctrl_c_ignored():
                # not shutdown(kill_workers=True), which stumbles over work that is still queued and prints a traceback
                for process in list(pool._processes.values()):
                    process.terminate()
            if not isinstance(error, BrokenProcessPool):
                raise
            raise BatchError(
                "a worker process was killed, perhaps for want of memory. The rows done so far are kept: go on with --resume, "
                "with fewer --jobs if memory is short."
            ) from None
        finally:
            with ctrl_c_ignored():
                pool.shutdown(wait=True)

    return engine


def _prepare(parent: int, model: Path | None) -> None:
    """Load the model, and let the process end itself when the one that it works for was killed and cannot tell it to."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    # a model that cannot be loaded is an error of the parent, which loads it too
    with suppress(Exception):
        loaded_scorer(model)


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Ctrl-C waits; a process that is started meanwhile inherits the block and never sees it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Let a second Ctrl-C not stop the stopping of the workers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
