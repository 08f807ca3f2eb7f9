"""Tables in text files: CSV, TSV and JSON Lines, read row by row with constant memory.

A line that is no row of the table does not end the reading: it is handed over as :class:`Rejected`, and what follows is
read on. Cells of CSV and TSV stay the strings that they are, so that ``007`` is carried through as it came. Parquet is
in ``parquet.py``; both give the same :class:`Chunk`.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from als_redflags.errors import InputError
from als_redflags.lines import MAX_LINE, NOT_UTF8, Compression, Lines, LineTooLongError, Rejected, is_text, open_lines

Row = dict[str, Any]
CHUNK_ROWS = 500
CHUNK_CHARS = 500_000
_MAX_COLUMNS = 10_000
_SUFFIXES: dict[str, Literal["csv", "tsv", "jsonl", "parquet"]] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class TableFormat:
    """Format of a file, told from its name."""

    kind: Literal["csv", "tsv", "jsonl", "parquet"]
    compression: Compression = None

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
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
        as_json = self.format.kind == "jsonl"
        with open_lines(self.path, self.format.compression, newline="\n" if as_json else "") as lines:
            yield from _objects(lines) if as_json else self._cells(lines)

    def _cells(self, lines: Lines) -> Iterator[Row | Rejected | None]:
        reader = csv.reader(lines, delimiter=DELIMITERS[self.format.kind], strict=True)
        header: list[str] | None = None
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, LineTooLongError) as error:
                rejected = lines.reject(f"the line cannot be split into cells ({error})")
                if header is None:
                    raise InputError(f"{self.path}, line {rejected.line}: the header cannot be read; {rejected.error}") from None
                yield rejected
                continue
            if not cells:
                yield None
            elif not is_text("".join(lines.record)):
                if header is None:
                    raise InputError(f"{self.path}, line {lines.first}: {NOT_UTF8}")
                yield lines.reject(NOT_UTF8, all_lines=True)
            elif header is None:
                header = self.columns = cells
                twice = {name for name in cells if cells.count(name) > 1}
                if twice:
                    raise InputError(f"{self.path}: the header names {sorted(twice)[0]!r} more than once; rename one of them")
            elif len(cells) != len(header):
                yield lines.reject(f"the row has {len(cells)} cells, the header {len(header)}", all_lines=True)
            else:
                yield dict(zip(header, cells, strict=True))


def _objects(lines: Lines) -> Iterator[Row | Rejected | None]:
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except LineTooLongError:
            yield lines.reject("")
            continue
        if not line.strip():
            yield None
        elif not is_text(line):
            yield lines.reject(NOT_UTF8)
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


def _kind(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if abs(value) < 2**53 else "long" if -(2**63) <= value < 2**63 else "other"
    return type(value).__name__ if isinstance(value, (bool, float, str)) else "other"
