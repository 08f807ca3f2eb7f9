"""Scores: they add up, move only in the direction they may, and say when they mean nothing."""

import math
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from als_redflags import Report, Scorer, Verdict, corpus
from als_redflags.model import TextModel
from als_redflags.scorer import Features, Window, clip, rule_features, sigmoid, text_logit, windows
from als_redflags.stance import Finding, Findings, Topic, Voice
from als_redflags.text import Document
from tests.conftest import ROOT

DOCUMENTS = corpus.read(ROOT / "data")
# One sentence for each of several flags, each asserted by a seller.
CLAIMS = [
    "Our stem cells cure ALS.",
    "We guarantee visible improvement.",
    "Our therapy stops the progression of the disease and restores lost strength.",
    "87% of our patients improved within three months.",
    "There are no side effects and no risks.",
    "The package costs $24,500 and is paid in advance.",
    "The FDA does not regulate our procedure.",
    "Read the stories of our patients: she walks again!",
    "Drug companies hide this cure from you.",
]
# What sellers add to look honest.
CREDENTIALS = [
    "Results may vary and are not guaranteed.",
    "These statements have not been evaluated by the FDA.",
    "This treatment is not FDA approved.",
    "The protocol was approved by an institutional review board.",
    "NCT01234567",
]
EXAMPLES = sorted((ROOT / "examples").glob("*.txt"))
texts = st.sampled_from(DOCUMENTS).map(lambda document: document.text)


def logit(report: Report) -> float:
    assert report.contributions is not None
    return math.fsum(report.contributions.values())


@settings(max_examples=150, deadline=None)
@given(texts)
def test_contributions_add_up_to_the_score_and_evidence_quotes_the_text(scorer: Scorer, text: str) -> None:
    report = scorer.score(text)
    if report.score is None:
        return
    assert math.log(report.score / (1 - report.score)) == pytest.approx(logit(report), abs=1e-9)
    for hit in (*report.flags, *report.discounted, *report.legitimacy):
        assert text[hit.start : hit.end] == hit.text
        assert hit.text.strip()
        assert text.count("\n", 0, hit.start) + 1 == hit.line
    by_flag: dict[str, float] = {}
    for flag in report.flags:
        by_flag[flag.id] = by_flag.get(flag.id, 0.0) + flag.contribution
    for name, total in by_flag.items():
        assert report.contributions is not None
        assert total == pytest.approx(report.contributions.get(name, 0.0), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(texts, st.sampled_from(CLAIMS))
def test_one_more_asserted_red_flag_never_lowers_the_score(scorer: Scorer, text: str, claim: str) -> None:
    before = scorer.score(text)
    after = scorer.score(f"{text}\n\n{claim}")
    # In a text that reports on sellers the claim is somebody else's: then it is discounted, and no red flag was added.
    start = len(text) + 2
    if before.score is not None and any(flag.start >= start for flag in after.flags):
        assert logit(after) >= logit(before) - 1e-9


@settings(max_examples=100, deadline=None)
@given(texts, st.sampled_from(CREDENTIALS))
def test_a_disclaimer_or_a_credential_never_lowers_the_score(scorer: Scorer, text: str, credential: str) -> None:
    before, after = scorer.score(text), scorer.score(f"{text}\n\n{credential}")
    if before.score is not None:
        assert logit(after) >= logit(before) - 1e-9


SELLERS = [d for d in DOCUMENTS if d.label == "redflag" and '"' not in d.text and len(d.text) > 600]


@pytest.mark.parametrize("document", SELLERS[::40], ids=lambda d: d.id)
def test_a_sales_page_quoted_by_a_regulator_scores_lower(scorer: Scorer, document: corpus.LabelledDocument) -> None:
    quoted = (
        "Warning: the regulator found this advertisement misleading. Consumers should be wary of the claims it quotes.\n\n"
        + "\n\n".join(f'"{line}"' for line in document.text.split("\n") if line.strip())
        + "\n\nThe advertiser was ordered to withdraw it. There is no reliable evidence for any of these claims."
    )
    assert logit(scorer.score(quoted)) < logit(scorer.score(document.text))


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [
        ("clinic", {"high"}),
        ("hedged_seller", {"high", "caution"}),
        ("short_ad", {"high"}),
        ("regulator_warning", {"low"}),
        ("trial_announcement", {"low"}),
    ],
)
def test_examples(scorer: Scorer, name: str, verdicts: set[str]) -> None:
    report = scorer.score((ROOT / "examples" / f"{name}.txt").read_text("utf-8"))
    assert str(report.verdict) in verdicts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 words"),
        ("  \n ", "0 words"),
        ("Cure ALS now!", "3 words"),
        ("12345 67890 $$$ %%% 12 13 14 15 16", "not seem to be English"),
        ("Wir heilen ALS mit eigenen Stammzellen, ganz ohne Risiko und ohne Nebenwirkungen, garantiert und sofort.", "English"),
        ("Мы лечим боковой амиотрофический склероз стволовыми клетками без риска", "English"),
        ("我们用干细胞治疗肌萎缩侧索硬化症 没有 任何 风险 保证 有效", "words|English"),
    ],
)
def test_what_cannot_be_judged_gets_no_number(scorer: Scorer, text: str, reason: str) -> None:
    report = scorer.score(text)
    assert report.score is None
    assert report.verdict is Verdict.INSUFFICIENT
    assert report.reason is not None
    assert re.search(reason, report.reason)
    assert report.flags == ()
    assert report.to_dict()["contributions"] == {}


def test_only_text_is_scored(scorer: Scorer) -> None:
    with pytest.raises(TypeError, match="takes a str, not bytes"):
        scorer.score(b"Our cells cure ALS.")  # type: ignore[arg-type]


def test_many_texts_in_order_lazily_and_in_worker_processes(scorer: Scorer) -> None:
    sample = [document.text for document in DOCUMENTS[::60]]
    alone = [scorer.score(text).to_dict() for text in sample]
    assert [report.to_dict() for report in scorer.score_many(sample)] == alone
    assert [report.to_dict() for report in scorer.score_many(sample, n_jobs=2)] == alone

    def endless() -> Iterator[str]:
        while True:
            yield sample[0]

    assert next(iter(scorer.score_many(endless()))).to_dict() == alone[0]


def test_threads_and_pickled_scorers_agree(scorer: Scorer) -> None:
    sample = [document.text for document in DOCUMENTS[::60]]
    alone = [scorer.score(text).score for text in sample]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: scorer.score(text).score, sample)) == alone
    copy: Scorer = pickle.loads(pickle.dumps(scorer))
    assert [copy.score(text).score for text in sample] == alone


def test_frame(scorer: Scorer) -> None:
    frame = pd.DataFrame({"id": [7, 8, 9], "ad": ["Our stem cells cure ALS, guaranteed. Call now!", None, 3.5]}, index=[3, 1, 2])
    scored = scorer.score_frame(frame, text_column="ad")
    assert list(scored.columns) == ["id", "ad", "score", "verdict", "reason", "n_flags", "flags"]
    assert scored.index.tolist() == [3, 1, 2]
    assert list(frame.columns) == ["id", "ad"], "the caller's table is left alone"
    assert scored.loc[3, "verdict"] == "high"
    assert "cure-claim" in scored.loc[3, "flags"]
    assert scored["verdict"].tolist()[1:] == ["insufficient", "insufficient"]
    assert scored["score"].isna().tolist() == [False, True, True]
    wide = scorer.score_frame(frame, text_column="ad", flags="wide")
    assert wide["cure-claim"].tolist() == [True, False, False]
    assert "flags" not in wide
    assert "flags" not in scorer.score_frame(frame, text_column="ad", flags="none")


def test_frame_with_wrong_arguments(scorer: Scorer) -> None:
    frame = pd.DataFrame({"ad": ["x"]})
    with pytest.raises(KeyError, match="no column 'text'; the table has ad"):
        scorer.score_frame(frame)
    with pytest.raises(ValueError, match="'list', 'wide' or 'none'"):
        scorer.score_frame(frame, text_column="ad", flags="all")  # type: ignore[arg-type]
    assert scorer.score_frame(frame.iloc[:0], text_column="ad").empty


# The parts of the score, each by itself.


def finding(scorer: Scorer, rule_id: str, start: int = 0, end: int = 5, stance: str = "asserted") -> Finding:
    return Finding(scorer.book.rules[rule_id], start, end, stance)


def of_role(scorer: Scorer, role: str, *, credential: bool = False) -> list[str]:
    return [rule.id for rule in scorer.book.rules.values() if rule.role == role and rule.credential is credential]


def features(scorer: Scorer, *ids: str, voice: Voice = "unclear", topic: Topic = "treatment") -> Features:
    return rule_features(Findings(tuple(finding(scorer, name) for name in ids), voice, topic))


def test_points_of_a_family_saturate_and_are_shared(scorer: Scorer) -> None:
    assert features(scorer).values == {"treatment named": 1.0, "offer": 0.0, "honest": 0.0, "legitimacy": 0.0}
    high = features(scorer, "cure-claim")
    assert high.values["outcome_promises"] == 0.5, "3 points of a flag of high severity"
    assert high.points == {"cure-claim": ("outcome_promises", 1.0)}
    assert features(scorer, "cure-claim", "cure-claim").values == high.values, "each flag counts once"
    both = features(scorer, "cure-claim", "reverse-or-halt-claim")
    assert both.values["outcome_promises"] == 0.75
    assert both.points == dict.fromkeys(("cure-claim", "reverse-or-halt-claim"), ("outcome_promises", 0.5))
    apart = features(scorer, "cure-claim", "no-risk-claim")
    assert apart.values["outcome_promises"] == 0.5
    assert apart.points["no-risk-claim"][1] == 1.0
    absent = next(rule.id for rule in scorer.book.rules.values() if rule.by_absence)
    assert features(scorer, absent).points == {}, "what a page leaves out informs and does not move the score"


def test_offers_honest_frames_and_the_treatment(scorer: Scorer) -> None:
    first, second, *_ = of_role(scorer, "offer")
    assert features(scorer, first, first).values["offer"] == pytest.approx(1 - 2**-0.5)
    assert features(scorer, first, second).values["offer"] == 0.5
    honest = of_role(scorer, "honest")[:2]
    assert features(scorer, *honest).values["honest"] == 0.5
    assert features(scorer, *honest, voice="reporter").values["honest"] == 0.5
    assert features(scorer, *honest, voice="seller").values["honest"] == 0.0
    assert [features(scorer, topic=topic).values["treatment named"] for topic in ("treatment", "illness", "none")] == [1, 0, 0]


def test_legitimacy_is_a_bundle_that_flags_spoil_and_credentials_do_not_make(scorer: Scorer) -> None:
    first, second, *_ = of_role(scorer, "legitimacy")
    credentials = of_role(scorer, "legitimacy", credential=True)
    assert features(scorer, first).values["legitimacy"] == 0.0
    assert features(scorer, first, first).values["legitimacy"] == 0.0
    assert features(scorer, first, second).values["legitimacy"] == 1.0
    assert features(scorer, first, *credentials).values["legitimacy"] == 0.0
    assert features(scorer, first, second, voice="seller").values["legitimacy"] == 0.0
    for spoiler in (
        "pay-to-participate", "large-out-of-pocket-fee", "testimonial-as-evidence", "cure-claim", "guaranteed-improvement",
        "reverse-or-halt-claim",
    ):  # fmt: skip
        assert features(scorer, first, second, spoiler).values["legitimacy"] == 0.0
    assert features(scorer, first, second, "urgency-or-discount").values["legitimacy"] == 1.0


def sentences(*counts: int) -> Document:
    return Document.of("\n".join(" ".join(["word"] * (count - 1) + ["end."]) for count in counts))


def test_windows_end_with_a_sentence_before_three_hundred_words(scorer: Scorer) -> None:
    def sizes(document: Document) -> list[int]:
        return [sum(map(len, piece.plain)) for piece in windows(document, Findings((), "unclear", "none"))]

    assert sizes(sentences(*[50] * 6)) == [255, 51], "a full stop is a word too"
    assert sizes(sentences(149, 149)) == [300]
    assert sizes(sentences(149, 150)) == [150, 151]
    assert sizes(sentences(200, 200, 90)) == [201, 292], "the count begins again"
    assert sizes(Document.of("")) == [0]


def test_sentences_with_a_flag_are_apart_and_credentials_are_left_out(scorer: Scorer) -> None:
    text = "First one here. Second one here. Third one here."
    document = Document.of(text)
    credential = next(rule.id for rule in scorer.book.rules.values() if rule.credential and rule.role != "red_flag")
    absent = next(rule.id for rule in scorer.book.rules.values() if rule.by_absence)
    found = (finding(scorer, "cure-claim", 16, 22), finding(scorer, credential, 33, 38), finding(scorer, absent, 0, 5))
    (piece,) = windows(document, Findings(found, "unclear", "none"))
    assert piece.flagged == [["second", "one", "here", "."]]
    assert piece.plain == [["first", "one", "here", "."]]
    across = (finding(scorer, "cure-claim", 10, 17),)
    (piece,) = windows(document, Findings(across, "unclear", "none"))
    assert len(piece.flagged) == 2, "evidence that goes on into the next sentence flags both"
    same = (finding(scorer, credential, 16, 22), finding(scorer, "cure-claim", 23, 26))
    (piece,) = windows(document, Findings(same, "unclear", "none"))
    assert piece.flagged == [["second", "one", "here", "."]], "a claim beside a credential is still read"
    denied = (finding(scorer, "cure-claim", 16, 22, "negated"),)
    (piece,) = windows(document, Findings(denied, "unclear", "none"))
    assert piece.flagged == []


SMALL = TextModel({"good": 0, "bad": 1, "worse": 2}, np.array([1.0, 1.0, 1.0]), np.array([-1.0, 2.0, 4.0]), 0.5)


def test_the_logit_of_a_text(scorer: Scorer) -> None:
    good, bad = Window([["good"]], []), Window([["bad"]], [])
    assert text_logit(SMALL, [good]) == (-0.5, {0})
    assert text_logit(SMALL, [bad]) == (2.5, {1})
    assert text_logit(SMALL, [good, bad]) == (pytest.approx((2.5 + (2.5 - 0.5) / 2) / 2), {0, 1})
    assert text_logit(SMALL, [Window([["worse"]], [["good"]])]) == (4.5, {0, 2}), "the claim would dilute it"
    assert text_logit(SMALL, [Window([["good"]], [["worse"]])])[0] == pytest.approx(0.5 + 3 / math.sqrt(2))
    steep = TextModel({"x": 0}, np.ones(1), np.array([99.0]), 0.0)
    assert text_logit(steep, [Window([["x"]], [])])[0] == 6.0
    assert [clip(value) for value in (-7.0, -6.0, 0.25, 6.0, 7.0)] == [-6.0, -6.0, 0.25, 6.0, 6.0]


def test_sigmoid() -> None:
    assert sigmoid(0.0) == 0.5
    assert sigmoid(math.log(3)) == pytest.approx(0.75)
    assert sigmoid(-math.log(3)) == pytest.approx(0.25)
    assert sigmoid(1000.0) == 1.0
    assert sigmoid(-1000.0) == 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stem cells cure als", "4 words"),
        ("stem cells cure als today", None),
        ("Zorp qlix vrenk " * 3 + "brrt wnnk", None),  # too short to tell a language by
        ("Zorp qlix vrenk glorf " * 3, "English"),
        ("stem cells cure als today " + "zorp qlix vrenk glorf wnnk brrt pfft", "None|English"),
        ("the of and to in zorp qlix vrenk glorf wnnk brrt pfft", "English"),
        ("the of and to in is zorp qlix vrenk glorf wnnk brrt", None),  # half of 12 words are known
        ("1 2 3 4 5 6", "English"),
        ("the caf\u00e9 of na\u00efve people is open today", None),
        ("\u0442\u0435\u043a\u0441\u0442 the of and to in", None),  # 5 of 15 letters are foreign
    ],
)  # fmt: skip
def test_when_a_text_can_be_judged(scorer: Scorer, text: str, reason: str | None) -> None:
    found = scorer.score(text).reason
    assert (found is None) is (reason is None) or "None" in str(reason)
    if found is not None:
        assert re.search(str(reason), found)


def test_verdicts_begin_at_their_thresholds(scorer: Scorer) -> None:
    caution, high = (scorer.trained.thresholds[name] for name in ("caution", "high"))
    below = [math.nextafter(limit, 0) for limit in (caution, high)]
    assert [str(scorer._verdict(score)) for score in (0.0, below[0], caution, below[1], high, 1.0)] == [
        "low", "low", "caution", "caution", "high", "high",
    ]  # fmt: skip


def test_contributions_by_name(scorer: Scorer) -> None:
    weights, intercept = scorer.trained.combiner.weights, scorer.trained.combiner.intercept
    found = scorer._contributions(features(scorer, "cure-claim", of_role(scorer, "offer")[0]), 2.0)
    assert found == {
        "intercept": intercept,
        "text model": 2.0 * weights["text model"],
        "cure-claim": 0.5 * weights["outcome_promises"],
        "treatment named": weights["treatment named"],
        "offer": pytest.approx((1 - 2**-0.5) * weights["offer"]),
        "honest": 0.0,
        "legitimacy": 0.0,
    }


def test_a_report_says_everything_about_its_text(scorer: Scorer) -> None:
    text = "Our clinic offers stem cells.\n\nThey cure ALS. They cure autism. We cannot guarantee any improvement. Call us now."
    report = scorer.score(text, source="page")
    assert (report.source, report.reason, report.voice) == ("page", None, "seller")
    assert report.model_version == scorer.trained.version
    assert report.model_sha256 == scorer.trained.sha256
    assert report.n_words == Document.of(text).n_words
    cures = [flag for flag in report.flags if flag.id == "cure-claim"]
    assert [flag.line for flag in cures] == [3, 3]
    assert [flag.contribution for flag in cures] == [report.contributions["cure-claim"] / 2] * 2  # type: ignore[index]
    rule = scorer.book.rules["cure-claim"]
    assert {(flag.title, flag.family, flag.severity) for flag in cures} == {(rule.title, rule.family, rule.severity)}
    assert [(item.id, item.stance, item.cue) for item in report.discounted] == [("guaranteed-improvement", "negated", "cannot")]
    assert len(report.wording) == 8
    assert Scorer.load("models").score(text, source="page") == report


def test_signs_of_legitimacy_are_reported(scorer: Scorer) -> None:
    report = scorer.score((ROOT / "examples" / "trial_announcement.txt").read_text("utf-8"))
    assert report.legitimacy
    for sign in report.legitimacy:
        assert scorer.book.rules[sign.id].role == "legitimacy"
        assert sign.title == scorer.book.rules[sign.id].title


def test_the_verdict_of_a_table_is_ordered(scorer: Scorer) -> None:
    frame = pd.DataFrame(
        {"text": ["Riluzole helps people with ALS to live longer.", "", "Our stem cells cure ALS, guaranteed. Call now!"]}
    )
    scored = scorer.score_frame(frame)
    assert scored["verdict"].cat.categories.tolist() == ["insufficient", "low", "caution", "high"]
    assert (scored["verdict"] >= "caution").tolist() == [False, False, True]
    assert scored["n_flags"].tolist() == [0, 0, len(scored["flags"][2])]
    assert scored["flags"][2] == sorted(set(scored["flags"][2]))
    assert scored["reason"].tolist()[1] == "the text has 0 words; at least 5 are needed"
    assert scorer.score_frame(pd.DataFrame({"text": [None]}))["reason"].tolist() == ["there is no text"]
    wide = scorer.score_frame(frame, flags="wide")
    flags = [rule.id for rule in scorer.book.rules.values() if rule.role == "red_flag"]
    assert [column for column in wide.columns if column in scorer.book.rules] == flags


def test_a_copy_keeps_the_limit_of_length(scorer: Scorer) -> None:
    short = Scorer(scorer.trained)
    short.max_chars = 10
    copy: Scorer = pickle.loads(pickle.dumps(short))
    assert copy.max_chars == 10
    assert short.score("our cells.").reason != short.score("our cells..").reason
    assert scorer.max_chars == 2_000_000
