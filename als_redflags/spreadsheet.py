"""Reports as CSV for spreadsheets: one row a report, and no cell that a spreadsheet would run as a formula."""

import csv
import io
import re
from collections.abc import Sequence

from als_redflags.report import Report

COLUMNS = ("source", "verdict", "score", "reason", "n_words", "voice", "n_flags", "flags", "evidence", "n_discounted")
# What begins a formula in Excel, LibreOffice or Google Sheets, the wide forms of East Asian keyboards included; at the start of a
# cell, and after a semicolon, where a spreadsheet of a country that writes decimal commas would begin the next cell.
_FORMULA = re.compile("(^|;) ?(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])")
_QUOTE_CHARS = 200
_CELL_CHARS = 32_000  # Excel cuts a cell at 32,767


def to_csv(reports: Sequence[Report]) -> str:
    """A table of ``reports`` with a header line.

    ``flags`` holds the ids of the red flags, ``evidence`` the first words that raised each of them with their line. ``score`` is
    in [0, 1], and empty where the text cannot be judged (``reason`` says why).

    >>> from als_redflags import score
    >>> print(to_csv([score("Too short")]).splitlines()[1])
    ,insufficient,,the text has 2 words; at least 5 are needed,2,unclear,0,,,0
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        first = {flag.id: flag for flag in reversed(report.flags)}
        ids = sorted(first)
        quotes = [f"{name} (line {first[name].line}): \u201c{_quote(first[name].text)}\u201d" for name in ids]
        writer.writerow(
            [
                safe_cell(report.source or ""),
                str(report.verdict),
                "" if report.score is None else report.score,
                safe_cell(report.reason or ""),
                report.n_words,
                report.voice,
                len(ids),
                "; ".join(ids),
                safe_cell("; ".join(quotes)),
                len(report.discounted),
            ]
        )
    return stream.getvalue()


def safe_cell(text: str) -> str:
    r"""``text`` on one line, with an apostrophe before what a spreadsheet would take for a formula.

    An apostrophe is what spreadsheets themselves use to mark text. Programs see it as a part of the value; they should read
    JSON Lines.

    >>> safe_cell('=HYPERLINK("https://example.org")'), safe_cell("plain\ttext"), safe_cell("now; =1+1")
    ('\'=HYPERLINK("https://example.org")', 'plain text', "now; '=1+1")
    """
    line = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text).split())
    return _FORMULA.sub(lambda found: f"{found[0]}'", line[:_CELL_CHARS])


def _quote(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTE_CHARS else text[: _QUOTE_CHARS - 1] + "\u2026"
