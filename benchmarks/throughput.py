"""How fast texts are scored, as ratios against public baselines measured in the same run.

    python benchmarks/throughput.py [LABELLED.jsonl]

Baselines: scikit-learn's own TF-IDF and logistic regression on the same texts, and spaCy's Matcher given the patterns of the rule
book for every token. One process, one thread. The last table shows where the time goes.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import spacy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from spacy.matcher import Matcher, PhraseMatcher
from spacy.tokens import Doc
from threadpoolctl import threadpool_limits

from als_redflags import Scorer, corpus
from als_redflags.scorer import text_logit, windows
from als_redflags.text import Document

REPEATS = 7
SLOW_REPEATS = 3
SLOW_SHARE = 20  # every so many texts are given to the slow baseline


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} (from {min(values):.3f} to {max(values):.3f}, {len(values)} repeats)"


class EveryToken:
    """The same patterns in spaCy's hands: a PhraseMatcher marks the entries of the word lists, a Matcher tries all segments."""

    def __init__(self, scorer: Scorer) -> None:
        tables = scorer.trained.tables
        self.nlp = spacy.blank("en")
        self.phrases = PhraseMatcher(self.nlp.vocab, attr="LOWER")
        by_label: dict[int, list[Doc]] = {}
        for words, labels, capitals in tables.entries:
            doc = Doc(self.nlp.vocab, words=words.split(" "))
            for label in labels + capitals:
                by_label.setdefault(label, []).append(doc)
        for label, docs in by_label.items():
            self.phrases.add(str(label), docs)
        self.segments = Matcher(self.nlp.vocab)
        for number, segment in enumerate(tables.segments):
            pattern = [
                {"MORPH": {"IS_SUPERSET": [f"L={e}"]}, "OP": "+"} if isinstance(e, int) else {"LOWER": {"IN": e}} for e in segment
            ]
            self.segments.add(str(number), [tables.raw.get(number, pattern)], greedy="LONGEST")

    def find(self, text: str) -> int:
        doc = self.nlp(text)
        labels: dict[int, set[str]] = {}
        for name, start, end in self.phrases(doc):
            for position in range(start, end):
                labels.setdefault(position, set()).add(self.nlp.vocab.strings[name])
        for position, names in labels.items():
            doc[position].set_morph("L=" + ",".join(sorted(names)))
        return len(self.segments(doc))


def stages(scorer: Scorer, texts: list[str]) -> dict[str, float]:
    """Seconds spent in each stage, text after text, as ``score`` does it."""
    spent = dict.fromkeys(("cleaning and sentences", "words", "rules", "text model", "all"), 0.0)
    model = scorer.trained.text_model
    for text in texts:
        times = [time.perf_counter()]
        document = Document.of(text)
        times.append(time.perf_counter())
        _ = document.words
        times.append(time.perf_counter())
        findings = scorer.reader.read(document)
        times.append(time.perf_counter())
        text_logit(model, windows(document, findings))
        times.append(time.perf_counter())
        for name, begin, end in zip(spent, times, times[1:], strict=False):
            spent[name] += end - begin
        begin = time.perf_counter()
        scorer.score(text)
        spent["all"] += time.perf_counter() - begin
    return spent


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "data"
    documents = corpus.read(path)
    texts = [document.text for document in documents]
    truth = [document.label == "redflag" for document in documents]
    scorer = Scorer.load()
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    pipeline.fit(texts, truth)
    print(f"{len(texts)} texts of {statistics.mean(len(text.split()) for text in texts):.0f} words on average, {path.name}")
    with threadpool_limits(1):
        ours, theirs = [], []
        for _ in range(REPEATS):  # by turns, so that a busy moment hits both
            theirs.append(seconds(lambda: pipeline.predict_proba(texts)))
            ours.append(seconds(lambda: [scorer.score(text) for text in texts]))
        print(f"als_redflags: {len(texts) / statistics.median(ours):,.0f} texts a second, full result with evidence")
        print(f"scikit-learn: {len(texts) / statistics.median(theirs):,.0f} texts a second, probability alone")
        print("times the throughput of scikit-learn:", spread([a / b for a, b in zip(theirs, ours, strict=True)]))
        every = EveryToken(scorer)
        some = texts[::SLOW_SHARE]
        slow, quick = [], []
        for _ in range(SLOW_REPEATS):
            slow.append(seconds(lambda: [every.find(text) for text in some]))
            quick.append(seconds(lambda: [scorer.score(text) for text in some]))
        print(
            "times the throughput of spaCy's Matcher on every token:", spread([a / b for a, b in zip(slow, quick, strict=True)])
        )
        spent = stages(scorer, texts)
        spent["report and the rest"] = spent["all"] - sum(time for name, time in spent.items() if name != "all")
    for name, time_spent in spent.items():
        print(f"{name:24} {time_spent / spent['all']:6.1%} {time_spent / len(texts) * 1e6:8.0f} microseconds a text")


if __name__ == "__main__":
    main()
