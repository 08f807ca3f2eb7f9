"""The JSON Schema of a report, for programs that read what ``als-redflags score`` writes."""

import json
from importlib.resources import files
from typing import Any


def report_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) of :meth:`als_redflags.Report.to_dict` and of a line of ``--format jsonl``.

    ``#/$defs/output`` describes what ``--format json`` prints: a report for one input, an array of reports for several.

    >>> report_schema()["properties"]["verdict"]["enum"]
    ['low', 'caution', 'high', 'insufficient']
    """
    schema: dict[str, Any] = json.loads((files("als_redflags.schema") / "report.schema.json").read_text("utf-8"))
    return schema
