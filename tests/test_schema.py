"""The JSON Schema of the report describes what is written, and refuses what is not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from als_redflags import Report, Scorer, Verdict, corpus
from als_redflags.errors import InputError
from als_redflags.rulebook import SEVERITY_POINTS, STANCES
from als_redflags.schema import report_schema
from als_redflags.stance import Voice
from tests.conftest import ROOT, Run

SCHEMA = report_schema()
REGISTRY: Registry[Any] = Registry().with_resource(SCHEMA["$id"], Resource.from_contents(SCHEMA))
OUTPUT = Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/output"}, registry=REGISTRY)
TEXTS = [document.text for document in corpus.read(ROOT / "data")][::30]
NOT_JUDGED = [
    "",
    " \n ",
    "Cure ALS now!",
    "12345 67890 $$$ 12 13 14 15 16",
    "Wir heilen ALS ohne jedes Risiko und ohne Nebenwirkungen, sofort und f\u00fcr immer.",
]
CLINIC = (ROOT / "examples" / "clinic.txt").read_text("utf-8")


def strict() -> Draft202012Validator:
    """The schema without room for members that it does not describe."""
    schema = copy.deepcopy(SCHEMA)
    lists = [schema["properties"][name]["items"] for name in ("flags", "discounted", "legitimacy", "wording")]
    for node in (schema, schema["properties"]["model"], *lists):
        node["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


STRICT = strict()


def as_read(report: Report) -> Any:
    return json.loads(json.dumps(report.to_dict()))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_its_words_are_those_of_the_program() -> None:
    members = SCHEMA["properties"]
    assert members["verdict"]["enum"] == [str(verdict) for verdict in Verdict]
    assert members["voice"]["enum"] == list(get_args(Voice))
    assert members["discounted"]["items"]["properties"]["stance"]["enum"] == list(STANCES)
    assert SCHEMA["$defs"]["hit"]["properties"]["severity"]["enum"] == list(SEVERITY_POINTS)
    assert sorted(SCHEMA["required"]) == sorted(members)


@pytest.mark.parametrize("text", NOT_JUDGED)
def test_what_cannot_be_judged_is_valid(scorer: Scorer, text: str) -> None:
    report = scorer.score(text, source="a.txt")
    assert report.score is None
    assert [error.message for error in STRICT.iter_errors(as_read(report))] == []
    assert Report.from_dict(as_read(report)) == report


def test_reports_of_many_texts_are_valid_and_can_be_read_back(scorer: Scorer) -> None:
    verdicts = set()
    for text in TEXTS:
        report = scorer.score(text)
        verdicts.add(report.verdict)
        assert [(error.json_path, error.message) for error in STRICT.iter_errors(as_read(report))] == []
        assert Report.from_dict(as_read(report)) == report
    assert {Verdict.LOW, Verdict.CAUTION, Verdict.HIGH} <= verdicts


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_reports_of_any_text_are_valid(scorer: Scorer, text: str) -> None:
    assert [(error.json_path, error.message) for error in STRICT.iter_errors(as_read(scorer.score(text)))] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: report.pop("warnings"),
        lambda report: report.update(schema_version=2),
        lambda report: report.update(score=None),
        lambda report: report.update(score=1.5),
        lambda report: report.update(verdict="scam"),
        lambda report: report.update(verdict="insufficient"),
        lambda report: report["flags"][0].pop("contribution"),
        lambda report: report["flags"][0].update(start=-1),
        lambda report: report["flags"][0].update(severity="grave"),
        lambda report: report["discounted"][0].update(stance="asserted"),
        lambda report: report["model"].update(sha256="none"),
        lambda report: report["contributions"].update(offer="much"),
    ],
)
def test_what_is_no_report_is_refused(scorer: Scorer, spoil: Callable[[Any], Any]) -> None:
    report = as_read(scorer.score(CLINIC))
    assert report["discounted"], "the example holds a mention"
    assert OUTPUT.is_valid(report)
    spoil(report)
    assert not OUTPUT.is_valid(report)


@pytest.mark.parametrize("data", [{}, {"schema_version": 2}, {"schema_version": 1, "verdict": "low"}])
def test_reading_what_is_no_report(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="report"):
        Report.from_dict(data)


@pytest.mark.parametrize(
    ("files", "shape", "status"),
    [(["a.txt"], dict, 0), (["a.txt", "b.txt"], list, 0), (["a.txt", "nowhere.txt"], list, 2)],
    ids=["one", "several", "several, one unreadable"],
)
def test_one_input_is_an_object_and_several_are_an_array(
    run: Run, tmp_path: Path, files: list[str], shape: type, status: int
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(CLINIC, "utf-8")
    done = run("score", *files, "--format", "json", cwd=tmp_path)
    assert done.returncode == status
    data = json.loads(done.stdout)
    assert type(data) is shape
    assert OUTPUT.is_valid(data)
    assert not OUTPUT.is_valid({"reports": data})
