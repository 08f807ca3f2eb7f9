"""Reports as SARIF 2.1.0, the format that code hosts, editors and CI dashboards read.

One run for all texts. Every red-flag rule is a rule of the tool; its level follows from its severity. Results:

- a flag: kind ``fail``, with the region of its words;
- a discounted passage: kind ``informational``, level ``none``. It is no suppressed failure (a suppression says that there *is* a
  problem, which somebody accepted) and the rule did apply: it looked at the words and found that nobody claims them;
- the verdict, exactly one for each text: ``fail`` from caution on, ``pass`` for low, ``notApplicable`` for a text that cannot be
  judged. Without it a page that sells by its wording alone would leave no trace.

Offsets and columns are code points (``columnKind`` says so), as everywhere in als_redflags.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from als_redflags import __version__
from als_redflags.report import Discounted, Flag, Report, Verdict
from als_redflags.rulebook import Rule, RuleBook

SCHEMA = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"
VERDICT_RULE = "verdict"
_LEVEL = {"high": "error", "medium": "warning", "low": "note"}
_KIND = {
    Verdict.HIGH: ("fail", "error"),
    Verdict.CAUTION: ("fail", "warning"),
    Verdict.LOW: ("pass", "none"),
    Verdict.INSUFFICIENT: ("notApplicable", "none"),
}
_GRAVITY = (Verdict.INSUFFICIENT, Verdict.LOW, Verdict.CAUTION, Verdict.HIGH)
_BASE = "%SRCROOT%"
# What a reader gets as it lies in the file. Of other formats the text is taken out, and its lines are not those of the file.
_PLAIN = frozenset({"", ".txt", ".text", ".md", ".markdown", ".rst"})
_QUOTE_CHARS = 200
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def to_sarif(reports: Sequence[Report], texts: Sequence[str], book: RuleBook) -> str:
    """A SARIF log of ``reports``; ``texts[i]`` is the text that ``reports[i]`` is about.

    ``source`` of a report is taken as a path (made relative to the working folder if it lies in it) or as a URL. Where the source
    is a file from which the text had to be taken out (HTML, PDF), results name the file and quote the words, and give offsets
    into the text as properties, but no region: there are no such lines in the file.

    >>> from als_redflags import Scorer
    >>> scorer = Scorer.load()
    >>> text = "Our stem cells cure ALS, guaranteed. Book now, only $19,500."
    >>> log = json.loads(to_sarif([scorer.score(text, source="ads/new ad.txt")], [text], scorer.book))
    >>> result = log["runs"][0]["results"][0]
    >>> result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], result["level"]
    ('ads/new%20ad.txt', 'error')
    """
    rules = sorted((rule for rule in book.rules.values() if rule.role == "red_flag"), key=lambda rule: rule.id)
    index = {VERDICT_RULE: 0} | {rule.id: number for number, rule in enumerate(rules, start=1)}
    uris = [_uri(report.source) for report in reports]
    results = []
    for artifact, (report, text) in enumerate(zip(reports, texts, strict=True)):
        uri = uris[artifact]
        place = {"artifactLocation": {**_location(uri), "index": artifact}}
        found = [_verdict(report, place, _fingerprint(uri, VERDICT_RULE, "", 1))]
        seen: Counter[tuple[str, str]] = Counter()
        hits: list[Flag | Discounted] = [*report.flags, *report.discounted]
        for hit in sorted(hits, key=lambda hit: (hit.start, hit.end, hit.id)):
            key = (hit.id, " ".join(hit.text.split()))
            seen[key] += 1
            region = _region(hit, text) if _is_plain(report.source) else None
            found.append(_hit(hit, book.rules[hit.id], place, region, _fingerprint(uri, *key, seen[key])))
        results += [{"ruleIndex": index[result["ruleId"]], **result} for result in found]
    worst = max((report.verdict for report in reports), key=_GRAVITY.index, default=Verdict.INSUFFICIENT)
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "als-redflags",
                "version": __version__,
                "semanticVersion": __version__,
                "shortDescription": {"text": "Red flags in marketing of unproven stem-cell treatment."},
                "rules": [_verdict_rule(), *map(_rule, rules)],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_BASE: {"description": {"text": "The folder in which als-redflags was run."}}},
        "artifacts": [
            {"location": _location(uri), "roles": ["analysisTarget"], "properties": _summary(report)}
            for uri, report in zip(uris, reports, strict=True)
        ],
        "results": results,
        "properties": {
            "verdict": str(worst),
            "score": max((report.score for report in reports if report.score is not None), default=None),
            "documents": [{"uri": uri, **_summary(report)} for uri, report in zip(uris, reports, strict=True)],
            "models": sorted({f"{report.model_version} sha256:{report.model_sha256}" for report in reports}),
            "warnings": list(dict.fromkeys(warning for report in reports for warning in report.warnings)),
        },
    }
    # ASCII, so that no console or half a surrogate pair in a text can spoil it
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    named = [f"- {source.organisation}: {source.title} ({source.year}), {source.url}" for source in rule.sources]
    entry: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": "\n".join([rule.why, *(["", "Named by:", *named] if named else [])])},
        "defaultConfiguration": {"level": _LEVEL[rule.severity or "low"]},
        "properties": {"tags": [rule.family], "severity": rule.severity},
    }
    if rule.sources:
        entry["helpUri"] = rule.sources[0].url
    return entry


def _verdict_rule() -> dict[str, Any]:
    why = (
        "The score of the whole text: claims, offer, who speaks, and wording together. Caution and high are the thresholds that "
        "about 10 % and 2 % of honest texts reach. It is no finding of fraud, and a low score is no proof of safety."
    )
    return {
        "id": VERDICT_RULE,
        "shortDescription": {"text": "Verdict on the whole text"},
        "fullDescription": {"text": why},
        "help": {"text": why},
        "defaultConfiguration": {"level": "warning"},
    }


def _verdict(report: Report, place: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    kind, level = _KIND[report.verdict]
    said = f"score {report.score:.2f} of 1" if report.score is not None else str(report.reason)
    return {
        "ruleId": VERDICT_RULE,
        "kind": kind,
        "level": level,
        "message": {"text": _plain(f"Verdict {report.verdict}: {said}.")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"document/v1": fingerprint},
        "properties": _summary(report),
    }


def _hit(
    hit: Flag | Discounted, rule: Rule, place: dict[str, Any], region: dict[str, Any] | None, fingerprint: str
) -> dict[str, Any]:
    # what a page leaves out stands nowhere; its evidence is the first offer on the page
    message = f"{hit.title}{'. It offers' if rule.by_absence else ''}: \u201c{_quote(hit.text)}\u201d"
    more: dict[str, Any]
    if isinstance(hit, Flag):
        kind, level, more = "fail", _LEVEL[hit.severity], {"contribution": hit.contribution}
    else:
        reason = hit.stance.replace("_", " ")
        message += f" Not counted: {reason}" + (f" (\u201c{_quote(hit.cue)}\u201d)." if hit.cue else ".")
        kind, level, more = "informational", "none", {"stance": hit.stance, "cue": hit.cue}
    if region is None:
        more |= {"textStart": hit.start, "textEnd": hit.end, "textLine": hit.line}
    return {
        "ruleId": hit.id,
        "kind": kind,
        "level": level,
        "message": {"text": _plain(message)},
        "locations": [{"physicalLocation": {**place, "region": region} if region else place}],
        "partialFingerprints": {"quote/v1": fingerprint},
        "properties": more,
    }


def _region(hit: Flag | Discounted, text: str) -> dict[str, Any]:
    """Where the words stand: offset from 0; lines and columns from 1, the end column one past the last character."""
    return {
        "startLine": hit.line,
        "startColumn": hit.start - text.rfind("\n", 0, hit.start),
        "endLine": hit.line + text.count("\n", hit.start, hit.end),
        "endColumn": hit.end - text.rfind("\n", 0, hit.end),
        "charOffset": hit.start,
        "charLength": hit.end - hit.start,
        "snippet": {"text": hit.text},
    }


def _summary(report: Report) -> dict[str, Any]:
    flags = len({flag.id for flag in report.flags})
    return {"verdict": str(report.verdict), "score": report.score, "reason": report.reason, "voice": report.voice, "flags": flags}


def _uri(source: str | None) -> str:
    """A URI reference of a source: relative to the working folder if it lies there, percent-encoded.

    >>> _uri("./new & old/50% off.txt"), _uri("a:b.txt"), _uri(None)
    ('new%20%26%20old/50%25%20off.txt', 'a%3Ab.txt', 'text')
    """
    if source is None:
        return "text"
    if _ABSOLUTE.match(source):
        return quote(source, safe=":/?#[]@!$&'()*+,;=%~")
    path = Path(os.path.abspath(source))  # noqa: PTH100, links are not followed
    try:
        return quote(os.fsencode(path.relative_to(Path.cwd()).as_posix()))
    except ValueError:  # outside: a relative reference would climb out of the base
        return path.as_uri()


def _location(uri: str) -> dict[str, Any]:
    return {"uri": uri} if _ABSOLUTE.match(uri) else {"uri": uri, "uriBaseId": _BASE}


def _is_plain(source: str | None) -> bool:
    return source is None or (not _ABSOLUTE.match(source) and PurePath(source).suffix.lower() in _PLAIN)


def _quote(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text).split())
    return text if len(text) <= _QUOTE_CHARS else text[: _QUOTE_CHARS - 1] + "\u2026"


def _plain(message: str) -> str:
    """Square brackets make links in SARIF messages and braces make placeholders: a page must not be able to plant either."""
    return re.sub(r"([\\\[\]])", r"\\\1", message).replace("{", "{{").replace("}", "}}")


def _fingerprint(uri: str, rule_id: str, words: str, occurrence: int) -> str:
    """Stays the same when the passage moves in its file, so that a dashboard knows it again."""
    return hashlib.sha256(f"{uri}\0{rule_id}\0{words}\0{occurrence}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
