"""Tables in Parquet, read and written with pyarrow in small pieces; the types of the columns are kept.

While a run goes on, its results stand in the part file as short Arrow streams, one a chunk, which can be cut off after any
of them. They become one Parquet file at the end.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from als_redflags.encode import as_json, private, whole_characters
from als_redflags.errors import InputError
from als_redflags.tables import CHUNK_CHARS, CHUNK_ROWS, Chunk, TextTable

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise InputError("Parquet needs the package pyarrow: pip install 'als-redflags[parquet]'") from None

# rows and bytes of one row group of the output: what is held in memory while it is written
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32_000_000
_ADDED = {
    "score": pa.float64(),
    "verdict": pa.string(),
    "reason": pa.string(),
    "n_flags": pa.int64(),
    "flags": pa.list_(pa.string()),
}


class ParquetTable:
    """A Parquet file; its columns and the number of its rows are known from its footer.

    Raises
    ------
    InputError
        If it is no Parquet or damaged.
    """

    n_rejected = 0
    n_blank = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path) as file:
            self.schema: pa.Schema = file.schema_arrow
            self.n_rows: int = file.metadata.num_rows
        self.columns: list[str] = self.schema.names
        twice = {name for name in self.columns if self.columns.count(name) > 1}
        if twice:
            raise InputError(f"{path}: has more than one column {sorted(twice)[0]!r}; rename one of them")

    def chunks(self, skip_rows: int = 0) -> Iterator[Chunk]:
        """The rows in chunks of at most 500 rows and about 500,000 bytes, always cut at the same places."""
        with _reading(self.path) as file:
            for index in range(file.num_row_groups):
                group = file.metadata.row_group(index)
                if skip_rows >= group.num_rows:
                    skip_rows -= group.num_rows
                    continue
                size = max(1, min(CHUNK_ROWS, CHUNK_CHARS * group.num_rows // max(group.total_byte_size, 1)))
                for batch in file.iter_batches(batch_size=size, row_groups=[index], use_threads=False):
                    if skip_rows < len(batch):
                        yield Chunk(batch=batch.slice(skip_rows))
                    skip_rows = max(0, skip_rows - len(batch))


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except pa.ArrowException as error:
        raise InputError(f"{path}: is no Parquet file, or is damaged ({error})") from None


def text_schema(table: TextTable) -> pa.Schema:
    """Types for the columns of a text file: CSV and TSV have only strings; those of JSON Lines are the ones of all values.

    A key whose values are of different kinds, or lists and objects, becomes a column of strings; what is no string stands in
    it as JSON.
    """
    types = []
    for name in table.columns:
        kinds = table.kinds.get(name, {"str"})
        if kinds == {"bool"}:
            types.append((name, pa.bool_()))
        elif kinds and kinds <= {"int", "long"}:
            types.append((name, pa.int64()))
        elif kinds and kinds <= {"int", "float"}:
            types.append((name, pa.float64()))
        else:
            types.append((name, pa.string()))
    return pa.schema(types)


class ParquetEncoder:
    """Parquet with the columns of ``schema`` and those that are added."""

    def __init__(self, schema: pa.Schema, added: Sequence[str]) -> None:
        self._columns = schema
        fields = [pa.field(name, _ADDED.get(name, pa.bool_())) for name in added]
        self.schema = pa.schema([*schema, *fields], metadata=schema.metadata)

    def header(self) -> bytes:
        return b""

    def encode(self, chunk: Chunk, added: dict[str, list[Any]]) -> bytes:
        if chunk.batch is not None:
            arrays = list(chunk.batch.columns)
        else:
            arrays = [_array(chunk.column(field.name), field.type) for field in self._columns]
        arrays += [_array(values, self.schema.field(name).type) for name, values in added.items()]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        buffer = io.BytesIO()
        with pa.ipc.new_stream(buffer, self.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
            stream.write_batch(batch)
        return buffer.getvalue()

    def finish(self, part: Path) -> Path:
        whole = part.with_name("whole")
        # a Python file, because the error of a full disk gets lost when Arrow closes its own
        with open(whole, "wb", opener=private) as sink:
            with pq.ParquetWriter(sink, self.schema) as writer:
                for group in _row_groups(part):
                    writer.write_table(pa.Table.from_batches(group, self.schema), row_group_size=_GROUP_ROWS)
            sink.flush()
            os.fsync(sink.fileno())
        return whole


def _array(values: list[Any], type: pa.DataType) -> pa.Array:
    return pa.array(map(_string, values) if pa.types.is_string(type) else values, type)


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        return whole_characters(value)
    return None if value is None else as_json(value)


def _row_groups(part: Path) -> Iterator[list[pa.RecordBatch]]:
    """The batches of the part file, as many together as make one row group."""
    group: list[pa.RecordBatch] = []
    with pa.OSFile(str(part)) as source:
        while source.tell() < source.size():
            with pa.ipc.open_stream(source) as stream:
                group += list(stream)
            if sum(map(len, group)) >= _GROUP_ROWS or sum(batch.nbytes for batch in group) >= _GROUP_BYTES:
                yield group
                group = []
    if group:
        yield group
