"""Files and standard input to text."""

import sys
from pathlib import Path

from als_redflags.errors import InputError

_MAX_BYTES = 20_000_000


def read(path: str | Path) -> str:
    """The text of a file.

    Raises
    ------
    InputError
        If the file is missing, a folder, binary, empty, too large, or not UTF-8.
    """
    path = Path(path)
    if str(path).startswith(("http:/", "https:/")):
        raise InputError(f"{path}: pages are not fetched. Save the page as a text file, or paste its text.")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the files in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return decode(data, str(path))


def read_stdin() -> str:
    """The text on standard input; errors as in :func:`read`."""
    return decode(sys.stdin.buffer.read(), "standard input")


def decode(data: bytes, name: str) -> str:
    """Bytes to text: UTF-8 with or without a byte-order mark, or UTF-16 with one."""
    if len(data) > _MAX_BYTES:
        raise InputError(f"{name}: is larger than {_MAX_BYTES // 1_000_000} MB; score its pages one by one")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in data[:8192]:
        raise InputError(f"{name}: is a binary file; save its text first")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: is not {encoding.removesuffix('-sig').upper()} (byte {error.start}). Convert it, for example with: "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    if not text.strip():
        raise InputError(f"{name}: is empty")
    return text
