"""Red flags as a step of a spaCy pipeline.

>>> import spacy
>>> nlp = spacy.blank("en")
>>> component = nlp.add_pipe("als_redflags")
>>> doc = nlp("Our stem cells cure ALS. Guaranteed improvement, only $19,500!")
>>> sorted({span.label_ for span in doc.spans["redflags"]} & {"cure-claim", "guaranteed-improvement"})
['cure-claim', 'guaranteed-improvement']
>>> str(doc._.redflag_report.verdict)
'high'

``doc._.redflag_data`` is the same report as plain data, for ``doc.to_json(underscore=["redflag_data"])``.

The step needs no other step and changes no tokens. It works with every tokeniser that keeps the text (spaCy's do): offsets are
those of ``doc.text``, and a flag that begins or ends inside a token takes the whole token. spaCy finds the name by the entry
point of the installed package, so no import is needed.
"""

from spacy.language import Language
from spacy.tokens import Doc

from als_redflags.report import Report
from als_redflags.scorer import Scorer, shared_scorer

SPANS_KEY = "redflags"


class RedFlagsComponent:
    """Scores a Doc: ``doc.spans[spans_key]`` holds a span for each asserted flag (label: id of the rule)."""

    def __init__(self, scorer: Scorer, spans_key: str = SPANS_KEY) -> None:
        self.scorer = scorer
        self.spans_key = spans_key

    def __call__(self, doc: Doc) -> Doc:
        report = self.scorer.score(doc.text)
        spans = [doc.char_span(flag.start, flag.end, label=flag.id, alignment_mode="expand") for flag in report.flags]
        doc.spans[self.spans_key] = [span for span in spans if span is not None]
        doc._.redflag_data = report.to_dict()
        return doc


@Language.factory(
    "als_redflags",
    default_config={"model": None, "spans_key": SPANS_KEY},
    assigns=["doc._.redflag_data", "doc._.redflag_report", "doc.spans"],
)
def create(nlp: Language, name: str, model: str | None, spans_key: str) -> RedFlagsComponent:
    """The factory: ``model`` is the folder of another trained model, ``spans_key`` the name of the span group.

    Raises
    ------
    ModelError
        If the model is missing, damaged, or belongs to other rules.
    """
    return RedFlagsComponent(shared_scorer(model), spans_key)


def stored_report(doc: Doc) -> Report | None:
    """The report of a Doc (``doc._.redflag_report``), None before the step has run."""
    return None if doc._.redflag_data is None else Report.from_dict(doc._.redflag_data)


# A Doc goes to other processes and to disk as msgpack: it stores plain data, and the Report is made from it when asked for.
if not Doc.has_extension("redflag_report"):
    Doc.set_extension("redflag_data", default=None)
    Doc.set_extension("redflag_report", getter=stored_report)
