"""What part of a page an element is: by its tag, its role, and the words in its class and id."""

import re
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any


class Zone(IntEnum):
    """Where a block stands. The order matters: inside a part that is left out nothing counts as more than that part."""

    MAIN = 0
    EDGE = 1  # header, footer, sidebar, form: sentences count, short lines are furniture
    CHROME = 2  # menu, cookie bar, sharing buttons


_NAV_ROLES = frozenset("navigation search menu menubar toolbar tooltip".split())
_EDGE_ROLES = frozenset("banner contentinfo complementary form alert".split())
# Words of class names and ids. Whoever names a part "cookie-bar" means one thing everywhere.
_CHROME_WORDS = frozenset(
    "cookie cookies consent gdpr ccpa onetrust cookiebot cookieyes cookiebar cookiebanner breadcrumb breadcrumbs pagination "
    "pager popup preloader addtoany sharedaddy taboola outbrain disqus advert adverts advertisement newsletter toast comments "
    "commentlist respond captcha".split()
)
_EDGE_WORDS = frozenset("footer sidebar sidenav topbar masthead modal subscribe signup copyright offcanvas hours byline".split())
# These name menus, but also price lists and cards; only what consists of links is taken for a menu.
_LINK_WORDS = frozenset(
    "menu menus submenu nav navbar navigation header headerbar social socials share sharing tags tagcloud language languages "
    "lang archive archives categories widget toolbar drawer toc promo partners sitemap related recommended recommendations "
    "popular trending recirc sponsored advertising".split()
)
_PARTS = frozenset("card entry item pricing product price plan".split())  # a card has a footer, and there stands the price
_UNSEEN_CLASSES = frozenset(
    "sr-only visually-hidden visuallyhidden screen-reader-text screen-reader-only assistive-text elementor-screen-only "
    "material-icons material-icons-outlined material-icons-round material-symbols-outlined material-symbols-rounded "
    "material-symbols-sharp google-symbols glyphicon".split()
)
_SKIP_WORDS = frozenset({"skip", "skiplink"})
_HIDING_CLASSES = frozenset("hidden d-none hide is-hidden".split())
# A part that is closed until somebody clicks is read by visitors: answers, tabs, "read more".
_OPENS_WORDS = frozenset(
    "accordion answer answers faq faqs collapse collapsed collapsible panel tab tabs tabpanel more readmore full toggle expand "
    "expandable expander details slide slider carousel".split()
)
_OPENS_WORDS_AROUND = frozenset("accordion faq faqs collapse collapsible tab tabs slider carousel".split())
_CONTROLS = frozenset("button summary dt h1 h2 h3 h4 h5 h6".split())
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden(?!.*animation)|font-size:0(?:px|em|rem|%)?(?:;|$|!)|text-indent:-\d{3,}|(?:left|top):-\d{4,}"
)
_STYLE_CHARS = 1_000
_RESPONSIVE = re.compile(r"\b(?:sm|md|lg|xl|xxl|2xl)(?::|-block|-flex|-inline|-grid)")
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_MENU_LINKS = 0.4
_DIALOG_CHARS = 400  # a shorter one is a question or a form


def zone_of(element: Any, chars: int, link_chars: int, *, inner: bool) -> Zone:
    """The part of the page that the element says it is; ``chars`` of text are in it, ``link_chars`` of them in links.

    ``inner``: it stands in an article or a section, whose header is no page header.
    """
    tag, role = element.tag, element.get("role")
    names = _names(element)
    if role in ("dialog", "alertdialog") or tag == "dialog":
        return Zone.CHROME if chars < _DIALOG_CHARS else Zone.EDGE
    if tag in ("nav", "amp-sidebar") or role in _NAV_ROLES or (names & _CHROME_WORDS and "informed" not in names):
        return Zone.CHROME
    if tag in ("footer", "aside", "form") or role in _EDGE_ROLES or (names & _EDGE_WORDS and not names & _PARTS):
        return Zone.EDGE
    if names & _LINK_WORDS and link_chars > _MENU_LINKS * chars:
        return Zone.EDGE
    if tag == "header" and not inner and element.find(".//h1") is None:
        return Zone.EDGE
    return Zone.MAIN


@lru_cache(maxsize=4096)
def _split_names(names: str) -> frozenset[str]:
    """The lower-case words of class names and ids: ``siteFooter cookie-bar`` has site, footer, cookie, bar."""
    return frozenset(part.lower() for part in _NAME_PARTS.findall(names)) | frozenset(names.lower().split())


def _names(element: Any) -> frozenset[str]:
    return _split_names(f"{element.get('class') or ''} {element.get('id') or ''}")


def is_hidden(element: Any) -> bool:
    """Tell an element that is out of sight, with nothing to click that would show it."""
    if not element.attrib:
        return False
    classes = (element.get("class") or "").split()
    if not _UNSEEN_CLASSES.isdisjoint(classes) or (element.tag == "i" and element.get("aria-hidden") == "true"):
        return True
    if element.tag == "a" and not _SKIP_WORDS.isdisjoint(_names(element)):
        return True
    style = (element.get("style") or "")[:_STYLE_CHARS].lower().replace(" ", "")
    hidden = (
        element.get("hidden", "until-found") != "until-found"
        or (style and _HIDDEN_STYLE.search(style))
        or (not _HIDING_CLASSES.isdisjoint(classes) and not _RESPONSIVE.search(" ".join(classes)))
    )
    if not hidden:
        return False
    if element.get("role") == "tabpanel":
        return False
    before = element.getprevious()
    if before is not None and (before.tag in _CONTROLS or before.get("aria-expanded") or before.get("aria-controls")):
        return False
    around = islice(element.iterancestors(), 2)
    return _OPENS_WORDS.isdisjoint(_names(element)) and all(_OPENS_WORDS_AROUND.isdisjoint(_names(a)) for a in around)
