"""SARIF output: valid by the official schema, exact regions, addresses that resolve, nothing a page could plant."""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from als_redflags import Report, Scorer, corpus
from als_redflags.rulebook import RuleBook
from als_redflags.sarif import VERDICT_RULE, to_sarif
from tests.conftest import ROOT, Run

OFFICIAL = Draft7Validator(json.loads((ROOT / "tests" / "schemas" / "sarif-2.1.0.json").read_text("utf-8")))
TEXTS = [document.text for document in corpus.read(ROOT / "data")][::40]
SALE = "Welcome \U0001f600!\r\nOur stem cells\ncure ALS. No side effects, guaranteed.\nBook now, only $19,500!"
WARNING = "Be wary of clinics that say their stem cells stop ALS or guarantee improvement. No such product is approved."
JUDGED_NOT = "Too short."
# RFC 3986: a URI reference is made of these
URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})+")


def log(scorer: Scorer, *texts: str, source: str | None = None) -> dict[str, Any]:
    reports = [scorer.score(text, source=source) for text in texts]
    data: dict[str, Any] = json.loads(to_sarif(reports, texts, scorer.book))
    assert [error.message for error in OFFICIAL.iter_errors(data)] == []
    return data


def results(data: dict[str, Any]) -> list[dict[str, Any]]:
    (run,) = data["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    found: list[dict[str, Any]] = run["results"]
    return found


@pytest.mark.parametrize("text", [SALE, WARNING, JUDGED_NOT, "", "\ud800 our stem cells cure ALS, guaranteed \x00"])
def test_the_log_is_valid_and_holds_what_the_report_holds(scorer: Scorer, text: str) -> None:
    report = scorer.score(text)
    found = results(log(scorer, text))
    hits = [result for result in found if result["ruleId"] != VERDICT_RULE]
    assert sorted(r["ruleId"] for r in hits if r["kind"] == "fail") == sorted(flag.id for flag in report.flags)
    assert sorted(r["ruleId"] for r in hits if r["kind"] == "informational") == sorted(d.id for d in report.discounted)
    assert all((r["level"] == "none") == (r["kind"] != "fail") for r in found), "a level belongs to failures only"
    (verdict,) = [result for result in found if result["ruleId"] == VERDICT_RULE]
    assert verdict["properties"]["verdict"] == str(report.verdict)
    assert verdict["properties"]["score"] == report.score


@pytest.mark.parametrize(
    ("text", "kind", "level"),
    [(SALE, "fail", "error"), (WARNING, "pass", "none"), (JUDGED_NOT, "notApplicable", "none")],
)
def test_every_text_has_one_verdict(scorer: Scorer, text: str, kind: str, level: str) -> None:
    (verdict,) = [result for result in results(log(scorer, text)) if result["ruleId"] == VERDICT_RULE]
    assert (verdict["kind"], verdict["level"]) == (kind, level)


def test_a_mention_names_what_discounted_it(scorer: Scorer) -> None:
    mentions = [result for result in results(log(scorer, WARNING)) if result["kind"] == "informational"]
    assert mentions
    for mention in mentions:
        assert "Not counted: " in mention["message"]["text"]
        assert mention["properties"]["cue"] in WARNING
        assert "suppressions" not in mention


@settings(max_examples=25, deadline=None)
@given(
    st.one_of(st.sampled_from(TEXTS), st.sampled_from([SALE, WARNING])), st.sampled_from(["", "\n\n", "\r\n\t", "\U0001f600 "])
)
def test_regions_are_exact_by_offset_and_by_line_and_column(scorer: Scorer, text: str, before: str) -> None:
    text = before + text
    lines = text.split("\n")
    for result in results(log(scorer, text)):
        region = result["locations"][0]["physicalLocation"].get("region")
        if result["ruleId"] == VERDICT_RULE:
            assert region is None, "the verdict is about the whole text"
            continue
        words = region["snippet"]["text"]
        assert text[region["charOffset"] : region["charOffset"] + region["charLength"]] == words
        taken = lines[region["startLine"] - 1 : region["endLine"]]
        taken[-1] = taken[-1][: region["endColumn"] - 1]
        taken[0] = taken[0][region["startColumn"] - 1 :]
        assert "\n".join(taken) == words


def test_the_driver_lists_every_red_flag_with_reason_source_and_level(scorer: Scorer, book: RuleBook) -> None:
    driver = log(scorer, SALE)["runs"][0]["tool"]["driver"]
    rules = {rule["id"]: rule for rule in driver["rules"]}
    red = {name: rule for name, rule in book.rules.items() if rule.role == "red_flag"}
    assert set(rules) == {VERDICT_RULE, *red}
    for name, rule in red.items():
        entry = rules[name]
        assert entry["shortDescription"]["text"] == rule.title
        assert entry["fullDescription"]["text"] == rule.why
        assert (
            entry["defaultConfiguration"]["level"] == {"high": "error", "medium": "warning", "low": "note"}[rule.severity or ""]
        )
        assert entry.get("helpUri") == (rule.sources[0].url if rule.sources else None)
        assert not re.search(r"[\[\]{}]", rule.title + rule.why), "these would have to be escaped"
    assert all(URI.fullmatch(rule["helpUri"].replace("#", "")) for rule in driver["rules"] if "helpUri" in rule)


def test_several_texts_are_one_run_with_the_gravest_verdict(scorer: Scorer) -> None:
    data = log(scorer, WARNING, SALE, JUDGED_NOT)
    (run,) = data["runs"]
    assert [artifact["properties"]["verdict"] for artifact in run["artifacts"]] == ["low", "high", "insufficient"]
    assert run["properties"]["verdict"] == "high"
    assert run["properties"]["score"] == scorer.score(SALE).score
    assert [entry["verdict"] for entry in run["properties"]["documents"]] == ["low", "high", "insufficient"]
    nothing = json.loads(to_sarif([], [], scorer.book))
    assert OFFICIAL.is_valid(nothing)
    assert nothing["runs"][0]["properties"]["score"] is None


def uri(scorer: Scorer, source: str | None) -> str:
    report = scorer.score(JUDGED_NOT, source=source)
    location = json.loads(to_sarif([report], [JUDGED_NOT], scorer.book))["runs"][0]["artifacts"][0]["location"]
    assert URI.fullmatch(location["uri"])
    assert ("uriBaseId" in location) == ("://" not in location["uri"])
    return str(location["uri"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("page.txt", "page.txt"),
        ("./a/../b/page.txt", "b/page.txt"),
        ("new & old/50% off.txt", "new%20%26%20old/50%25%20off.txt"),
        ("caf\u00e9#1?.txt", "caf%C3%A9%231%3F.txt"),
        ("12:30.txt", "12%3A30.txt"),
        ("standard input", "standard%20input"),
        (os.fsdecode(b"not utf-8 \xff.txt"), "not%20utf-8%20%FF.txt"),
        (str(Path.cwd() / "in here.txt"), "in%20here.txt"),
        ("/srv/pages/a page.txt", "file:///srv/pages/a%20page.txt"),
        ("https://clinic.example/als cure?x=1", "https://clinic.example/als%20cure?x=1"),
        (None, "text"),
    ],
)
def test_addresses(scorer: Scorer, source: str | None, expected: str) -> None:
    assert uri(scorer, source) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), min_size=1, max_size=3))
def test_a_relative_address_leads_back_to_the_file(scorer: Scorer, parts: list[str]) -> None:
    path = Path("pages", *parts)
    found = uri(scorer, str(path))
    normal = os.path.normpath(path)
    assert unquote(found) == (
        Path(normal).as_posix() if ".." not in Path(normal).parts else f"file://{Path.cwd().parent / normal[3:]}"
    )


def test_a_page_cannot_plant_links_or_placeholders(scorer: Scorer) -> None:
    text = "Our stem cells [cure](https://evil.example) ALS {0} \\[x] , guaranteed. Book now!"
    messages = [result["message"]["text"] for result in results(log(scorer, text, source="a{0}[b](c).txt"))]
    assert any("evil.example" in message for message in messages)
    for message in messages:
        assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]]", message), "every bracket is escaped"
        assert not re.search(r"\{0", message.replace("{{", "")), "every brace is doubled"


def test_what_was_taken_out_of_another_format_has_no_region(scorer: Scorer) -> None:
    (flag, *_) = [r for r in results(log(scorer, SALE, source="page.html")) if r["ruleId"] != VERDICT_RULE]
    assert "region" not in flag["locations"][0]["physicalLocation"]
    start, end = flag["properties"]["textStart"], flag["properties"]["textEnd"]
    assert SALE[start:end].split()[-1] in flag["message"]["text"]


def test_fingerprints_survive_a_move_and_tell_repetitions_apart(scorer: Scorer) -> None:
    def prints(text: str, source: str = "a.txt") -> list[str]:
        return [p for r in results(log(scorer, text, source=source)) for p in r["partialFingerprints"].values()]

    claim = "Our stem cells cure ALS."
    once, moved, twice = prints(claim), prints(f"Hello there, dear reader.\n\n{claim}"), prints(f"{claim}\n\n{claim}")
    assert len(set(once)) == len(once)
    assert set(once) <= set(moved)
    assert len(set(twice)) == len(twice)
    assert set(once).isdisjoint(prints(claim, "b.txt"))


def test_what_a_page_leaves_out_is_not_said_to_be_its_words(scorer: Scorer, book: RuleBook) -> None:
    clinic = (ROOT / "examples" / "clinic.txt").read_text("utf-8")
    absent = [
        result
        for result in results(log(scorer, clinic))
        if result["ruleId"] in book.rules and book.rules[result["ruleId"]].by_absence
    ]
    assert absent
    assert all(". It offers: \u201c" in result["message"]["text"] for result in absent)


def test_reports_and_texts_must_belong_together(scorer: Scorer) -> None:
    report: Report = scorer.score(SALE)
    with pytest.raises(ValueError, match="zip"):
        to_sarif([report], [], scorer.book)


def test_the_command_writes_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new ads"
    folder.mkdir()
    (folder / "sale.txt").write_bytes(b"\xef\xbb\xbf" + SALE.encode())
    (folder / "warning.txt").write_text(WARNING, "utf-8")
    done = run("score", "new ads/sale.txt", "new ads/warning.txt", "--format", "sarif", "--fail-on", "high", cwd=tmp_path)
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert OFFICIAL.is_valid(data)
    assert [a["location"]["uri"] for a in data["runs"][0]["artifacts"]] == ["new%20ads/sale.txt", "new%20ads/warning.txt"]
    for result in results(data):
        region = result["locations"][0]["physicalLocation"].get("region")
        name = unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        if region:  # SARIF does not count the byte-order mark
            text = (tmp_path / name).read_bytes().decode("utf-8-sig")
            assert text[region["charOffset"] : region["charOffset"] + region["charLength"]] == region["snippet"]["text"]
