"""The lines of a text file of any size: decompressed, decoded, numbered, and bounded in length.

Bytes that are no UTF-8 do not end the reading. They stand in the line as lone surrogates, so that the line can be rejected.
"""

import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from als_redflags.errors import InputError

Compression = Literal["gzip", "zstd"] | None
# A longer line is rejected. The limit is far beyond any text that is scored, and bounds the memory that a damaged file takes.
MAX_LINE = 20_000_000
NOT_UTF8 = "is not UTF-8; convert the file, for example with: iconv -f WINDOWS-1252 -t UTF-8"
_SNIFFED = 8192


@dataclass(frozen=True)
class Rejected:
    """A line that is no row of the table: ``line`` counts from 1, ``raw`` is what stood there (the first 100,000 characters)."""

    line: int
    error: str
    raw: str

    def to_json(self) -> str:
        # bytes that were no UTF-8 are shown as \xe9
        raw = self.raw[:100_000].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return json.dumps({"line": self.line, "error": self.error, "raw": raw}, ensure_ascii=False) + "\n"


class LineTooLongError(Exception):
    """A line has more than MAX_LINE characters; its beginning is in the record, the rest was skipped."""


class _Cut(str):
    """The beginning of a line that was too long to be read."""


class Lines:
    """The lines of a stream, numbered. ``record`` holds those given since :meth:`begin`; all but its first can be put back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self.record: list[str] = []
        self.first = 1

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self.record.append(line)
        if isinstance(line, _Cut):
            raise LineTooLongError
        return line

    def _read(self) -> str:
        line = self._stream.readline(MAX_LINE)
        if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
            return line
        while (rest := self._stream.readline(MAX_LINE)) and not rest.endswith(("\n", "\r")):
            pass
        return _Cut(line)

    def begin(self) -> None:
        self.first += len(self.record)
        self.record = []

    def reject(self, error: str, *, all_lines: bool = False) -> Rejected:
        """Give up the record, or only its first line: what follows an unclosed quotation mark may be rows again."""
        if isinstance(self.record[0], _Cut):
            error = f"the line is longer than {MAX_LINE:,} characters"
        if not all_lines:
            self._waiting.extendleft(reversed(self.record[1:]))
            del self.record[1:]
        return Rejected(self.first, error, "".join(self.record))


def is_text(line: str) -> bool:
    """Whether the bytes of a line were valid; those that were not stand in it as lone surrogates."""
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def open_lines(path: Path, compression: Compression, *, newline: Literal["", "\n"]) -> Iterator[Lines]:
    """The lines of a file; with ``newline=""`` every kind of line end ends one.

    Raises
    ------
    InputError
        If the file cannot be read, is binary, or is damaged.
    """
    try:
        with path.open("rb") as raw:
            file: Any = raw
            damage: tuple[type[Exception], ...] = (EOFError, zlib.error, UnicodeError)
            if compression == "gzip":
                file = gzip.GzipFile(fileobj=raw)
            elif compression == "zstd":
                zstandard = import_zstandard()
                damage += (zstandard.ZstdError,)
                file = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
            try:
                start = file.peek(_SNIFFED)[:_SNIFFED]
                wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")
                if b"\0" in start and not wide:
                    raise InputError(f"{path}: is a binary file, no table in text")
                encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
                yield Lines(io.TextIOWrapper(file, encoding, errors, newline))
            except damage as error:
                raise InputError(f"{path}: is damaged or cut off ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def import_zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise InputError("files ending in .zst need the package zstandard: pip install 'als-redflags[zstd]'") from None
    return zstandard
