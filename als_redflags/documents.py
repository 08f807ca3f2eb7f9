"""Brochures to text: PDF through pypdf, Word documents straight from the XML in them."""

import io
import logging
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from als_redflags.errors import InputError

if TYPE_CHECKING:
    from pypdf import PdfReader

_MAX_PAGES = 500
_MAX_XML_BYTES = 100_000_000
_PAGES_WITH_FURNITURE = 3  # a line on at least so many pages, and on most of them, is a running head
_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_NOT_SHOWN = {f"{_W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sectPr")} | {
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # a copy of the text box beside it
}


def pdf_text(data: bytes, name: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Text, title and notes of a PDF.

    Raises
    ------
    InputError
        If pypdf is not installed, or the file is encrypted, damaged, or holds pictures of text only.
    """
    try:
        from pypdf import PdfReader
    except ImportError:
        raise InputError(f'{name}: PDF needs the package pypdf; install it with: pip install "als-redflags[docs]"') from None
    with _silent("pypdf"):
        try:
            reader = PdfReader(io.BytesIO(data))
            locked = reader.is_encrypted and not reader.decrypt("")
            pages = [] if locked else [page.extract_text() for page in _pages(reader)]
            title = None if locked or reader.metadata is None else reader.metadata.title
            left_out = 0 if locked else len(reader.pages) - len(pages)
        except InputError:
            raise
        except Exception as error:  # pypdf lets pass whatever a damaged file provokes, from KeyError to RecursionError
            if type(error).__name__ == "DependencyError":
                locked = True
            else:
                raise InputError(
                    f"{name}: the PDF is damaged ({type(error).__name__}); open it, and print it to a new PDF"
                ) from None
    if locked:
        raise InputError(f"{name}: the PDF is encrypted; open it with its password, and print it to a new PDF or copy its text")
    text = "\n\n".join(filter(None, _without_running_heads(pages)))
    if not any(map(str.isalnum, text)):
        raise InputError(f"{name}: the PDF holds no text, only pictures of it (a scan); run text recognition on it first")
    notes = []
    empty = sum(not any(map(str.isalnum, page)) for page in pages)
    if empty:
        notes.append(f"{empty} of {len(pages)} pages hold no text, perhaps pictures of it")
    if left_out > 0:
        notes.append(f"only the first {_MAX_PAGES} pages were read, {left_out} more were left out")
    return text, str(title).strip() or None if title else None, tuple(notes)


def _pages(reader: "PdfReader") -> Iterator[Any]:
    for index in range(min(len(reader.pages), _MAX_PAGES)):
        yield reader.pages[index]


@contextmanager
def _silent(logger_name: str) -> Iterator[None]:
    """Keep a library from logging each oddity of a file to the terminal."""
    logger = logging.getLogger(logger_name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _without_running_heads(pages: list[str]) -> list[str]:
    """The pages as clean lines, without page numbers and the lines that stand on most pages."""
    split = [[" ".join(line.split()) for line in _HYPHEN.sub("", page).split("\n")] for page in pages]
    on_pages = Counter(line for lines in split for line in set(lines))
    limit = max(_PAGES_WITH_FURNITURE, len(pages) / 2)
    return [
        "\n".join(line for line in lines if not line.isdigit() and not (line and on_pages[line] >= limit)).strip("\n")
        for lines in split
    ]


def docx_text(data: bytes, name: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Text, title and notes of a Word document (``.docx``): paragraphs, headings, list items, the cells of tables, text boxes.

    Deleted and hidden text is left out. Raises :class:`InputError` if the file is damaged, encrypted or no Word document.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            body = etree.fromstring(_member(archive, "word/document.xml", name), parser)
            names = archive.namelist()
            core = _member(archive, "docProps/core.xml", name) if "docProps/core.xml" in names else b""
            title = etree.fromstring(core, parser).findtext(".//{http://purl.org/dc/elements/1.1/}title") if core else None
    except KeyError:
        raise InputError(f"{name}: is a zip file and no Word document; unpack it, or save it as .docx, PDF or text") from None
    except (zipfile.BadZipFile, etree.XMLSyntaxError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{name}: the Word document is damaged or encrypted ({error}); save it again as .docx or text") from None
    lines: list[str] = []
    before = None
    for kind, text in _paragraphs(body):
        if lines and not (kind == before and kind in ("item", "cell")):
            lines.append("")
        lines.append(f"- {text}" if kind == "item" else text)
        before = kind
    return "\n".join(lines), (title or "").strip() or None, ()


def _member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    if archive.getinfo(member).file_size > _MAX_XML_BYTES:
        raise InputError(f"{name}: its text unpacks to more than {_MAX_XML_BYTES // 1_000_000} MB; save it as text in parts")
    with archive.open(member) as stream:
        return stream.read(_MAX_XML_BYTES)


def _paragraphs(body: Any) -> Iterator[tuple[str, str]]:
    """Kind (``heading``, ``item``, ``cell``, ``line``) and text of each paragraph that has text.

    A text box stands inside a paragraph and holds paragraphs of its own: they come first.
    """
    from lxml import etree

    open_paragraphs: list[list[str]] = []
    mute = cells = 0
    for event, element in etree.iterwalk(body, events=("start", "end")):
        tag = element.tag
        if not isinstance(tag, str):
            continue
        step = 1 if event == "start" else -1
        if tag in _NOT_SHOWN or (tag == f"{_W}r" and _is_hidden(element)):
            mute += step
        elif tag == f"{_W}tc":
            cells += step
        elif tag == f"{_W}p" and event == "start":
            open_paragraphs.append([])
        elif tag == f"{_W}p":
            text = "".join(open_paragraphs.pop())
            if any(map(str.isalnum, text)):
                kind = _kind(element, bool(cells))
                lines = [" ".join(line.split()) for line in text.split("\n")]
                yield kind, ("\n" if kind == "line" else " ").join(filter(None, lines))
        elif event == "start" and open_paragraphs and not mute:
            if tag == f"{_W}t":
                open_paragraphs[-1].append(element.text or "")
            elif tag == f"{_W}tab":
                open_paragraphs[-1].append(" ")
            elif tag in (f"{_W}br", f"{_W}cr"):
                open_paragraphs[-1].append("\n")
            elif tag == f"{_W}noBreakHyphen":
                open_paragraphs[-1].append("-")


def _is_hidden(run: Any) -> bool:
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(f"{_W}val", "true") not in ("0", "false")


def _kind(paragraph: Any, in_cell: bool) -> str:
    properties = paragraph.find(f"{_W}pPr")
    if properties is not None:
        style = properties.find(f"{_W}pStyle")
        name = style.get(f"{_W}val", "") if style is not None else ""
        if name.startswith(("Heading", "Title", "Subtitle")):
            return "heading"
        if name.startswith("List") or properties.find(f"{_W}numPr") is not None:
            return "item"
    return "cell" if in_cell else "line"
