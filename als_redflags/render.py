"""Reports for people (terminal) and for programs (JSON)."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from als_redflags.report import Report, Verdict

if TYPE_CHECKING:
    from als_redflags.evaluate import Metrics, RuleQuality
    from als_redflags.rulebook import Rule, RuleBook
    from als_redflags.selftest import Failure

_STYLE = {Verdict.LOW: "bold green", Verdict.CAUTION: "bold yellow", Verdict.HIGH: "bold red", Verdict.INSUFFICIENT: "bold"}
_HEADLINE = {
    Verdict.LOW: "few red flags",
    Verdict.CAUTION: "some red flags",
    Verdict.HIGH: "strong red flags",
    Verdict.INSUFFICIENT: "cannot be judged",
}
_SEVERITY_ORDER = {"high": 0, "medium": 1, "low": 2}
_SURROGATE = re.compile("[\ud800-\udfff]")
_QUOTES_SHOWN = 3
_MASKED = re.compile(r"\billness\b|[#@]")
_QUOTE_CHARS = 240


def to_json(reports: Sequence[Report], *, lines: bool = False, several: bool | None = None) -> str:
    """One report as an object, several as an array; with ``lines`` one object a line.

    ``several`` settles the shape by what was asked for instead of by what came of it: a program that names two files gets an
    array, also when one of them could not be read. The members are described in ``schema/report.schema.json``.
    """
    if lines:
        return "".join(_dumps(report.to_dict()) + "\n" for report in reports)
    array = len(reports) != 1 if several is None else several
    data = [report.to_dict() for report in reports] if array else reports[0].to_dict()
    return _dumps(data, indent=2) + "\n"


def _dumps(data: object, indent: int | None = None) -> str:
    """JSON as people read it; half a surrogate pair (a file name that is no UTF-8) is escaped, because no encoding has it."""
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", json.dumps(data, indent=indent, ensure_ascii=False))


def print_report(console: Console, report: Report, book: "RuleBook", *, show_discounted: bool = False) -> None:
    """Print one report: verdict first, then evidence, then what to do."""
    name = f"{printable(report.source)}: " if report.source else ""
    headline = Text(f"{name}{report.verdict.upper()}", style=_STYLE[report.verdict])
    if report.score is None:
        console.print(headline + Text(f"  {_HEADLINE[report.verdict]}: {report.reason}", style="default"))
        return
    console.print(headline + Text(f"  {_HEADLINE[report.verdict]}, score {report.score:.2f} of 1", style="default"))
    parts: list[RenderableType] = []
    by_id: dict[str, list[tuple[int, str]]] = {}
    for flag in report.flags:
        by_id.setdefault(flag.id, []).append((flag.line, flag.text))
    for rule_id in sorted(by_id, key=lambda i: (_SEVERITY_ORDER[book.rules[i].severity or "low"], i)):
        parts += _flag(book.rules[rule_id], by_id[rule_id])
    if not by_id:
        # terms with a mask in them ("illness @") mean nothing to a reader
        plain = [term for term, weight in report.wording if weight > 0 and not _MASKED.search(term)]
        words = ", ".join(f"\u201c{term}\u201d" for term in plain)
        if report.verdict is not Verdict.LOW and words:
            parts.append(Text(f"\nNo single claim stands out; the wording is that of sellers: {words}"))
        elif report.verdict is Verdict.LOW:
            parts.append(Text("\nNo red flag is stated."))
    if report.discounted:
        parts += _discounted(report, show_discounted)
    if report.legitimacy:
        found = "; ".join(dict.fromkeys(f"{s.title} (line {s.line})" for s in report.legitimacy))
        parts.append(Text(f"\nSigns of legitimacy, which sellers borrow too: {found}"))
    if report.next_steps:
        parts.append(Text("\nWhat to do next", style="bold"))
        parts += [Padding(Text(f"- {step}"), (0, 0, 0, 2), expand=False) for step in report.next_steps]
    parts.append(Text("\n" + " ".join(report.warnings), style="dim"))
    # evidence is plain text: square brackets in a page are no markup, and addresses must not be broken by colour
    console.print(Group(*parts), markup=False, highlight=False)


def _flag(rule: "Rule", occurrences: list[tuple[int, str]]) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(f"\n{rule.title}", style="bold") + Text(f"  [{rule.severity}, {rule.id}]", style="dim")]
    for line, quote in occurrences[:_QUOTES_SHOWN]:
        parts.append(Padding(Text(f"line {line}: \u201c{_shorten(quote)}\u201d", style="red"), (0, 0, 0, 2), expand=False))
    if len(occurrences) > _QUOTES_SHOWN:
        parts.append(Padding(Text(f"and {len(occurrences) - _QUOTES_SHOWN} more"), (0, 0, 0, 2), expand=False))
    named = "; ".join(dict.fromkeys(source.organisation for source in rule.sources[:4]))
    more = len({source.organisation for source in rule.sources}) - len({s.organisation for s in rule.sources[:4]})
    parts.append(Padding(Text(f"Why it matters: {rule.why}"), (0, 0, 0, 2), expand=False))
    if named:
        parts.append(
            Padding(Text(f"Named by: {named}{f' and {more} more' if more > 0 else ''}", style="dim"), (0, 0, 0, 2), expand=False)
        )
    return parts


def _discounted(report: Report, show: bool) -> list[RenderableType]:
    count = len(report.discounted)
    if not show:
        return [
            Text(
                f"\n{count} passage{'s' if count > 1 else ''} mentioned a red flag without claiming it "
                "(--show-discounted lists them).",
                style="dim",
            )
        ]
    parts: list[RenderableType] = [Text("\nMentioned, not claimed", style="bold")]
    for item in report.discounted:
        parts.append(
            Padding(
                Text(
                    f"line {item.line}: \u201c{_shorten(item.text)}\u201d  [{item.id}]\n"
                    f"  not counted: {item.stance.replace('_', ' ')} (\u201c{_shorten(item.cue)}\u201d)"
                ),
                (0, 0, 0, 2),
            )
        )
    return parts


def printable(text: str) -> str:
    """The text without characters that a terminal obeys."""
    return "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)


def _shorten(text: str) -> str:
    text = " ".join(printable(text).split())
    return text if len(text) <= _QUOTE_CHARS else text[: _QUOTE_CHARS - 1] + "\u2026"


def print_table(console: Console, reports: Sequence[Report]) -> None:
    """Several reports, one a row, the highest score first."""
    table = Table(box=None, pad_edge=False)
    for title in ("verdict", "score", "flags", "source"):
        # a long path goes on in the next line, so that it can be copied
        table.add_column(title, justify="right" if title in ("score", "flags") else "left", overflow="fold")
    for report in sorted(reports, key=lambda r: -(-1.0 if r.score is None else r.score)):
        score = "" if report.score is None else f"{report.score:.2f}"
        ids = {flag.id for flag in report.flags}
        table.add_row(
            Text(str(report.verdict), style=_STYLE[report.verdict]), score, str(len(ids)), Text(printable(report.source or ""))
        )
    console.print(table)


def print_rules(console: Console, rules: Sequence["Rule"], failed: Sequence["Failure"] | None = None) -> None:
    """Rules by role and family, with the number of their examples; after a self-test, how many of them pass."""
    missed = Counter((failure.rule, failure.expected) for failure in failed or ())
    table = Table(box=None, pad_edge=False)
    for title in ("role", "family", "severity", "rule", "fires", "silent", "title"):
        table.add_column(title, no_wrap=title != "title", justify="right" if title in ("fires", "silent") else "left")
    for rule in sorted(rules, key=lambda r: (r.role != "red_flag", r.role, r.family, r.id)):
        counts = []
        for expected, examples in (("asserted", rule.fires), ("silent", rule.silent)):
            total = len(examples)
            counts.append(str(total) if failed is None else f"{total - missed[rule.id, expected]}/{total}")
        table.add_row(rule.role, rule.family, rule.severity or "", rule.id, *counts, rule.title)
    console.print(table, highlight=False)


def print_rule(console: Console, rule: "Rule") -> None:
    """One rule explained."""
    console.print(Text(rule.title, style="bold") + Text(f"  [{rule.severity or rule.role}, {rule.family}, {rule.id}]"))
    body = [f"\n{rule.why}", "\nNamed by:" if rule.sources else "\nNo source is named."]
    body += [f"  {s.organisation}: {s.title} ({s.year})\n    {s.url}" for s in rule.sources]
    for title, lines in _conditions(rule):
        body += [f"\n{title}:", *(f"  {line}" for line in lines)]
    body += ["\nFires on:", *(f"  {text}" for text in rule.fires), "\nStays silent on:", *(f"  {text}" for text in rule.silent)]
    console.print(Text("\n".join(body)), highlight=False)


def _conditions(rule: "Rule") -> list[tuple[str, list[str]]]:
    """What a rule looks for, in readable form: titles with lines."""
    found: list[tuple[str, list[str]]] = []
    if rule.patterns:
        found.append(("Patterns", [str(pattern) for pattern in rule.patterns]))
    if rule.on_offer:
        found.append(("Patterns that count where an unproven treatment is on offer", [str(p) for p in rule.on_offer]))
    if rule.spread:
        of = f"{rule.spread.terms} entries of {{{rule.spread.lexicon}}} from {rule.spread.groups} of its lists"
        found.append(("Named close together", [of]))
    if rule.page:
        found.append(
            (
                f"On a page of {rule.page.min_words} words or more that sells something",
                [
                    *(f"names an entry of {{{name}}}" for name in rule.page.names),
                    *(f"says: {pattern}" for pattern in rule.page.present),
                    *(f"does not say: {pattern}" for pattern in rule.page.absent),
                ],
            )
        )
    if rule.unless:
        found.append(("Not where the sentence holds", [str(pattern) for pattern in rule.unless]))
    if rule.needs_offer:
        found.append(("Counts only", ["where something is on offer in the text"]))
    return found


def rules_markdown(rules: Sequence["Rule"]) -> str:
    """The rules as a page of documentation, red flags first."""
    lines = [
        "# Rules",
        "",
        "Made from the rule files by `als-redflags rules --format markdown`; do not edit. `als-redflags rules ID` shows a rule",
        "with its patterns; their notation is explained in `als_redflags/patterns.py`.",
    ]
    family = None
    for rule in sorted(rules, key=lambda r: (r.role != "red_flag", r.role, r.family, r.id)):
        if rule.family != family:
            family = rule.family
            lines += ["", f"## {family.replace('_', ' ').capitalize()}"]
        lines += ["", f"### {rule.id}", "", f"**{rule.title}** ({rule.severity or rule.role}). {rule.why}", ""]
        if rule.sources:
            lines += ["Named by " + "; ".join(dict.fromkeys(source.organisation for source in rule.sources)) + ".", ""]
        lines += [
            f"Patterns: {len(rule.patterns) + len(rule.on_offer)}, in `als_redflags/rules/{rule.family}/{rule.id}.yaml`.",
            "",
        ]
        for title, examples in (("Fires on", rule.fires), ("Stays silent on", rule.silent)):
            lines += [f"{title}:", "", *("- " + " ".join(text.split()[-60:]) for text in examples), ""]
        lines.pop()
    return "\n".join(lines) + "\n"


def print_metrics(console: Console, metrics: "Metrics") -> None:
    """Ranking, calibration, and rates by label and stratum."""

    def number(value: float | None) -> str:
        return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"

    console.print(f"{metrics.n_redflag} redflag, {metrics.n_mild} mild, {metrics.n_clean} clean", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("redflag against clean")
    table.add_column("", justify="right")
    for title, value in (
        ("AUROC", metrics.auroc),
        *((f"AUROC, origin {origin}", value) for origin, value in metrics.auroc_by_origin.items()),
        ("average precision", metrics.average_precision),
        ("recall at 2 % false positives", metrics.recall_at_fpr_2),
        ("recall at 5 % false positives", metrics.recall_at_fpr_5),
        ("Brier score", metrics.brier),
        ("calibration error", metrics.calibration_error),
    ):
        table.add_row(title, number(value))
    console.print(table, highlight=False)
    rates = Table(box=None, pad_edge=False)
    for title in ("label: stratum", "n", "mean score", "at caution", "at high"):
        rates.add_column(title, justify="left" if title == "label: stratum" else "right")
    for key, r in [*metrics.by_label.items(), *metrics.by_stratum.items()]:
        rates.add_row(key, str(r.n), f"{r.mean_score:.2f}", f"{r.at_caution:.1%}", f"{r.at_high:.1%}")
    console.print(rates, highlight=False)


def print_flag_quality(
    console: Console, quality: dict[str, "RuleQuality"], discounted: tuple[int, int], book: "RuleBook"
) -> None:
    """Precision and recall of each flag on documents with marked spans."""
    table = Table(box=None, pad_edge=False)
    for title in ("flag", "right", "wrong", "missed", "precision", "recall"):
        table.add_column(title, justify="left" if title == "flag" else "right")

    def add(title: str, names: Sequence[str]) -> None:
        entries = [quality[name].against_spans for name in names]
        right, wrong, missed = (
            sum(getattr(q, count) for q in entries) for count in ("true_positive", "false_positive", "false_negative")
        )
        precision, recall = right / max(right + wrong, 1), right / max(right + missed, 1)
        table.add_row(title, str(right), str(wrong), str(missed), f"{precision:.2f}", f"{recall:.2f}")

    for name in quality:
        add(name, [name])
    spans = [name for name in quality if name not in book.rules or book.rules[name].patterns or book.rules[name].spread]
    add("all flags with a span (micro)", spans)
    add("of high severity (micro)", [n for n in spans if n in book.rules and book.rules[n].severity == "high"])
    console.print(table, highlight=False)
    console.print(
        f"{discounted[0]} of {discounted[1]} passages marked as discounted that a rule touches are not asserted", highlight=False
    )


def print_rule_quality(console: Console, quality: dict[str, "RuleQuality"]) -> None:
    """Where each rule was found, what it overlaps with, and its worst false alarms."""
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", no_wrap=True)
    for title in ("redflag", "mild", "clean", "precision", "recall"):
        table.add_column(title, justify="right")
    table.add_column("found most often together with", no_wrap=True)
    for name, q in quality.items():
        overlap = f"{q.overlap[0]} ({q.overlap[1]:.0%})" if q.overlap else ""
        marked = q.against_spans
        table.add_row(
            name, str(q.n_redflag), str(q.n_mild), str(q.n_clean), f"{marked.precision:.2f}", f"{marked.recall:.2f}", overlap
        )
    console.print(table, highlight=False)
    for name, q in quality.items():
        for place, text in q.false_alarms:
            console.print(f"{name}, false alarm in {place}: {_shorten(text)}", markup=False, highlight=False)
