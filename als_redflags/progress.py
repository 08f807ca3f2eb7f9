"""What a run over a table shows to people: how far it is, and at the end what became of the rows."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from als_redflags.batch import Summary
from als_redflags.report import Verdict

_SECONDS_BETWEEN_LINES = 5.0
_FLAGS_SHOWN = 10


class _Rate:
    """Rows a second since the first call; rows of an earlier run do not count."""

    def __init__(self, done: int) -> None:
        self._begun = time.monotonic()
        self._first = done

    def text(self, done: int, total: int) -> str:
        seconds = time.monotonic() - self._begun
        if done == self._first or seconds <= 0:
            return ""
        rate = (done - self._first) / seconds
        left = f", {_duration((total - done) / rate)} left" if done < total else ""
        return f"{rate:,.0f} rows/s{left}"


def _duration(seconds: float) -> str:
    """A time in words.

    >>> _duration(42), _duration(180), _duration(9000)
    ('42 s', '3 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def shown(mode: Literal["auto", "plain", "none"]) -> Iterator[Callable[[int, int], None]]:
    """A function to call with the rows done and the rows there are; it writes to standard error.

    ``auto`` is a bar on a terminal, and nothing where standard error is a file or a pipe; ``plain`` is a line every five seconds.
    """
    if mode == "plain":
        yield _lines()
    elif mode == "auto" and sys.stderr.isatty():
        with _bar() as update:
            yield update
    else:
        yield lambda done, total: None


def _lines() -> Callable[[int, int], None]:
    rate: _Rate | None = None
    last = -_SECONDS_BETWEEN_LINES

    def update(done: int, total: int) -> None:
        nonlocal rate, last
        rate = rate or _Rate(done)
        if done == total or time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            share = done / total if total else 1.0
            speed = rate.text(done, total)
            print(f"{done:,} of {total:,} rows ({share:.0%}){', ' if speed else ''}{speed}", file=sys.stderr, flush=True)

    return update


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    rate: _Rate | None = None
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading the table", total=None)

        def update(done: int, total: int) -> None:
            nonlocal rate
            rate = rate or _Rate(done)
            bar.update(task, completed=done, total=total, description=rate.text(done, total))

        yield update


def summary_text(summary: Summary, output: str) -> str:
    """The end of a run in a few lines."""
    verdicts = ", ".join(
        f"{summary.verdicts[str(verdict)]:,} {verdict}" for verdict in reversed(Verdict) if summary.verdicts[verdict]
    )
    lines = [f"{output}: {_count(summary.n_rows, 'row')}" + (f", {verdicts}" if verdicts else "")]
    if summary.flags:
        lines.append("Most frequent red flags:")
        lines += [
            f"  {count:7,}  {flag}" for flag, count in sorted(summary.flags.items(), key=lambda p: (-p[1], p[0]))[:_FLAGS_SHOWN]
        ]
    if summary.n_repeated:
        lines.append(f"{_count(summary.n_repeated, 'row')} had the text of an earlier row and got its result.")
    if summary.n_failed:
        lines.append(f"{_count(summary.n_failed, 'row')} could not be scored, and the output says insufficient:")
        for failure in summary.failures:
            name = f" ({_printable(failure['id'])})" if failure["id"] is not None else ""
            lines.append(f"  row {failure['row']:,}{name}: {_printable(failure['reason'])}")
        if summary.n_failed > len(summary.failures):
            lines.append(f"  and {summary.n_failed - len(summary.failures):,} more")
    if summary.n_rejected:
        lines.append(f"{_count(summary.n_rejected, 'malformed line')}: see {output}.rejected.jsonl, with the reason of each.")
    if summary.n_blank:
        lines.append(f"{_count(summary.n_blank, 'empty line')}.")
    return "\n".join(lines) + "\n"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _printable(text: str) -> str:
    """Text of a table for the terminal: on one line, of bounded length, without control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:200]
