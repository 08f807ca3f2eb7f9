"""Bytes to text: the encoding that the bytes show, then the one that the page declares, then a careful guess."""

import codecs
import re

from als_redflags.errors import InputError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"<meta\b[^>]{0,500}?\bcharset\s*=\s*[\"']?\s*([\w.:-]{1,40})|^\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']([\w.:-]{1,40})",
    re.IGNORECASE,
)
_HEAD_BYTES = 65_536
# The encodings that a page may declare; Python knows others ("idna", "rot13", "unicode_escape") that are none of text on the web.
_ALLOWED = re.compile(r"(?:cp|iso8859-|koi8-|mac-|big5|gb|euc_|shift_jis|iso2022_|tis-620|hz$)")
# What is declared and what is meant: browsers read them so too.
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030"}
_NAMES_OF_BROWSERS = {
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "unicode": "utf-8",
}
_STATEFUL = ("iso2022_", "hz")  # these look like ASCII
_GUESSES = {"cp1252": "Windows-1252", "mac-roman": "Mac Roman"}
_MAX_DAMAGE = 0.02  # share of the characters that may be unreadable
_MAX_HIGH_BYTES = 0.3  # share of bytes above 127: English has few, other scripts in old encodings are made of them
_MAX_CONTROLS = 0.02
_CONTROLS = bytes([*range(8), 11, *range(14, 27), *range(28, 32), 127])
_SAMPLE = 4_000
_HIGH = bytes(range(128, 256))
_HIGH_BYTE = re.compile(rb"(?s)(?<=(.))?([\x80-\xff])(?=(.))?")
_BYTE = re.compile("[\udc80-\udcff]")
_C1 = re.compile("[\x80-\x9f]")
_SIGNS = (
    "\u2013\u2014\u2022\u2026\u2122\u00ae\u00a9\u00b0\u00b7\u00a0\u20ac\u00a3\u00bd\u00bc\u00be\u00b1\u00d7"
    "\u00ab\u00bb\u00a7\u00b2\u00b3\u00b5"
)


def declared_encoding(data: bytes) -> str | None:
    """The encoding that an HTML page names in a meta tag or an XML declaration."""
    match = _DECLARED.search(data[:_HEAD_BYTES])
    return (match[1] or match[2]).decode("ascii") if match else None


def decode(data: bytes, name: str, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text, and a note if something had to be guessed.

    Raises
    ------
    InputError
        If the bytes are no text, or text of which nobody could say in what encoding.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _damaged(data[len(bom) :], encoding, name)
    wide = _wide(data)
    if wide:
        return _damaged(data, wide, name)
    if b"\0" in data[:8192] or _share(data, _CONTROLS) > _MAX_CONTROLS:
        raise InputError(f"{name}: is a binary file; save its text first")
    codec = _codec(declared)
    try:
        if not codec.startswith(_STATEFUL) or not data.isascii():
            return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        problem = error
    if codec and codec != "cp1252":
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            text = "\x80"
        if not _C1.search(text):
            return text, ()
    return _western(data, name, codec, problem)


def _codec(declared: str | None) -> str:
    """Python's name of a declared encoding; empty if it is unknown or says nothing about bytes that are not UTF-8."""
    label = (declared or "").strip().lower()
    try:
        codec = codecs.lookup(_NAMES_OF_BROWSERS.get(label, label)).name
    except LookupError:
        return ""
    codec = _MEANT.get(codec, codec)
    return codec if _ALLOWED.match(codec) else ""


def _wide(data: bytes) -> str | None:
    """UTF-16 without a byte-order mark: every other byte of English text is zero."""
    head = data[:_SAMPLE]
    even, odd = (head[start::2].count(0) / max(len(head[start::2]), 1) for start in (0, 1))
    if len(head) >= 8 and max(even, odd) > 0.7 and min(even, odd) < 0.05:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _damaged(data: bytes, encoding: str, name: str) -> tuple[str, tuple[str, ...]]:
    """Decode what is known to be in ``encoding``, and forgive a few broken characters."""
    text = data.decode(encoding, "replace")
    lost = text.count("\ufffd") if "\ufffd".encode(encoding) not in data else 0
    if lost > 1 + _MAX_DAMAGE * len(text) or (lost and len(text) < 1 / _MAX_DAMAGE):
        raise InputError(f"{name}: is not {encoding[:6].upper()}, although it begins so; save its text again as UTF-8")
    return text, (f"characters that could not be read were replaced ({lost} of them)",) if lost else ()


def _western(data: bytes, name: str, codec: str, problem: UnicodeDecodeError) -> tuple[str, tuple[str, ...]]:
    """Text that is not UTF-8, or not all of it."""
    escaped = data.decode("utf-8", "surrogateescape")
    broken = _BYTE.findall(escaped)
    right = sum(not c.isascii() for c in escaped) - len(broken)
    if right and problem.reason == "unexpected end of data":
        return escaped[: -len(broken)], ("the file ends in the middle of a character; it may be incomplete",)
    if right >= len(broken):  # UTF-8 with something pasted into it
        text = _BYTE.sub(lambda match: bytes([ord(match[0]) - 0xDC00]).decode("cp1252", "replace"), escaped)
        return text, (f"bytes that are not UTF-8 were read as Windows-1252 ({len(broken)} of them)",)
    best = max(_GUESSES, key=lambda guess: _plausibility(data, guess))  # Windows-1252 if they are equal
    text = data.decode(best, "replace")
    if not codec and (_share(data, _HIGH) > _MAX_HIGH_BYTES or text.count("\ufffd") > _MAX_DAMAGE * len(text)):
        raise InputError(
            f"{name}: is not UTF-8 (byte {problem.start}), and its encoding cannot be told. Convert it, for example with: "
            "iconv -f WINDOWS-1251 -t UTF-8"
        )
    if best == codec:
        return text, ()
    return text, (f"the text is not UTF-8; it was read as {_GUESSES[best]}, which is a guess",)


def _share(data: bytes, kind: bytes) -> float:
    return 1 - len(data.translate(None, kind)) / max(len(data), 1)


def _plausibility(data: bytes, encoding: str) -> float:
    """How well the bytes above 127 stand in their words when read in ``encoding``: a sum over at most 4,000 of them.

    English has them as quotation marks, dashes and signs, and in names as small letters amid small letters.
    """
    total = 0.0
    for count, match in enumerate(_HIGH_BYTE.finditer(data)):
        if count == _SAMPLE:
            break
        before, char, after = ((part or b" ").decode(encoding, "replace") for part in match.groups())
        if char.islower():
            total += 1 if before.isalpha() or after.isalpha() else -1
        elif char.isupper():
            total += 1 if after.isalpha() and not before.islower() else -2
        elif char in "\u2019'":
            total += 2 if before.isalnum() else 0
        elif char in "\u201c\u2018":
            total += 1 if not before.isalnum() and not after.isspace() else -1
        elif char == "\u201d":
            total += 1 if not before.isspace() and not after.isalnum() else -1
        elif char in _SIGNS:
            total += 1 if char == "\u2014" or not (before.isalpha() and after.isalpha()) else -1
        else:
            total -= 2
    return total
