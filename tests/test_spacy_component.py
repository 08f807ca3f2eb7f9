"""The spaCy step: found by name, exact spans, and a report that survives every way a Doc travels."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy import displacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from als_redflags import Report, Scorer, corpus
from als_redflags.errors import ModelError
from tests.conftest import ROOT

SALE = "Our stem cells stop ALS. Guaranteed improvement,only $19,500!\n\nMessage us on WhatsApp \U0001f600"
WARNING = "Be wary of clinics that say their stem cells stop ALS or guarantee improvement. No such product is approved."
TEXTS = [document.text for document in corpus.read(ROOT / "data")][::60]


@pytest.fixture(scope="module")
def nlp() -> Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("als_redflags")
    return pipeline


def test_spacy_finds_it_by_name_without_an_import_of_ours() -> None:
    code = f"import spacy; nlp = spacy.blank('en'); nlp.add_pipe('als_redflags'); print(nlp({SALE!r})._.redflag_report.verdict)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, timeout=120)
    assert done.stdout.decode().strip() == "high"


@pytest.mark.parametrize("text", [SALE, WARNING, "", "Too short.", *TEXTS[:3]])
def test_the_report_is_the_scorers(nlp: Language, scorer: Scorer, text: str) -> None:
    doc = nlp(text)
    assert doc._.redflag_report == scorer.score(text)
    assert [span.label_ for span in doc.spans["redflags"]] == [flag.id for flag in doc._.redflag_report.flags]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(["", "x", "\n", "(", "\u00a0"]))
def test_a_span_covers_its_flag_and_no_token_that_it_does_not_touch(nlp: Language, text: str, before: str) -> None:
    doc = nlp(before + text)
    for span, flag in zip(doc.spans["redflags"], doc._.redflag_report.flags, strict=True):
        assert span.start_char <= flag.start
        assert span.end_char >= flag.end
        assert all(token.idx < flag.end and token.idx + len(token) > flag.start for token in (span[0], span[-1]))


def test_a_doc_that_was_not_scored_has_no_report() -> None:
    assert spacy.blank("en")(SALE)._.redflag_report is None


def test_pipe_in_order_beside_other_steps(scorer: Scorer) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.add_pipe("als_redflags", config={"spans_key": "flags"}, first=True)
    docs = list(pipeline.pipe([SALE, "", WARNING]))
    assert [doc._.redflag_report for doc in docs] == [scorer.score(text) for text in (SALE, "", WARNING)]
    assert len(docs[0].spans["flags"]) > 0
    assert "redflags" not in docs[0].spans
    assert pipeline.analyze_pipes()["problems"] == {"sentencizer": [], "als_redflags": []}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_pipe_in_worker_processes(nlp: Language, scorer: Scorer) -> None:
    docs = nlp.pipe([SALE, WARNING], n_process=2, batch_size=1)
    assert [doc._.redflag_report for doc in docs] == [scorer.score(SALE), scorer.score(WARNING)]


def test_a_doc_travels_with_its_report(nlp: Language, scorer: Scorer) -> None:
    doc = nlp(SALE)
    stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (read,) = DocBin().from_bytes(stored).get_docs(nlp.vocab)
    copies = [read, doc.copy(), Doc(nlp.vocab).from_bytes(doc.to_bytes()), pickle.loads(pickle.dumps(doc))]
    for copy in copies:
        assert copy._.redflag_report == scorer.score(SALE)
        assert [(s.text, s.label_) for s in copy.spans["redflags"]] == [(s.text, s.label_) for s in doc.spans["redflags"]]
    as_json = doc.to_json(underscore=["redflag_data"])
    assert Report.from_dict(as_json["_"]["redflag_data"]) == scorer.score(SALE)


def test_a_pipeline_goes_to_disk_and_comes_back(nlp: Language, tmp_path: Path) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("als_redflags", config={"spans_key": "flags"})
    pipeline.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    unpickled: Language = pickle.loads(pickle.dumps(pipeline))
    for copy in (again, unpickled):
        assert copy(SALE)._.redflag_report == nlp(SALE)._.redflag_report
        assert len(copy(SALE).spans["flags"]) == len(nlp(SALE).spans["redflags"])


def test_displacy_draws_the_spans_and_escapes_the_text(nlp: Language) -> None:
    doc = nlp(f"<script>alert(1)</script> {SALE}")
    assert len(doc.spans["redflags"]) > 0
    html = displacy.render(doc, style="span", options={"spans_key": "redflags"}, page=True, jupyter=False)
    assert all(span.label_ in html for span in doc.spans["redflags"])
    assert "<script>" not in html


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="No model found in nowhere"):
        spacy.blank("en").add_pipe("als_redflags", config={"model": "nowhere"})
