"""Reports as one page of HTML: no script, no network, everything that came from a text escaped.

Several reports give one file as well, an index table with the reports below it. A file can be sent and printed as it is, and
no name of an input ever becomes a path.
"""

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from als_redflags import __version__
from als_redflags.highlight import Passage, Piece, paragraphs
from als_redflags.report import Discounted, Flag, Report, Verdict
from als_redflags.rulebook import Rule, Source
from als_redflags.scorer import Scorer

_HEADLINE = {
    Verdict.LOW: "few red flags",
    Verdict.CAUTION: "some red flags",
    Verdict.HIGH: "strong red flags",
    Verdict.INSUFFICIENT: "cannot be judged",
}
_VOICE = {"seller": "a seller", "reporter": "somebody who reports, studies or warns", "unclear": "unclear"}
STANCE_REASON = {
    "negated": "the text denies it",
    "attributed": "the text tells what others say",
    "warned": "the text warns of it",
    "asked": "it is a question",
    "hypothetical": "it is being tested or only thought of",
    "historical": "it is told as something of the past",
    "quoted": "it stands in quotation marks",
    "accepted_care": "it concerns care or a trial that is accepted",
    "other_seller": "it concerns another kind of seller",
}
# Parts of the sum that belong to no single flag: what they are called and what they mean.
PARTS = {
    "intercept": ("Starting point", "what holds before a word is read"),
    "text model": ("Wording as a whole", "how much the words resemble those of sellers"),
    "treatment named": ("An unproven treatment is named", "without one the text may sell anything"),
    "offer": ("Something is on offer", "prices, booking, contact, our patients"),
    "honest": ("Frames of honest text", "research, news, charity, warning; only where nobody sells"),
    "legitimacy": ("Signs of a genuine trial", "only several together, and without a fee"),
}
_QUOTE_CHARS = 240
_PLACES_LISTED = 8
_DISCOUNTED_LISTED = 100
_MARKED = 5_000  # passages: a browser needs half a minute for ten times as many
# What would turn the page round or cannot stand in one: bidirectional overrides, control characters, lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_MASKS = {"illness": "(a disease)", "#": "(number)", "@": "(place)"}


@dataclass(frozen=True)
class Place:
    """Where a flag was found, for the list beside the text."""

    anchor: str
    line: int
    quote: str


@dataclass(frozen=True)
class Entry:
    """A red flag in the list: its rule, its number on the page and the places where it was found."""

    number: int
    anchor: str
    rule: Rule
    contribution: float
    places: tuple[Place, ...]
    n_places: int

    @property
    def named_by(self) -> list[str]:
        """Organisations that name this flag, each once."""
        return list(dict.fromkeys(source.organisation for source in self.rule.sources))


@dataclass(frozen=True)
class NotCounted:
    """A passage that mentions red flags without claiming them."""

    anchor: str
    place: Place
    titles: tuple[str, ...]
    stance: str
    cue: str


@dataclass(frozen=True)
class Bar:
    """One step of the sum, in logits: it leads from ``before`` to ``after``."""

    title: str
    note: str
    target: str | None
    value: float
    before: float
    after: float


def visible(text: str) -> str:
    r"""The text with characters that would disturb the page written out.

    >>> visible("pay \u202e000,5$")
    'pay [U+202E]000,5$'
    """
    return _UNPRINTABLE.sub(lambda match: f"[U+{ord(match.group()):04X}]", text)


class View:
    """What the template needs of one report: the flags numbered, the text in pieces, the sum in steps.

    ``prefix`` keeps anchors of several reports on a page apart.
    """

    def __init__(self, text: str, report: Report, scorer: Scorer, prefix: str) -> None:
        self.report = report
        self.prefix = prefix
        self.book = scorer.book
        self.thresholds = scorer.trained.thresholds
        self.source = visible(report.source or "pasted text")
        self.headline = _HEADLINE[report.verdict]
        self.voice = _VOICE.get(report.voice, report.voice)
        self._passages: list[Passage] = []
        self.stated, self.unstated = self._entries(report.flags)
        self.n_discounted = 0
        self.not_counted = self._not_counted(report.discounted)
        marked = sorted(self._passages, key=lambda p: (not p.listed, p.start))[:_MARKED]
        self.n_unmarked = len(self._passages) - len(marked)
        self.text: list[list[Piece]] = paragraphs(text, marked)
        self.bars = self._bars()
        self.without_effect = [
            PARTS[name][0] for name, value in (report.contributions or {}).items() if name in PARTS and not value
        ]

    @property
    def families(self) -> list[str]:
        return sorted({entry.rule.family for entry in self.stated})

    @property
    def wording(self) -> list[tuple[str, float]]:
        return [(" ".join(_MASKS.get(word, word) for word in term.split()), weight) for term, weight in self.report.wording]

    @property
    def signs(self) -> list[tuple[str, list[int]]]:
        """Signs of legitimacy with the lines they stand in."""
        lines: dict[str, dict[int, None]] = {}
        for signal in self.report.legitimacy:
            lines.setdefault(signal.title, {})[signal.line] = None
        return [(title, list(found)) for title, found in lines.items()]

    @property
    def score_text(self) -> str:
        return score_text(self.report.score)

    @property
    def logit(self) -> float:
        return math.fsum((self.report.contributions or {}).values())

    def _entries(self, flags: Sequence[Flag]) -> tuple[list[Entry], list[Entry]]:
        """Flags that the text states, and those that it raises by what it leaves out; the gravest first."""
        by_rule: dict[str, list[Flag]] = {}
        for flag in flags:
            by_rule.setdefault(flag.id, []).append(flag)
        rules = self.book.rules
        order = sorted(by_rule, key=lambda i: (rules[i].by_absence, -rules[i].points, by_rule[i][0].start, i))
        entries = []
        for number, rule_id in enumerate(order, start=1):
            rule, found = rules[rule_id], by_rule[rule_id]
            anchor = f"{self.prefix}flag-{number}"
            places = [
                Place(f"{self.prefix}place-{number}-{index}", flag.line, quote(flag.text))
                for index, flag in enumerate([] if rule.by_absence else found, start=1)
            ]
            self._passages += [
                Passage(
                    flag.start, flag.end, True, style(rule.family), str(number),
                    f"flag {number}: {rule.title} ({rule.severity})", place.anchor, anchor, number, index < _PLACES_LISTED,
                )
                for index, (flag, place) in enumerate(zip(found, places, strict=False))
            ]  # fmt: skip
            contribution = (self.report.contributions or {}).get(rule_id, 0.0)
            entries.append(Entry(number, anchor, rule, contribution, tuple(places[:_PLACES_LISTED]), len(places)))
        return [e for e in entries if not e.rule.by_absence], [e for e in entries if e.rule.by_absence]

    def _not_counted(self, items: Iterable[Discounted]) -> list[NotCounted]:
        grouped: dict[tuple[int, int, str, str], list[Discounted]] = {}
        for item in items:
            if not self.book.rules[item.id].by_absence:
                grouped.setdefault((item.start, item.end, item.stance, item.cue), []).append(item)
        entries = []
        self.n_discounted = len(grouped)
        for number, ((start, end, stance, cue), found) in enumerate(grouped.items(), start=1):
            listed = number <= _DISCOUNTED_LISTED
            anchor = f"{self.prefix}not-counted-{number}" if listed else f"{self.prefix}not-counted"
            place = Place(f"{self.prefix}mention-{number}", found[0].line, quote(found[0].text))
            reason = stance.replace("_", " ")
            self._passages.append(
                Passage(
                    start, end, False, "not-counted", f"not counted: {reason}",
                    "; ".join(item.title for item in found), place.anchor, anchor, 10_000 + number, listed,
                )
            )  # fmt: skip
            if listed:
                titles = tuple(dict.fromkeys(item.title for item in found))
                entries.append(NotCounted(anchor, place, titles, stance, quote(cue)))
        return entries

    def _bars(self) -> list[Bar]:
        contributions = self.report.contributions or {}
        anchors = {entry.rule.id: entry.anchor for entry in self.stated}
        steps: list[tuple[str, str, str | None, float]] = [
            (*PARTS[name], None, contributions[name]) for name in PARTS if contributions.get(name)
        ]
        flagged = sorted((name for name in contributions if name in anchors), key=lambda name: -contributions[name])
        steps += [(self.book.rules[n].title, "", anchors[n], contributions[n]) for n in flagged if contributions[n]]
        bars, total = [], 0.0
        for title, note, target, value in steps:
            bars.append(Bar(title, note, target, value, total, total + value))
            total += value
        return bars

    @property
    def scale(self) -> tuple[float, float]:
        """Smallest and largest sum on the way, zero included."""
        ends = [0.0, *(bar.after for bar in self.bars)]
        return min(ends), max(max(ends), min(ends) + 1.0)


def style(family: str) -> str:
    """The class of a family in the style sheet.

    >>> style("outcome_promises")
    'f-outcome-promises'
    """
    return "f-" + _slug(family)


def source_anchor(organisation: str) -> str:
    """The place of an organisation in the list of sources.

    >>> source_anchor("US Food and Drug Administration")
    'source-us-food-and-drug-administration'
    """
    return "source-" + _slug(organisation)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def quote(text: str) -> str:
    """A passage on one line, at most 240 characters of it."""
    text = visible(" ".join(text.split()))
    return text if len(text) <= _QUOTE_CHARS else text[: _QUOTE_CHARS - 1] + "\u2026"


def score_text(score: float | None) -> str:
    """A score for people: two digits, and never a certainty.

    >>> [score_text(score) for score in (0.5, 0.99999, 0.001, None)]
    ['0.50', 'above 0.99', 'below 0.01', '']
    """
    if score is None:
        return ""
    return "above 0.99" if score > 0.995 else "below 0.01" if score < 0.005 else f"{score:.2f}"


def signed(value: float) -> str:
    r"""A contribution with its sign and a true minus.

    >>> signed(2), signed(-0.001), signed(-0.5) == "\u22120.50"
    ('+2.00', '0.00', True)
    """
    shown = f"{value:+.2f}"
    return "0.00" if float(shown) == 0 else shown.replace("-", "\u2212")


@cache
def stylesheet() -> Markup:
    """The style sheet. It is part of the package and the only text that is put on a page as it is."""
    return Markup((files("als_redflags") / "templates" / "report.css").read_text("utf-8"))  # noqa: S704, ours


@cache
def style_policy() -> str:
    """The style sheet's hash, in the form in which a Content-Security-Policy allows it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()}'"


@cache
def environment() -> Environment:
    """The templates, with autoescape."""
    env = Environment(
        loader=PackageLoader("als_redflags"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(visible=visible, style=style, anchor=source_anchor, signed=signed, score_text=score_text)
    env.globals.update(
        css=stylesheet(), style_policy=style_policy(), version=__version__, stance_reason=STANCE_REASON, quote=quote
    )
    return env


def to_html(scorer: Scorer, results: Sequence[tuple[str, Report]], *, back: str | None = None) -> str:
    """A page with one report, or an index table with the reports below it.

    Parameters
    ----------
    scorer : the scorer that made the reports; it knows the rules and thresholds
    results : texts with their reports
    back : address of a page to go back to, where there is one
    """
    views = [
        View(text, report, scorer, f"r{number}-" if len(results) > 1 else "")
        for number, (text, report) in enumerate(results, start=1)
    ]
    ranked = sorted(views, key=lambda v: -(-1.0 if v.report.score is None else v.report.score))
    values: dict[str, Any] = {"views": views, "ranked": ranked, "sources": _sources(views), "back": back}
    return environment().get_template("reports.html.j2").render(values)


def _sources(views: Sequence[View]) -> list[tuple[str, list[Source]]]:
    """Everybody who names one of the flags, with what they published."""
    entries = [entry for view in views for entry in (*view.stated, *view.unstated)]
    found: dict[str, dict[str, Source]] = {}
    for source in (source for entry in entries for source in entry.rule.sources):
        found.setdefault(source.organisation, {})[source.key] = source
    return [(organisation, list(found[organisation].values())) for organisation in sorted(found)]
