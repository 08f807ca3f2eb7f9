"""HTML to blocks of text, each with the part of the page in which it stands.

The tree is lxml's (``docs/READERS.md`` says why): its parser forgives everything, stays linear, and stops at a depth of 2,048
tags. Nothing here recurses, so a page of any shape is read in time linear in its size.
"""

import html
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from als_redflags.html_zones import Zone, is_hidden, zone_of


@dataclass(slots=True)
class HtmlBlock:
    """A run of text between two tags that break lines.

    ``kind`` is ``title`` (a first-level heading), ``heading``, ``item``, ``cell``, ``line``, ``button`` or ``alt`` (the text of a
    picture); ``links`` is the share of the characters that stand in links, in [0, 1], and ``n_links`` the number of these links.
    """

    kind: str
    text: str
    links: float
    n_links: int
    zone: Zone
    words: int = field(init=False)

    def __post_init__(self) -> None:
        self.words = len(self.text.split())


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Title and blocks of a page in reading order; ``flattened`` if its tags could not be followed and were only stripped."""

    title: str | None
    blocks: list[HtmlBlock]
    flattened: bool = False


_NO_TEXT = (
    "script style noscript template svg math object embed applet canvas audio video iframe frame map "
    "select datalist textarea progress meter head"
).split()
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr picture q rp rt ruby s samp small "
    "source span strike strong sub sup time tt u var wbr br amp-img".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body button center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol p pre section summary table tbody td tfoot th "
    "thead tr ul xmp".split()
)
_HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
_PHRASES = frozenset({"p", "li", "td", "dd", "dt", "figcaption", *_HEADINGS})

_LEFTOVERS = re.compile(
    r"\{\{[^{}]{0,300}\}\}|\{%[^%]{0,300}%\}|<%[^%]{0,300}%>"  # of template engines
    r"|\[/?[a-z]{2,20}(?:_[a-z0-9]{1,20}){1,5}(?:\s[^\[\]]{0,1000})?\]"  # of page builders
)
_SPACES = re.compile(r"[\s\u00a0]+")
_BULLET = re.compile(r"^(?:[-*\u2022\u00b7\u25aa\u25cf\u25e6\u2023\u2013\u2713\u2714\u2705\u27a4\u25ba\u2192]\ufe0f?\s*)+")
_FILE_NAME = re.compile(r"\.(?:jpe?g|png|gif|webp|svg|avif)\b", re.IGNORECASE)
_ALT_WORDS = 3
_LARGE_SHARE = 0.5  # a part with more of the page than this is the page, whatever its name
_MAX_TAG_CHARS = 10_000  # without its quoted values
# what is no markup, and the end of the page, after which pages made of parts go on
_RAW = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(script|style)\b.*?(?:</\1\s*>|\Z)|<\?php.*?(?:\?>|\Z)|</(?:body|html)\s*>",
    re.DOTALL | re.IGNORECASE,
)
_TITLE = re.compile(r"<title[^>]{0,500}>([^<]{0,500})", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[a-zA-Z][^\s/><]*)(?:[^>=]|=\s*\"[^\"]*\"|=\s*'[^']*'|=)*+>?|<[!?][^<>]*>?")


def parse(source: str) -> HtmlPage:
    """Title and blocks of a page; a page without any text has no blocks. Never fails on broken markup."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    source = _RAW.sub(" ", source.replace("\0", ""))
    tags = (match.group() for match in _TAG.finditer(source))
    if any(len(tag) > _MAX_TAG_CHARS and len(_QUOTED.sub("", tag)) > _MAX_TAG_CHARS for tag in tags):
        return _flattened(source)  # the parser compares the attributes of a tag with each other, which is quadratic
    try:
        root = etree.fromstring(source.encode("utf-8", "replace"), parser)
    except etree.ParserError:
        root = None
    except etree.XMLSyntaxError:
        return _flattened(source)
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" or "depth" in entry.message for entry in parser.error_log):
        return _flattened(source)
    if root is None:
        return HtmlPage(None, [])
    title = root.find(".//title")
    name = " ".join("".join(title.itertext()).split()) if title is not None else ""
    etree.strip_elements(root, *_NO_TEXT, with_tail=False)
    return HtmlPage(name or None, list(_Walk(root).blocks()))


def _flattened(source: str) -> HtmlPage:
    """The text of a page whose tags are only stripped: nothing is known about its parts."""
    name = _TITLE.search(source)

    def replace(tag: re.Match[str]) -> str:
        return "" if (tag["name"] or "p").lower() in _INLINE - {"br"} else "\n"

    text = _TAG.sub(replace, _TITLE.sub("", source, count=1))
    lines = (" ".join(html.unescape(line).split()) for line in text.split("\n"))
    blocks = [HtmlBlock("line", line, 0.0, 0, Zone.MAIN) for line in lines if line]
    return HtmlPage(html.unescape(name[1]).strip() if name else None, blocks, flattened=True)


@dataclass(slots=True)
class _Frame:
    """An open element. ``kind`` is that of the text directly in it."""

    zone: Zone
    block: bool = True
    kind: str = "line"
    link: bool = False
    phrase: bool = False  # inside a paragraph or the like, where unknown tags are inline
    inner: bool = False  # inside an article or section, whose header is no page header
    pre: bool = False
    mute: bool = False


class _Walk:
    """Goes through the tree once to measure its parts and once to read them."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._chars = array("L")  # of the text in each element, in document order
        self._link_chars = array("L")
        self._main = self._measure()
        self._pieces: list[tuple[str, bool]] = []  # text, and whether it stands in a link
        self._n_links = 0  # in these pieces
        self._alts: list[str] = []
        self._bullet = False  # a list item has begun and nothing of it was read yet
        self._seam = 0  # 1: an inline element has just ended; 2: and another began at once

    def _measure(self) -> Any:
        """Fill the sizes; return the element that says it is the main part, if it holds most of the page, else None."""
        from lxml import etree

        open_at: list[tuple[int, int, int]] = []
        candidates: list[tuple[bool, int, Any]] = []
        chars = links = link_depth = 0
        for event, element in etree.iterwalk(self._root, events=("start", "end")):
            step = _is_link(element)
            if event == "start":
                if element.tag in ("main", "article") or element.get("role") == "main":
                    candidates.append((element.tag == "article", len(self._chars), element))
                open_at.append((len(self._chars), chars, links))
                self._chars.append(0)
                self._link_chars.append(0)
                link_depth += step
                text = element.text
            else:
                index, chars_before, links_before = open_at.pop()
                self._chars[index] = chars - chars_before
                self._link_chars[index] = links - links_before
                link_depth -= step
                text = element.tail
            if text:
                size = len(text.strip())
                chars += size
                links += size if link_depth else 0
        large = [(article, element) for article, index, element in candidates if not self._is_small(index)]
        return min(large, key=lambda pair: pair[0])[1] if large else None

    def _is_small(self, index: int) -> bool:
        return self._chars[index] < _LARGE_SHARE * self._chars[0]

    def blocks(self) -> Iterator[HtmlBlock]:
        """The blocks in reading order."""
        from lxml import etree

        frames = [_Frame(Zone.MAIN if self._main is None else Zone.EDGE)]
        index = -1
        for event, element in etree.iterwalk(self._root, events=("start", "end")):
            if event == "start":
                index += 1
                frame = self._open(element, index, frames[-1])
                if frame.block:
                    yield from self._flush(frames[-1])
                else:
                    self._seam *= 2
                frames.append(frame)
                if element.tag == "li":
                    self._bullet = True
                elif element.tag == "br" and not frame.mute:
                    self._pieces.append((" " if frame.kind in ("heading", "title") else "\n", False))
                elif element.tag in ("img", "amp-img") and not frame.mute:
                    self._alts.append(element.get("alt") or "")
                self._add(element.text, frame)
            else:
                frame = frames.pop()
                if frame.block:
                    yield from self._flush(frame)
                else:
                    self._seam = 1
                self._add(element.tail, frames[-1])
        yield from self._flush(frames[-1])

    def _open(self, element: Any, index: int, parent: _Frame) -> _Frame:
        tag: str = element.tag
        inline = tag in _INLINE or (parent.phrase and tag not in _BLOCKS)
        frame = _Frame(
            parent.zone,
            not inline,
            _kind(element, parent.kind),
            parent.link or _is_link(element),
            tag in _PHRASES or (parent.phrase and inline),
            parent.inner or tag in ("article", "section", "main"),
            parent.pre or tag == "pre",
            parent.mute,
        )
        if element is self._main:
            frame.zone = Zone.MAIN
        elif self._is_small(index):
            if frame.block:
                frame.zone = max(frame.zone, zone_of(element, self._chars[index], self._link_chars[index], inner=frame.inner))
            frame.mute = frame.mute or is_hidden(element)
        # what is hidden breaks no line
        frame.block = (frame.block or frame.zone is not parent.zone) and not frame.mute
        return frame

    def _add(self, text: str | None, frame: _Frame) -> None:
        if not text or frame.mute:
            return
        if not frame.pre:
            text = _SPACES.sub(" ", text)
        if self._seam == 2 and self._pieces and _are_apart(self._pieces[-1], (text, frame.link)):
            self._pieces.append((" ", False))
        self._seam = 0
        if frame.link and not text.isspace():
            self._n_links += not (self._pieces and self._pieces[-1][1])
        self._pieces.append((text, frame.link))

    def _flush(self, frame: _Frame) -> Iterator[HtmlBlock]:
        """The block that ends here, if it has text, and the images met in it."""
        self._seam = 0
        if self._pieces:
            text = _LEFTOVERS.sub(" ", "".join(text for text, _ in self._pieces))
            sizes = [(len(text), linked) for text, linked in self._pieces if any(map(str.isalnum, text))]
            links = sum(size for size, linked in sizes if linked) / max(sum(size for size, _ in sizes), 1)
            self._pieces.clear()
            for part in re.split(r"\n\s*\n", text):
                part = "\n".join(filter(None, (_SPACES.sub(" ", line).strip() for line in part.split("\n"))))
                kind = frame.kind if frame.kind != "item" or self._bullet else "line"
                if kind == "item":
                    part = _BULLET.sub("", part)
                if any(map(str.isalnum, part)):
                    self._bullet = False
                    yield HtmlBlock(kind, part, links, self._n_links, frame.zone)
        for alt in self._alts:
            alt = " ".join(alt.split())
            if alt.count(" ") + 1 >= _ALT_WORDS and not _FILE_NAME.search(alt):
                yield HtmlBlock("alt", alt, float(frame.link), int(frame.link), frame.zone)
        self._alts.clear()
        self._n_links = 0


def _is_link(element: Any) -> bool:
    return element.tag == "a" and "href" in element.attrib  # <a name="top"> is often never closed


def _kind(element: Any, outer: str) -> str:
    tag = element.tag
    if tag == "h1":
        return "title"
    if tag in _HEADINGS or element.get("role") == "heading":
        return "heading"
    if tag == "li":
        return "item"
    if tag in ("td", "th"):
        return "cell"
    if tag == "button" and outer not in ("heading", "title"):
        return "button"
    return "line" if tag in ("p", "table", "blockquote") and outer == "cell" else outer


def _are_apart(before: tuple[str, bool], after: tuple[str, bool]) -> bool:
    """Tell two inline elements that touch in the source and stand apart on the screen, as two buttons do."""
    last, first = before[0][-1], after[0][0]
    if last.isspace() or first.isspace():
        return False
    return (before[1] and after[1]) or (not last.isupper() and last.isalnum() and first.isupper())
