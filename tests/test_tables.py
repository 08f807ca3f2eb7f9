"""Tables: what is a row, what is rejected and why, and that nothing is lost or altered on the way."""

import csv
import gzip
import importlib
import io
import json
import sys
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from als_redflags.encode import CsvEncoder, JsonlEncoder
from als_redflags.errors import InputError
from als_redflags.tables import CHUNK_ROWS, Chunk, Rejected, TableFormat, TextTable

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra")
zstandard = pytest.importorskip("zstandard", reason="zstd is an extra")

from als_redflags.parquet import ParquetEncoder, ParquetTable, text_schema  # noqa: E402


def read(path: Path, data: bytes | None = None) -> tuple[list[dict[str, Any]], list[Rejected], TextTable]:
    if data is not None:
        path.write_bytes(data)
    rejected: list[Rejected] = []
    table = TextTable(path, rejected.append)
    rows = [row for chunk in table.chunks() for row in chunk.rows]
    assert (table.n_rows, table.n_rejected) == (len(rows), len(rejected))
    return rows, rejected, table


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("ads.csv", "csv", None),
        ("Ads.CSV.GZ", "csv", "gzip"),
        ("a.b.tsv.zst", "tsv", "zstd"),
        ("ads.tab", "tsv", None),
        ("ads.ndjson.gz", "jsonl", "gzip"),
        ("ads.parquet", "parquet", None),
    ],
)
def test_the_name_tells_the_format(name: str, kind: str, compression: str | None) -> None:
    found = TableFormat.of(name)
    assert (found.kind, found.compression) == (kind, compression)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ads.xlsx", "told from its name"),
        ("ads", "told from its name"),
        ("ads.gz", "told from its name"),
        ("ads.parquet.gz", "Parquet is compressed inside the file; leave .gz away"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TableFormat.of(name)


CSV_CASES = {
    "quoted cells": (b'id,text\n1,"a, ""b""\nc"\n2,d\n', [("1", 'a, "b"\nc'), ("2", "d")], []),
    "strings stay strings": (b"id,text\n007,1e5\n,NA\n", [("007", "1e5"), ("", "NA")], []),
    "byte-order mark and Windows lines": (b"\xef\xbb\xbfid,text\r\n1,a\r\n", [("1", "a")], []),
    "UTF-16": ("id,text\n1,\u00fc\n".encode("utf-16"), [("1", "\u00fc")], []),
    "old Macintosh lines": (b"id,text\r1,a\r2,b\r", [("1", "a"), ("2", "b")], []),
    "blank lines": (b"id,text\n\n1,a\n\n\n2,b\n", [("1", "a"), ("2", "b")], []),
    "too few cells": (b"id,text\n1\n2,b\n", [("2", "b")], [(2, "1 cells, the header 2", "1\n")]),
    "too many cells": (b"id,text\n1,a\n2,b,c\n3,d\n", [("1", "a"), ("3", "d")], [(3, "3 cells, the header 2", "2,b,c\n")]),
    "a record of several lines is rejected whole": (
        b'id,text\n1,"a\nb",c\n2,d\n', [("2", "d")], [(2, "3 cells", '1,"a\nb",c\n')],
    ),
    "an unclosed quotation mark costs one line": (
        b'id,text\n1,"a\n2,b\n3,c\n', [("2", "b"), ("3", "c")], [(2, "unexpected end of data", '1,"a\n')],
    ),
    "also when the next row has one": (
        b'id,text\n1,"a\n2,"b, c"\n3,d\n', [("2", "b, c"), ("3", "d")], [(2, "cannot be split into cells", '1,"a\n')],
    ),
    "text behind a quotation mark": (b'id,text\n1,"a" b\n2,c\n', [("2", "c")], [(2, "expected after", '1,"a" b\n')]),
    "not UTF-8": (b"id,text\n1,caf\xe9\n2,b\n", [("2", "b")], [(2, "is not UTF-8; convert", "1,caf\udce9\n")]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "rows", "rejected"), CSV_CASES.values(), ids=CSV_CASES)
def test_csv(tmp_path: Path, data: bytes, rows: list[tuple[str, str]], rejected: list[tuple[int, str, str]]) -> None:
    found, refused, table = read(tmp_path / "t.csv", data)
    assert table.columns == ["id", "text"]
    assert [tuple(row.values()) for row in found] == rows
    assert [(entry.line, entry.raw) for entry in refused] == [(line, raw) for line, _, raw in rejected]
    for entry, (_, error, _) in zip(refused, rejected, strict=True):
        assert error in entry.error


def test_a_rejected_line_as_json_shows_the_bytes() -> None:
    assert json.loads(Rejected(7, "is not UTF-8", "caf\udce9 \u00fc\n").to_json()) == {
        "line": 7, "error": "is not UTF-8", "raw": "caf\\xe9 \u00fc\n",
    }  # fmt: skip


JSON_CASES = {
    "any values": (b'{"id": 1, "text": null, "x": [1, {"y": 2.5}]}\n', [{"id": 1, "text": None, "x": [1, {"y": 2.5}]}], []),
    "keys may lack": (b'{"a": 1}\r\n\n{"b": true}', [{"a": 1}, {"b": True}], []),
    "a line separator in a string": ('{"a": "x\u2028y"}\n'.encode(), [{"a": "x\u2028y"}], []),
    "broken": (b'{"a": 1}\n{"a": \n{"a": 3}\n', [{"a": 1}, {"a": 3}], [(2, "is no JSON")]),
    "no object": (b'[1]\n"x"\n{"a": 3}\n', [{"a": 3}], [(1, "no object"), (2, "no object")]),
    "a key twice": (b'{"a": 1, "a": 2}\n{"a": 3}\n', [{"a": 3}], [(1, "'a' stands twice")]),
    "a key that is no text": (b'{"\\ud800": 1}\n{"a": 3}\n', [{"a": 3}], [(1, "is no JSON")]),
    "not UTF-8": (b'{"a": "\xff"}\n{"a": 3}\n', [{"a": 3}], [(1, "is not UTF-8")]),
    "deep": (b"[" * 200_000 + b"\n" + b'{"a": 3}\n', [{"a": 3}], [(1, "nested too deeply")]),
    "a number of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b'}\n{"a": 3}\n', [{"a": 3}], [(1, "is no JSON")]),
}


@pytest.mark.parametrize(("data", "rows", "rejected"), JSON_CASES.values(), ids=JSON_CASES)
def test_json_lines(tmp_path: Path, data: bytes, rows: list[dict[str, Any]], rejected: list[tuple[int, str]]) -> None:
    found, refused, _ = read(tmp_path / "t.jsonl", data)
    assert found == rows
    assert [entry.line for entry in refused] == [line for line, _ in rejected]
    for entry, (_, error) in zip(refused, rejected, strict=True):
        assert error in entry.error


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_line_of_any_length_costs_no_more_than_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("als_redflags.lines.MAX_LINE", 1000)
    csv.field_size_limit(1000)
    rows = {
        "t.csv": ["id,text", "1,a", "2," + "x" * 5000, '3,"open', "4," + "y" * 1000, "5,b"],
        "t.jsonl": ['{"id": 1}', "x" * 9000],
    }
    found, refused, _ = read(tmp_path / name, "\n".join(rows[name]).encode())
    assert [row["id"] for row in found] == (["1", "5"] if name == "t.csv" else [1])
    assert [entry.line for entry in refused if "longer than 1,000" in entry.error] == ([3, 5] if name == "t.csv" else [2])
    csv.field_size_limit(131_072)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.jsonl", b"\n\n", "is empty"),
        ("t.csv", b"PK\x03\x04\0\0\0", "is a binary file, no table in text"),
        ("t.csv", b"a,b,a\n1,2,3\n", "the header names 'a' more than once"),
        ("t.csv", b"caf\xe9,text\n1,2\n", "line 1: is not UTF-8"),
        ("t.csv", b'"a" b\n1\n', "line 1: the header cannot be read"),
        ("t.csv", b"a,b\n1\n2\n", "not one of its 2 lines is a row; line 2: the row has 1 cells"),
        ("t.jsonl", b'[{"a": 1},\n{"a": 2}]\n', "not one of its 2 lines is a row; line 1: is no JSON"),
        ("t.csv.gz", b"a,b\n1,2\n", "cannot be read (Not a gzipped file"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9999)[:-20], "is damaged or cut off"),
        ("t.csv.zst", b"a,b\n1,2\n", "is damaged or cut off"),
        ("t.csv", "a,b\n".encode("utf-16")[:-1], "is damaged or cut off"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_explained(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path / name, data)
    assert message in str(error.value)
    assert str(tmp_path / name) in str(error.value)


def test_objects_without_a_common_shape_are_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("als_redflags.tables._MAX_COLUMNS", 3)
    with pytest.raises(InputError, match="more than 3 different keys"):
        read(tmp_path / "t.jsonl", b"".join(b'{"k%d": 1}\n' % i for i in range(4)))


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
tables = st.lists(st.tuples(cells, cells), max_size=20)


@settings(max_examples=150, deadline=None)
@given(rows=tables, name=st.sampled_from(["t.csv", "t.tsv", "t.csv.gz", "t.tsv.zst", "t.jsonl", "t.jsonl.zst"]))
def test_any_text_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], name: str
) -> None:
    path = tmp_path_factory.mktemp("t") / name
    format = TableFormat.of(path)
    columns = ["id", "text"]
    encoder: Any = JsonlEncoder(format) if format.kind == "jsonl" else CsvEncoder(format, columns, ["n"], guard=False)
    chunk = Chunk([dict(zip(columns, row, strict=True)) for row in rows])
    part = path.with_name("rows")
    part.write_bytes(encoder.header() + (encoder.encode(chunk, {"n": list(range(len(rows)))}) if rows else b""))
    encoder.finish(part).replace(path)
    if rows or format.kind != "jsonl":
        found, rejected, _ = read(path)
        assert [(row["id"], row["text"]) for row in found] == rows
        assert rejected == []


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")), max_size=12
    ),
    name=st.sampled_from(["t.csv", "t.jsonl"]),
)
def test_every_line_is_a_row_or_rejected_or_blank(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], name: str
) -> None:
    path = tmp_path_factory.mktemp("t") / name
    start = [b"a,b"] if name == "t.csv" else [b'{"a": 1}']
    found, rejected, table = read(path, b"".join(line + b"\n" for line in [*start, b'{"a": 1}', b"x,y", *lines]))
    n_lines = len(start) + 2 + len(lines) - (name == "t.csv")
    # a row of CSV may have several lines; without quotation marks it cannot
    if name == "t.jsonl" or not any(b'"' in line for line in lines):
        assert len(found) + len(rejected) + table.n_blank == n_lines
    else:
        assert len(found) + len(rejected) + table.n_blank <= n_lines


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_chunks_are_bounded_and_cut_at_the_same_places_after_a_start_in_the_middle(tmp_path: Path, name: str) -> None:
    texts = [f"{i} " + "x" * (40_000 if 700 < i < 760 else 10) for i in range(1500)]
    path = tmp_path / name
    if name == "t.parquet":
        pa.parquet.write_table(pa.table({"text": texts}), path, row_group_size=600)
    elif name == "t.csv":
        path.write_text("text\n" + "\n".join(texts), "utf-8")
    else:
        path.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    table = ParquetTable(path) if name == "t.parquet" else TextTable(path, lambda rejected: None)
    whole = [chunk.column("text") for chunk in table.chunks()]
    assert [text for chunk in whole for text in chunk] == texts
    assert max(map(len, whole)) <= CHUNK_ROWS
    assert max(sum(map(len, chunk)) for chunk in whole) <= 5_000_000
    done = 0
    for index, chunk in enumerate(whole):
        assert [c.column("text") for c in table.chunks(done)] == whole[index:]
        done += len(chunk)
    assert list(table.chunks(done)) == []


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "\uff1d1+1"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_no_cell_begins_a_formula(name: str, formula: str) -> None:
    columns = [formula, "text"]
    chunk = Chunk([{formula: "x", "text": formula}])
    for guard, expected in ((True, f"'{formula}"), (False, formula)):
        encoder = CsvEncoder(TableFormat.of(name), columns, ["reason"], guard=guard)
        written = (encoder.header() + encoder.encode(chunk, {"reason": [formula]})).decode()
        rows = list(csv.reader(io.StringIO(written, newline=""), delimiter="\t" if name == "t.tsv" else ","))
        assert rows == [[expected, "text", "reason"], ["x", expected, expected]]


def test_numbers_are_no_formulas_and_other_values_are_readable() -> None:
    encoder = CsvEncoder(TableFormat.of("t.csv"), ["v"], [])
    values = [-5, -2.5, Decimal("-1.10"), True, None, [1, "a"], {"k": None}, date(2020, 1, 2), b"\xff"]
    cells = [next(csv.reader([encoder.encode(Chunk([{"v": value}]), {"x": [""]}).decode()]))[0] for value in values]
    assert cells == ["-5", "-2.5", "-1.10", "True", "", '[1, "a"]', '{"k": null}', "2020-01-02", "/w=="]


def test_what_json_and_utf_8_cannot_hold() -> None:
    lines = JsonlEncoder(TableFormat.of("t.jsonl")).encode(
        Chunk([{"v": [float("nan"), 1.5], "w": float("inf")}, {"v": "\ud800"}, {"v": datetime(2020, 1, 2, tzinfo=UTC)}]),
        {"n": [1, 2, 3]},
    )
    assert lines == (
        b'{"v": [null, 1.5], "w": null, "n": 1}\n{"v": "\\ud800", "n": 2}\n{"v": "2020-01-02T00:00:00+00:00", "n": 3}\n'
    )
    assert CsvEncoder(TableFormat.of("t.csv"), ["v"], []).encode(Chunk([{"v": "a\ud800"}]), {"n": [1]}) == "a\ufffd,1\n".encode()


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst"])
def test_compressed_files_are_one_stream_and_the_same_each_time(tmp_path: Path, name: str) -> None:
    part = tmp_path / "rows"
    part.write_bytes(b"a,b\n" * 100_000)
    encoder = CsvEncoder(TableFormat.of(name), ["a"], ["b"])
    first = encoder.finish(part).read_bytes()
    assert encoder.finish(part).read_bytes() == first
    assert encoder.finish(part).stat().st_mode & 0o777 == 0o600
    if name.endswith("gz"):
        member = zlib.decompressobj(wbits=31)
        assert member.decompress(first) == part.read_bytes()
        assert member.eof
        assert member.unused_data == b""
    else:
        assert zstandard.ZstdDecompressor().stream_reader(first, read_across_frames=False).read() == part.read_bytes()


def parquet(tmp_path: Path, encoder: ParquetEncoder, chunks: list[tuple[Chunk, dict[str, list[Any]]]]) -> Any:
    part = tmp_path / "rows"
    part.write_bytes(b"".join(encoder.encode(chunk, added) for chunk, added in chunks))
    encoder.finish(part).replace(tmp_path / "out.parquet")
    return pa.parquet.read_table(tmp_path / "out.parquet")


def test_parquet_keeps_types_nulls_and_metadata(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, None, 3], pa.int32()),
            "text": pa.array(["a", None, "b"]).dictionary_encode(),
            "when": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.10"), None, Decimal("-2.00")]),
            "nested": pa.array([{"k": [1, 2]}, None, {"k": []}]),
            "nan": [float("nan"), None, 1.0],
        }
    ).replace_schema_metadata({"made": "by hand"})
    pa.parquet.write_table(table, tmp_path / "in.parquet", row_group_size=2)
    source = ParquetTable(tmp_path / "in.parquet")
    added = {"score": [None, 0.5], "flags": [[], ["x"]]}
    chunks = [(c, {k: v[: len(c.column("id"))] for k, v in added.items()}) for c in source.chunks()]
    out = parquet(tmp_path, ParquetEncoder(source.schema, list(added)), chunks)
    assert str(out.to_pylist()) == str([row | {"score": s, "flags": f} for row, s, f in zip(
        table.to_pylist(), [None, 0.5, None], [[], ["x"], []], strict=True
    )])  # fmt: skip
    assert out.schema.types[:-2] == pa.parquet.read_table(tmp_path / "in.parquet").schema.types
    assert out.schema.metadata[b"made"] == b"by hand"
    assert out.schema.field("flags").type == pa.list_(pa.string())


def test_json_lines_get_the_types_that_hold_all_their_values(tmp_path: Path) -> None:
    lines = [
        {
            "i": 1,
            "f": 1,
            "b": True,
            "s": "x",
            "mixed": 1,
            "list": [1],
            "big": 2**70,
            "wide": 2**60,
            "none": None,
            "half": "\ud800",
        },
        {"i": -(2**60), "f": 2.5, "b": None, "mixed": "y", "list": {"k": True}, "wide": 0.5},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    table = TextTable(path, lambda rejected: None)
    out = parquet(tmp_path, ParquetEncoder(text_schema(table), ["n_flags"]), [(c, {"n_flags": [1, 2]}) for c in table.chunks()])
    assert {field.name: str(field.type) for field in out.schema} == {
        "i": "int64", "f": "double", "b": "bool", "s": "string", "mixed": "string", "list": "string", "big": "string",
        "wide": "string", "none": "string", "half": "string", "n_flags": "int64",
    }  # fmt: skip
    assert out.to_pylist()[0] == {
        "i": 1, "f": 1.0, "b": True, "s": "x", "mixed": "1", "list": "[1]", "big": str(2**70), "wide": str(2**60), "none": None,
        "half": "\ufffd", "n_flags": 1,
    }  # fmt: skip
    assert out.to_pylist()[1]["list"] == '{"k": true}'


@pytest.mark.parametrize("data", [b"", b"id,text\n1,a\n", b"PAR1PAR1"])
def test_a_damaged_parquet_file_is_explained(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"t\.parquet: is no Parquet file, or is damaged"):
        ParquetTable(tmp_path / "t.parquet")


@pytest.mark.parametrize(("package", "module", "extra"), [("pyarrow", "parquet", "parquet"), ("zstandard", "lines", "zstd")])
def test_a_package_that_lacks_is_named(monkeypatch: pytest.MonkeyPatch, package: str, module: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "als_redflags.parquet")
    with pytest.raises(InputError, match=rf"pip install 'als-redflags\[{extra}\]'"):
        getattr(importlib.import_module(f"als_redflags.{module}"), f"import_{package}", lambda: None)()
