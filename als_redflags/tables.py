"""Tables in text files: CSV, TSV and JSON Lines, read row by row with constant memory, and encoded again.

A line that is no row of the table does not end the reading: it is handed over as :class:`Rejected`, and what follows is
read on. Cells of CSV and TSV stay the strings that they are, so that ``007`` is carried through as it came. Parquet is
in ``parquet.py``; both give the same :class:`Chunk`.
"""

import csv
import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TextIO

from als_redflags.errors import InputError

Row = dict[str, Any]
CHUNK_ROWS = 500
CHUNK_CHARS = 500_000
# A longer line is rejected. The limit is far beyond any text that is scored, and bounds the memory that a damaged file takes.
_MAX_LINE = 20_000_000
_MAX_COLUMNS = 10_000
_SNIFFED = 8192
_SUFFIXES: dict[str, Literal["csv", "tsv", "jsonl", "parquet"]] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_COMPRESSIONS: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class TableFormat:
    """Format of a file, told from its name."""

    kind: Literal["csv", "tsv", "jsonl", "parquet"]
    compression: Literal["gzip", "zstd"] | None = None

    @classmethod
    def of(cls, path: str | Path) -> "TableFormat":
        """The format that the name of a file stands for.

        >>> TableFormat.of("ads.csv.gz")
        TableFormat(kind='csv', compression='gzip')

        Raises
        ------
        InputError
            If the name has no ending that is known.
        """
        name = Path(path).name.lower()
        compression = next((c for suffix, c in _COMPRESSIONS.items() if name.endswith(suffix)), None)
        kind = _SUFFIXES.get(Path(Path(name).stem if compression else name).suffix)
        if kind is None:
            raise InputError(
                f"{path}: the format of a table is told from its name, which ends in {', '.join(_SUFFIXES)}, "
                "the text formats also with .gz or .zst behind"
            )
        if kind == "parquet" and compression:
            raise InputError(f"{path}: Parquet is compressed inside the file; leave {Path(name).suffix} away")
        return cls(kind, compression)


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


class Chunk:
    """Some rows of a table in their order: dictionaries, or the Arrow record batch that they are made from when asked for."""

    def __init__(self, rows: list[Row] | None = None, batch: Any = None) -> None:
        self.batch = batch
        self._rows = rows

    @cached_property
    def rows(self) -> list[Row]:
        rows: list[Row] = self.batch.to_pylist() if self._rows is None else self._rows
        return rows

    def column(self, name: str) -> list[Any]:
        if self._rows is None:
            values: list[Any] = self.batch.column(name).to_pylist()
            return values
        return [row.get(name) for row in self._rows]


class _LineTooLongError(Exception):
    pass


class _Cut(str):
    """The beginning of a line that was too long to be read."""


class _Lines:
    """The lines of a stream, numbered. ``record`` holds those given since :meth:`begin`; all but its first can be put back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self.record: list[str] = []
        self.first = 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self.record.append(line)
        if isinstance(line, _Cut):
            raise _LineTooLongError
        return line

    def _read(self) -> str:
        line = self._stream.readline(_MAX_LINE)
        if len(line) < _MAX_LINE or line.endswith(("\n", "\r")):
            return line
        while (rest := self._stream.readline(_MAX_LINE)) and not rest.endswith(("\n", "\r")):
            pass
        return _Cut(line)

    def begin(self) -> None:
        self.first += len(self.record)
        self.record = []

    def reject(self, error: str, *, all_lines: bool = False) -> Rejected:
        """Give up the record, or only its first line: what follows an unclosed quotation mark may be rows again."""
        if isinstance(self.record[0], _Cut):
            error = f"the line is longer than {_MAX_LINE:,} characters"
        if not all_lines:
            self._waiting.extendleft(reversed(self.record[1:]))
            del self.record[1:]
        return Rejected(self.first, error, "".join(self.record))


class TextTable:
    """A CSV, TSV or JSON Lines file, read once from end to end when it is opened: columns and numbers are known then.

    ``columns`` are those of the header, or all keys of all objects in the order in which they appear. ``kinds`` says for each
    key of JSON Lines which kinds of values it has: ``bool``, ``int`` (below 2**53), ``long``, ``float``, ``str``, ``other``.
    ``n_rejected`` lines were no rows and were given to ``on_rejected``, ``n_blank`` lines were empty.

    Raises
    ------
    InputError
        If the file is no table at all: empty, binary, damaged compression, a header that is wrong, not one row.
    """

    def __init__(self, path: Path, on_rejected: Callable[[Rejected], None]) -> None:
        self.path = path
        self.format = TableFormat.of(path)
        self.columns: list[str] = []
        self.kinds: dict[str, set[str]] = {}
        self.n_rows = 0
        self.n_rejected = 0
        self.n_blank = 0
        first: Rejected | None = None
        for entry in self._entries():
            if isinstance(entry, Rejected):
                first = first or entry
                self.n_rejected += 1
                on_rejected(entry)
            elif entry is None:
                self.n_blank += 1
            else:
                self.n_rows += 1
                if self.format.kind == "jsonl":
                    self._note_kinds(entry)
        if first and not self.n_rows:
            raise InputError(f"{path}: not one of its {self.n_rejected:,} lines is a row; line {first.line}: {first.error}")
        if not self.columns:
            raise InputError(f"{path}: is empty")

    def _note_kinds(self, row: Row) -> None:
        for name, value in row.items():
            kinds = self.kinds.get(name)
            if kinds is None:
                kinds = self.kinds[name] = set()
                self.columns.append(name)
                if len(self.columns) > _MAX_COLUMNS:
                    raise InputError(
                        f"{self.path}: its objects have more than {_MAX_COLUMNS:,} different keys; is this one table?"
                    )
            if value is not None:
                kinds.add(_kind(value))

    def chunks(self, skip_rows: int = 0) -> Iterator[Chunk]:
        """The rows in chunks of at most 500 rows and about 500,000 characters, always cut at the same places."""
        rows: list[Row] = []
        chars = 0
        for entry in self._entries():
            if entry is None or isinstance(entry, Rejected):
                continue
            rows.append(entry)
            chars += sum(len(value) for value in entry.values() if isinstance(value, str))
            if len(rows) == CHUNK_ROWS or chars >= CHUNK_CHARS:
                if skip_rows < len(rows):
                    yield Chunk(rows[skip_rows:])
                skip_rows = max(0, skip_rows - len(rows))
                rows, chars = [], 0
        if skip_rows < len(rows):
            yield Chunk(rows[skip_rows:])

    def _entries(self) -> Iterator[Row | Rejected | None]:
        """Rows, rejected lines, and ``None`` for a blank line."""
        # the csv module has one limit for the whole process; its default is shorter than texts that are scored
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_LINE))
        with _open(self.path, self.format) as stream:
            lines = _Lines(stream)
            yield from _objects(lines) if self.format.kind == "jsonl" else self._cells(lines)

    def _cells(self, lines: _Lines) -> Iterator[Row | Rejected | None]:
        reader = csv.reader(lines, delimiter=DELIMITERS[self.format.kind], strict=True)
        header: list[str] | None = None
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _LineTooLongError) as error:
                rejected = lines.reject(f"the line cannot be split into cells ({error})")
                if header is None:
                    raise InputError(f"{self.path}, line {rejected.line}: the header cannot be read; {rejected.error}") from None
                yield rejected
                continue
            if not cells:
                yield None
            elif not _is_text("".join(lines.record)):
                if header is None:
                    raise InputError(f"{self.path}, line {lines.first}: {_NOT_UTF8}")
                yield lines.reject(_NOT_UTF8, all_lines=True)
            elif header is None:
                header = self.columns = cells
                twice = {name for name in cells if cells.count(name) > 1}
                if twice:
                    raise InputError(f"{self.path}: the header names {sorted(twice)[0]!r} more than once; rename one of them")
            elif len(cells) != len(header):
                yield lines.reject(f"the row has {len(cells)} cells, the header {len(header)}", all_lines=True)
            else:
                yield dict(zip(header, cells, strict=True))


_NOT_UTF8 = "is not UTF-8; convert the file, for example with: iconv -f WINDOWS-1252 -t UTF-8"


def _objects(lines: _Lines) -> Iterator[Row | Rejected | None]:
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except _LineTooLongError:
            yield lines.reject("")
            continue
        if not line.strip():
            yield None
        elif not _is_text(line):
            yield lines.reject(_NOT_UTF8)
        else:
            try:
                value = json.loads(line, object_pairs_hook=_object)
            except RecursionError:
                yield lines.reject("is nested too deeply")
            except ValueError as error:
                yield lines.reject(f"is no JSON ({error})")
            else:
                yield value if isinstance(value, dict) else lines.reject("is JSON, but no object {...}")


def _object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    "".join(row).encode()  # a key that is no valid text is a ValueError
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return row


def _is_text(line: str) -> bool:
    """Whether the bytes of a line were valid; those that were not stand in it as lone surrogates."""
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if abs(value) < 2**53 else "long" if -(2**63) <= value < 2**63 else "other"
    return type(value).__name__ if isinstance(value, (bool, float, str)) else "other"


@contextmanager
def _open(path: Path, format: TableFormat) -> Iterator[TextIO]:
    """The characters of a file, decompressed; bytes that are no UTF-8 become lone surrogates."""
    try:
        with path.open("rb") as raw:
            file: Any = raw
            damage: tuple[type[Exception], ...] = (EOFError, zlib.error, UnicodeError)
            if format.compression == "gzip":
                file = gzip.GzipFile(fileobj=raw)
            elif format.compression == "zstd":
                zstandard = import_zstandard()
                damage += (zstandard.ZstdError,)
                file = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
            try:
                start = file.peek(_SNIFFED)[:_SNIFFED]
                wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")
                if b"\0" in start and not wide:
                    raise InputError(f"{path}: is a binary file, no {format.kind.upper()}")
                yield io.TextIOWrapper(
                    file,
                    encoding="utf-16" if wide else "utf-8-sig",
                    errors="strict" if wide else "surrogateescape",
                    newline="\n" if format.kind == "jsonl" else "",
                )
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
