"""Scores: they add up, move only in the direction they may, and say when they mean nothing."""

import math
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from als_redflags import Report, Scorer, Verdict, corpus
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
