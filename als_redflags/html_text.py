"""A saved web page to the text that its visitors read: blocks without menus, cookie bars and the like, laid out as plain text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from als_redflags.html_blocks import HtmlBlock, parse
from als_redflags.html_zones import Zone

_MIN_MAIN_WORDS = 25
_MAIN_SHARE = 0.1  # a main part smaller than this share of the page is none
_FEW_WORDS = 20
_SCRIPT = re.compile(r"<(?:script|frame)\b", re.IGNORECASE)
_PROSE_WORDS = 8
_LONG_PROSE_WORDS = 15
_LINKY = 0.8
_LINK_WORDS = 20
_ENTRY_WORDS = 6  # a list of conditions has short entries, a list of articles long ones
_MANY_LINKS = 4  # so many in a row are a menu
_FEW_LINKS = 2  # and so many below a heading such as "Read next"
_BUTTON_WORDS = 4
_COPY_WORDS = 8  # a line as long as this that stands on the page twice is a copy (a slide, a mobile version)

_CONSENT = re.compile(
    r"\bcookies?\b(?=.*\b(?:accept|agree|analytics|browser|browsing|consent|experience|policy|preferences|settings|traffic)\b)"
    r"|\b(?:accept|agree|consent|site|website)\b.*\bcookies\b",
    re.IGNORECASE | re.DOTALL,
)
_CONSENT_WORDS = 120
_RIGHTS = re.compile(r"\ball rights reserved\b|^\W*copyright\b|\u00a9\s*(?:19|20)\d\d|^\u00a9", re.IGNORECASE)
_RIGHTS_WORDS = 40
_FURNITURE = re.compile(
    r"\b(?:subscribe|unsubscribe|newsletter|sign up|your inbox|privacy policy|terms (?:of|and|&)|cookies?|"
    r"javascript|recaptcha)\b",
    re.IGNORECASE,
)
_MORE_READING = re.compile(
    r"\b(?:most (?:read|viewed|shared)|related|recent|recommended|popular|trending|latest|archives?|categories|tags"
    r"|you may (?:also )?(?:like|enjoy)|read (?:more|next)|more (?:from|in|on|stories|articles|news|posts)|more like this|posts?"
    r"|articles|news|links|menu|navigation|pages|sitemap|follow us|share|see also|contents|languages?)\b",
    re.IGNORECASE,
)
_SENTENCE_END = (".", "!", "?", '."', '!"', ".\u201d", "!\u201d", ".)", "\u2026")


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The text of a page, its title, and what the reader of the result should know."""

    text: str
    title: str | None
    notes: tuple[str, ...]


def html_text(source: str) -> HtmlText:
    """Read a page. ``text`` is empty if the page shows none; broken markup is no error."""
    page = parse(source)
    shown = [block for block in page.blocks if block.kind != "alt"]
    kept = shown if page.flattened else list(_main(page.blocks))
    n_shown, n_kept = (sum(block.words for block in blocks) for blocks in (shown, kept))
    notes = []
    if page.flattened:
        notes.append("the tags of the page are nested or written too wildly to be followed; menus may stand in the text")
    elif n_kept < min(_MIN_MAIN_WORDS, n_shown) and n_kept < _MAIN_SHARE * n_shown:
        kept = shown
        notes.append("no main part was found in the page; all of its visible text was read, menus too")
    if n_shown < _FEW_WORDS and _SCRIPT.search(source):
        notes.append(
            "the page builds its text with scripts and has little of it in the file; copy its text, "
            "or save it from the browser as a complete page or PDF"
        )
    return HtmlText(_layout(kept), page.title, tuple(notes))


def _main(blocks: Sequence[HtmlBlock]) -> Iterator[HtmlBlock]:
    """The blocks that are neither furniture, nor menus, nor copies of an earlier block."""
    framed = {block.text for block in blocks if block.zone is not Zone.MAIN}
    seen: set[str] = set()
    for block in _without_menus([block for block in blocks if _is_kept(block)], framed):
        key = " ".join(block.text.lower().split())
        if key in seen and (block.words >= _COPY_WORDS or block.links >= _LINKY or block.kind in ("alt", "button")):
            continue
        seen.add(key)
        yield block


def _is_kept(block: HtmlBlock) -> bool:
    if block.zone is Zone.CHROME:
        return False
    if block.words <= _RIGHTS_WORDS and _RIGHTS.search(block.text):
        return False
    if block.words <= _CONSENT_WORDS and _CONSENT.search(block.text):
        return False
    if block.kind == "button" and block.words < _BUTTON_WORDS and not block.text.endswith("?"):
        return False
    return block.zone is Zone.MAIN or block.kind == "title" or _is_prose(block)


def _is_prose(block: HtmlBlock) -> bool:
    """Sentences rather than labels: what is worth reading in a sidebar or a footer, such as a disclaimer."""
    if block.kind == "alt" or block.links > 1 - _LINKY or _FURNITURE.search(block.text):
        return False
    return block.words >= _LONG_PROSE_WORDS or (block.words >= _PROSE_WORDS and block.text.endswith(_SENTENCE_END))


def _without_menus(blocks: Sequence[HtmlBlock], framed: set[str]) -> list[HtmlBlock]:
    """Leave out runs of links with the heading "Related pages" above them; keep those that answer to another heading.

    "Conditions we treat" heads such a list; but not what the menus (``framed``) list too.
    """
    kept: list[HtmlBlock] = []
    start = 0
    while start < len(blocks):
        end = start
        while end < len(blocks) and _is_link_line(blocks[end]):
            end += 1
        run = blocks[start:end]
        above = kept[-1] if kept else None
        headed = above is not None and (above.kind in ("heading", "title") or above.text.endswith(":"))
        more_reading = headed and above is not None and bool(_MORE_READING.search(above.text))
        n_links = sum(block.n_links for block in run)
        listed = sum(block.words for block in run) <= _ENTRY_WORDS * n_links and any(b.text not in framed for b in run)
        if n_links < (_FEW_LINKS if more_reading else _MANY_LINKS) or (headed and listed and not more_reading):
            kept += run
        elif more_reading:
            kept.pop()
        kept += blocks[end : end + 1]
        start = end + 1
    return kept


def _is_link_line(block: HtmlBlock) -> bool:
    """A line, or lines, of nothing but links: an entry of a menu, the title of another article."""
    return block.links >= _LINKY and block.words <= _LINK_WORDS * max(block.n_links, 1)


def _layout(blocks: Sequence[HtmlBlock]) -> str:
    """Plain text: headings and paragraphs between blank lines, list items and the cells of a table line by line."""
    lines: list[str] = []
    before = None
    for block in blocks:
        together = block.kind == before and block.kind in ("item", "cell") and not block.text[0].islower()
        if lines and not (together or (block.kind == before == "item")):
            lines.append("")
        lines.append(f"- {' '.join(block.text.split())}" if block.kind == "item" else block.text)
        before = block.kind
    return "\n".join(lines)
