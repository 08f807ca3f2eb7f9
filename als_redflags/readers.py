"""Files and standard input to text: web pages, brochures, plain text.

The format is told by what the bytes are, and only then by the name of the file. Offsets and line numbers of a report refer to the
text that is returned here, which ``als-redflags score --show-text`` prints.
"""

import re
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from als_redflags import encodings
from als_redflags.errors import InputError

_MAX_BYTES = 20_000_000

_HTML_NAMES = frozenset({".html", ".htm", ".xhtml", ".shtml"})
_MHTML_NAMES = frozenset({".mhtml", ".mht"})
_MARKDOWN_NAMES = frozenset({".md", ".markdown"})
_TEXT_NAMES = frozenset({".txt", ".text", *_MARKDOWN_NAMES})
_DOCUMENT = re.compile(
    r"\s*(?:<\?xml\b[^>]{0,300}>\s*)?(?:<!--.{0,2000}?-->\s*){0,20}<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_SOUP = re.compile(
    r"</(?:p|div|li|ul|ol|td|tr|table|h[1-6]|span|a|b|strong|em|section|article|main|nav|header|footer|script|style|title|font)\s*>"
    r"|<br\s*/?>|<p>",
    re.IGNORECASE,
)
_SOUP_TAGS = 5
_MHTML = re.compile(rb"(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){0,20}?MIME-Version:", re.IGNORECASE)
_SNIFFED = 50_000
_OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Word or Excel file; save it as .docx, PDF or text",
    b"{\\rtf": "an RTF file; save it as .docx, PDF or text",
    b"bplist00": "a Safari web archive; save the page as HTML, or copy its text",
    b"\x89PNG": "a picture; run text recognition on it first, or type its text",
    b"\xff\xd8\xff": "a picture; run text recognition on it first, or type its text",
    b"GIF8": "a picture; run text recognition on it first, or type its text",
    b"\x1f\x8b": "compressed; unpack it first",
}

_FRONT_MATTER = re.compile(r"\A---\n.{0,20000}?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]\n]{0,1000})\](?:\([^()\s]{0,2000}(?:\s+\"[^\"\n]{0,500}\")?\)|\[[^\[\]\n]{0,200}\])")
_MARKDOWN_TARGET = re.compile(r"^ {0,3}\[[^\[\]\n]{1,200}\]:\s+\S.*$|<https?://[^<>\s]{1,2000}>", re.MULTILINE)
_MARKDOWN_STRONG = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,1000})(?<=\S)\1")


@dataclass(frozen=True, slots=True)
class Page:
    """What was read.

    ``text`` is what is scored; ``title`` the title that the file gives itself; ``notes`` are sentences on what had to be guessed
    or left out; ``kind`` is ``html``, ``mhtml``, ``pdf``, ``docx``, ``markdown`` or ``text``.
    """

    text: str
    title: str | None
    notes: tuple[str, ...]
    kind: str


def read(path: str | Path, *, max_bytes: int = _MAX_BYTES) -> str:
    """The text of a file: a saved web page, PDF, Word document, Markdown or plain text.

    Raises
    ------
    InputError
        If the file is missing, a folder, an address, too large, empty, or of a kind that cannot be read.
    """
    return read_page(path, max_bytes=max_bytes).text


def read_stdin(*, max_bytes: int = _MAX_BYTES) -> str:
    """The text on standard input; HTML is recognised. Errors as in :func:`read`."""
    return read_stdin_page(max_bytes=max_bytes).text


def read_page(path: str | Path, *, max_bytes: int = _MAX_BYTES) -> Page:
    """A file with its title and notes; errors as in :func:`read`."""
    name = str(path)
    if re.match(r"(?:https?|ftp|file):/", name, re.IGNORECASE) or name.lower().startswith("www."):
        raise InputError(
            f"{name}: pages are not fetched. Save the page in the browser (Ctrl+S, as HTML or PDF) and name the file, "
            "or paste its text."
        )
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the files in it")
    try:
        with path.open("rb") as stream:
            return _read(stream, name, max_bytes)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InputError(f"{name!r}: is no file name") from None


def read_stdin_page(*, max_bytes: int = _MAX_BYTES) -> Page:
    """Standard input with its title and notes; errors as in :func:`read`."""
    return _read(sys.stdin.buffer, "standard input", max_bytes)


def _read(stream: BinaryIO, name: str, max_bytes: int) -> Page:
    return extract(stream.read(max_bytes + 1), name, max_bytes=max_bytes)


def extract(data: bytes, name: str, *, max_bytes: int = _MAX_BYTES) -> Page:
    """The text in the bytes of a file called ``name`` (which serves messages, and tells Markdown from plain text).

    Raises
    ------
    InputError
        If there are more than ``max_bytes`` bytes, or they hold no text.
    """
    if len(data) > max_bytes:
        size = f"{max_bytes / 1_000_000:g} MB" if max_bytes >= 100_000 else f"{max_bytes} bytes"
        raise InputError(f"{name}: is larger than {size}; score its pages one by one")
    if not data.strip():
        raise InputError(f"{name}: is empty")
    for start, what in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise InputError(f"{name}: is {what}")
    suffix = Path(name).suffix.lower()
    if b"%PDF-" in data[:1024]:
        from als_redflags.documents import pdf_text

        page = Page(*pdf_text(data, name), "pdf")
    elif data.startswith(b"PK\x03\x04"):
        from als_redflags.documents import docx_text

        page = Page(*docx_text(data, name), "docx")
    elif suffix in _MHTML_NAMES or (_MHTML.match(data[:_SNIFFED]) and b"multipart/related" in data[:_SNIFFED]):
        page = _mhtml(data, name)
    else:
        page = _text(data, name, suffix)
    if not any(map(str.isalnum, page.text)):
        raise InputError(f"{name}: holds no visible text" + "".join(f"; {note}" for note in page.notes))
    return page


def decode(data: bytes, name: str) -> str:
    """Bytes of plain text: by byte-order mark, as UTF-8, or by a guess; :class:`InputError` for what is no text."""
    return encodings.decode(data, name)[0]


def _text(data: bytes, name: str, suffix: str) -> Page:
    """HTML, Markdown or plain text."""
    text, notes = encodings.decode(data, name, encodings.declared_encoding(data))
    if suffix in _HTML_NAMES or _is_html(text, suffix):
        return _html(text, notes, "html")
    if suffix in _MARKDOWN_NAMES:
        return Page(_markdown(text), None, notes, "markdown")
    return Page(text, None, notes, "text")


def _is_html(text: str, suffix: str) -> bool:
    """A whole page under any name; pieces of one only where the name does not say that it is text."""
    head = text[:_SNIFFED]
    if _DOCUMENT.match(head):
        return True
    tags = sum(1 for _ in islice(_SOUP.finditer(head), _SOUP_TAGS))
    return suffix not in _TEXT_NAMES and (tags == _SOUP_TAGS or (tags > 0 and head.lstrip().startswith("<")))


def _html(source: str, notes: tuple[str, ...], kind: str) -> Page:
    from als_redflags.html_text import html_text

    page = html_text(source)
    return Page(page.text, page.title, notes + page.notes, kind)


def _mhtml(data: bytes, name: str) -> Page:
    """The page in a web archive: its first HTML part; the others are its frames."""
    from email import message_from_bytes

    try:
        message = message_from_bytes(data)
        part = next((part for part in message.walk() if part.get_content_type() in ("text/html", "application/xhtml+xml")), None)
        body = part.get_payload(decode=True) if part is not None else None
        charset = part.get_content_charset() if part is not None else None
    except (RecursionError, LookupError, ValueError, TypeError):
        body = charset = None
    if not isinstance(body, bytes):
        raise InputError(f"{name}: holds no web page that could be read; save the page again as HTML, or copy its text")
    text, notes = encodings.decode(body, name, charset or encodings.declared_encoding(body))
    return _html(text, notes, "mhtml")


def _markdown(text: str) -> str:
    """Markdown without front matter, link targets and double emphasis; headings and bullets stay, the scorer reads them."""
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"), count=1)
    text = _MARKDOWN_LINK.sub(r"\1", text)
    return _MARKDOWN_STRONG.sub(r"\2", _MARKDOWN_TARGET.sub("", text))
