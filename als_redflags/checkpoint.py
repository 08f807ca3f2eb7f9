"""What lies beside an output while it is made: the folder ``OUT.part`` with the rows so far, a checkpoint and a lock.

The output itself is touched once, when everything is done. Whatever happens before that (a full disk, a killed process, loss
of power), the folder holds a checkpoint and at least the bytes that it speaks of; a run that goes on cuts off the rest.
"""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from als_redflags.encode import private
from als_redflags.errors import BatchError

_FORMAT = 1
_FILES = ("checkpoint.json", "checkpoint.new", "rows", "whole", "rejected.jsonl", "lock")
_AGAIN = "start again with --force"


class PartFolder:
    """The unfinished output of one run, entered as a context that holds the lock on it.

    On leaving, the folder is removed unless there is something in it to go on with.

    Raises
    ------
    BatchError
        If the output cannot be written, exists already, or is being written by another run; if an unfinished run lies there
        and neither ``resume`` nor ``force`` is asked for.
    """

    def __init__(self, output: str | Path, *, resume: bool = False, force: bool = False) -> None:
        self.name = str(output)
        # a link is followed, so that the file behind it is replaced and not the link
        self.output = Path(output).resolve()
        self.rejected = self.output.with_name(self.output.name + ".rejected.jsonl")
        self.path = self.output.with_name(self.output.name + ".part")
        self._checkpoint = self.path / "checkpoint.json"
        self._resume = resume
        self._force = force
        self._moved = False
        self._rows: BinaryIO | None = None
        self._written: dict[str, Any] = {}

    def __enter__(self) -> "PartFolder":
        if not self.output.parent.is_dir():
            raise BatchError(f"{self.name}: there is no folder {self.output.parent}; make it first")
        if self.output.exists() and not self.output.is_file():
            raise BatchError(f"{self.name}: is no regular file; name a file to write")
        with self._writing():
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._make_private()
            strangers = {entry.name for entry in self.path.iterdir()} - set(_FILES)
            if strangers:
                raise BatchError(f"{self.path}: is needed and holds other files ({min(strangers)}); name another output")
            self._lock = open(self.path / "lock", "ab", opener=private)
        try:
            with self._writing():
                self._take_lock()
        except BatchError:
            self._lock.close()
            raise
        try:
            self._refuse_to_overwrite()
        except BatchError:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._rows:
            self._rows.close()
        if sys.platform == "win32":
            self._lock.close()  # an open file cannot be removed there
        if not self._checkpoint.exists():
            # what cannot be removed is found by the next run
            with suppress(OSError):
                for name in _FILES:
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()
        self._lock.close()

    def _make_private(self) -> None:
        """See to it that a folder that was there already is nobody else's: he could exchange the rows."""
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or (sys.platform != "win32" and found.st_uid != os.geteuid()):
            raise BatchError(f"{self.path}: is needed and belongs to somebody else; name another output")
        _change_mode(self.path, 0o700)

    def _take_lock(self) -> None:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a run that ended just now may have removed the file between open and lock
            if not os.path.samestat(os.fstat(self._lock.fileno()), (self.path / "lock").stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError, PermissionError):
            raise BatchError(f"{self.name}: another run is writing it; wait until it has ended, or name another output") from None

    def _refuse_to_overwrite(self) -> None:
        unfinished = self._checkpoint.exists()
        if unfinished and not (self._resume or self._force):
            raise BatchError(
                f"{self.name}: an earlier run was not finished; go on with --resume, or throw its rows away and {_AGAIN}"
            )
        if not (unfinished or self._force):
            self._check_absent()

    def _check_absent(self) -> None:
        for path in (self.output, self.rejected):
            if path.exists():
                raise BatchError(f"{path}: exists already; name another output, or overwrite it with --force")

    def start(self, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
        """Open the part file. The state of the last checkpoint if the run goes on, ``None`` if it begins.

        ``fingerprint`` describes input, options and model: a run goes on only with the same.

        Raises
        ------
        BatchError
            If the fingerprint is another one than at the beginning, or the checkpoint is damaged.
        """
        begun = self._read() if self._resume and self._checkpoint.exists() else None
        self._written = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "force": self._force,
            "bytes": 0,
            "state": None,
            "inode": None,
            "mode": None,
        }
        if begun is not None:
            self._compare(begun)
            self._written = {**begun, "format": _FORMAT, "force": self._force or begun["force"]}
        with self._writing():
            if begun is None:
                self._checkpoint.unlink(missing_ok=True)
            if not self._moved:
                self._rows = open(self.path / "rows", "ab", buffering=0, opener=private)  # noqa: SIM115
                self._rows.truncate(self._written["bytes"])
        state: dict[str, Any] | None = self._written["state"]
        return state

    def _read(self) -> dict[str, Any]:
        try:
            begun: dict[str, Any] = json.loads(self._checkpoint.read_text("utf-8"))
            if begun["format"] != _FORMAT:
                raise ValueError(f"format {begun['format']}")
            return {name: begun[name] for name in ("fingerprint", "bytes", "state", "force", "inode", "mode")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BatchError(f"{self._checkpoint}: cannot be read ({error}); {_AGAIN}") from None

    def _compare(self, begun: dict[str, Any]) -> None:
        new, old = self._written["fingerprint"], begun["fingerprint"]
        changed = [name for name in new if new[name] != old.get(name)]
        if changed:
            what = " and ".join(changed)
            raise BatchError(f"{self.name}: the run that was broken off cannot go on, because {what} changed since; {_AGAIN}")
        self._moved = self.output.exists() and begun["inode"] == self.output.stat().st_ino
        if self._moved:
            return
        if not (self._force or begun["force"]):
            self._check_absent()
        rows = self.path / "rows"
        if not rows.exists() or rows.stat().st_size < begun["bytes"]:
            raise BatchError(f"{rows}: is shorter than when it was left; {_AGAIN}")

    @contextmanager
    def rejects(self) -> Iterator[Callable[[str], None]]:
        """A function that writes lines for ``OUT.rejected.jsonl``."""
        with self._writing(), open(self.path / "rejected.jsonl", "w", encoding="utf-8", opener=private) as file:

            def write(line: str) -> None:
                with self._writing():
                    file.write(line)

            yield write

    def append(self, data: bytes, state: dict[str, Any]) -> None:
        """Add rows to the part file and make a checkpoint behind them; ``state`` is what :meth:`start` will give back."""
        assert self._rows is not None
        with self._writing():
            rest = memoryview(data)
            while rest:
                rest = rest[self._rows.write(rest) :]
            os.fsync(self._rows.fileno())
            self._write_checkpoint({"bytes": self._written["bytes"] + len(data), "state": state})

    def _write_checkpoint(self, change: dict[str, Any]) -> None:
        new = self.path / "checkpoint.new"
        with open(new, "w", encoding="utf-8", opener=private) as file:
            json.dump(self._written | change, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._checkpoint)
        self._written |= change

    def finish(self, convert: Callable[[Path], Path], *, has_rejected: bool) -> None:
        """Make the output from the part file with ``convert`` and move it into place, and the rejected lines beside it.

        Raises
        ------
        BatchError
            If it cannot be written, or an output has appeared that may not be overwritten.
        """
        with self._writing():
            if not self._moved:
                whole = convert(self.path / "rows")
                if not self._written["force"]:
                    self._check_absent()
                mode = stat.S_IMODE(self.output.stat().st_mode) if self.output.exists() else 0o666 & ~_umask()
                # by the inode a run that goes on sees whether the move took place before it was broken off
                self._write_checkpoint({"inode": whole.stat().st_ino, "mode": mode})
                whole.replace(self.output)
            _change_mode(self.output, self._written["mode"])
            if has_rejected:
                (self.path / "rejected.jsonl").replace(self.rejected)
                _change_mode(self.rejected, self._written["mode"])
            elif self._written["force"]:
                self.rejected.unlink(missing_ok=True)
            _sync_folder(self.output.parent)
            self._checkpoint.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            for name in ("whole", "checkpoint.new"):
                with suppress(OSError):
                    (self.path / name).unlink(missing_ok=True)
            kept = self._checkpoint.exists()
            what_next = "The rows done so far are kept: mend that and go on with --resume." if kept else "Nothing was kept."
            raise BatchError(f"{self.name}: cannot be written ({error.strerror or error}). {what_next}") from None


def _change_mode(path: Path, mode: int) -> None:
    # there are file systems without modes, on which this is no error
    with suppress(PermissionError, NotImplementedError):
        path.chmod(mode)


def _sync_folder(folder: Path) -> None:
    """Have the move on the disk before the checkpoint goes, where the file system can do that."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
