"""Rows with their results to the bytes of CSV, TSV and JSON Lines.

Every chunk is encoded on its own, so that a run can be broken off after any of them and go on to the same bytes.
Compression comes last, over the whole: some programs read only the first member of a file that has many.
"""

import base64
import csv
import gzip
import json
import math
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from als_redflags.lines import import_zstandard
from als_redflags.tables import DELIMITERS, Chunk, Row, TableFormat

# what begins a formula, the wide forms of East Asian keyboards included
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_GZIP_LEVEL = 6


class Encoder(Protocol):
    """One output format.

    ``header`` and ``encode`` give the bytes that are appended to the part file, ``finish`` makes the file in the final format
    from it and returns its path, which may be the part file itself.
    """

    def header(self) -> bytes: ...

    def encode(self, chunk: Chunk, added: dict[str, list[Any]]) -> bytes: ...

    def finish(self, part: Path) -> Path: ...


class CsvEncoder:
    """CSV or TSV. With ``guard`` a cell that a spreadsheet would run as a formula gets a leading apostrophe."""

    def __init__(self, format: TableFormat, columns: Sequence[str], added: Sequence[str], *, guard: bool = True) -> None:
        self._format = format
        self._columns = columns
        self._added = added
        self._guard = guard

    def header(self) -> bytes:
        return self._lines([[*self._columns, *self._added]])

    def encode(self, chunk: Chunk, added: dict[str, list[Any]]) -> bytes:
        flags = added.get("flags")
        cells = added | {"flags": [";".join(ids) for ids in flags]} if flags is not None else added
        results = zip(*cells.values(), strict=True)
        return self._lines(
            [[row.get(name) for name in self._columns] + list(result) for row, result in zip(chunk.rows, results, strict=True)]
        )

    def _lines(self, rows: list[list[Any]]) -> bytes:
        lines: list[str] = []
        # a carriage return in a cell is quoted only where it is a part of the line end (before Python 3.13)
        sink = SimpleNamespace(write=lambda line: lines.append(line.removesuffix("\r\n")))
        writer = csv.writer(sink, delimiter=DELIMITERS[self._format.kind], lineterminator="\r\n")
        writer.writerows([self._cell(value) for value in row] for row in rows)
        return whole_characters("".join(f"{line}\n" for line in lines)).encode()

    def _cell(self, value: Any) -> str:
        # a number in JSON or Parquet is no text that could be a formula, also a negative one
        if value is None or isinstance(value, (int, float, Decimal)):
            return "" if value is None else str(value)
        cell = value if isinstance(value, str) else plain(value)
        return f"'{cell}" if self._guard and cell.startswith(_FORMULA) else cell

    def finish(self, part: Path) -> Path:
        return compress(part, self._format)


class JsonlEncoder:
    """JSON Lines: every row an object, its own keys first."""

    def __init__(self, format: TableFormat) -> None:
        self._format = format

    def header(self) -> bytes:
        return b""

    def encode(self, chunk: Chunk, added: dict[str, list[Any]]) -> bytes:
        names = list(added)
        results = zip(*added.values(), strict=True)
        return b"".join(
            _json_line(row | dict(zip(names, result, strict=True))) for row, result in zip(chunk.rows, results, strict=True)
        )

    def finish(self, part: Path) -> Path:
        return compress(part, self._format)


def _json_line(row: Row) -> bytes:
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=plain)
    except ValueError:
        line = json.dumps(_finite(row), ensure_ascii=False, default=plain)
    try:
        return line.encode() + b"\n"
    except UnicodeEncodeError:
        # half a surrogate pair, which JSON can only hold as an escape
        return json.dumps(_finite(row), default=plain).encode() + b"\n"


def _finite(value: Any) -> Any:
    """The same value with null for infinite numbers and NaN, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list) else value


def plain(value: Any) -> str:
    """A value of JSON or Parquet that is no simple one as text: lists and objects as JSON, times in ISO 8601, bytes as Base64."""
    if isinstance(value, (list, dict)):
        return as_json(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def as_json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, default=plain)


def whole_characters(text: str) -> str:
    """The text with a replacement character for each half of a surrogate pair, which neither UTF-8 nor Arrow can hold."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def compress(part: Path, format: TableFormat) -> Path:
    """The part file compressed beside itself, or the part file if the format is not compressed."""
    if format.compression is None:
        return part
    whole = part.with_name("whole")
    with ExitStack() as stack:
        source = stack.enter_context(part.open("rb"))
        raw = stack.enter_context(open(whole, "wb", opener=private))
        sink: Any
        if format.compression == "gzip":
            # no name and no time in the header: the same table gives the same bytes
            sink = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0)
        else:
            sink = import_zstandard().ZstdCompressor().stream_writer(raw, closefd=False)
        with sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        raw.flush()
        os.fsync(raw.fileno())
    return whole


def private(path: str, flags: int) -> int:
    """Opener for files that only their owner may read."""
    return os.open(path, flags, 0o600)
