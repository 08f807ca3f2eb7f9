"""Files and bytes to text."""

from pathlib import Path

import pytest

from als_redflags.errors import InputError
from als_redflags.readers import decode, read


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("caf\u00e9 cures".encode(), "caf\u00e9 cures"),
        ("\ufeffcures".encode(), "cures"),
        ("cures".encode("utf-16"), "cures"),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, text: str) -> None:
    file = tmp_path / "page.txt"
    file.write_bytes(data)
    assert read(file) == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02", "is a binary file"),
        (b"caf\xe9", r"is not UTF-8 \(byte 3\)"),
        (b"\xff\xfea", "is not UTF-16"),
        (b"x" * 20_000_001, "larger than 20 MB"),
    ],
)
def test_what_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(data, "page")
