"""How texts are split into words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags.text import Document
from als_redflags.words import split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Stem-cell therapy (ALS/MND)", "stem cell therapy als mnd"),
        ("it doesn't and can't work", "it does n't and ca n't work"),
        ("You cannot, we're sure", "you can not , we 're sure"),
        ("Wharton's jelly, patients' hope", "wharton 's jelly , patients hope"),
        ("$7,500 for 50M CD34+ cells", "$ 7,500 for 50 m cd34 + cells"),
        ("the 2nd visit costs 20k", "the 2nd visit costs 20 k"),
        ("wait...what?!", "wait ... what ? !"),
        ("see www.example.org/cure or info@cells.example.", "see www.example.org/cure or info@cells.example ."),
        ("sélénium élevé", "sélénium élevé"),
        ("   ", ""),
    ],
)
def test_split(text: str, words: str) -> None:
    assert split(text) == words.split()


@given(st.text(alphabet=st.sampled_from("abn't'sc no.,?!1$-()\n @:/w"), max_size=80))
def test_words_stand_where_their_spans_say(text: str) -> None:
    document = Document.of(text)
    for number, words in enumerate(document.words):
        spans = document.word_spans(number)
        assert [document.lower[start:end] for start, end in spans] == words
        sentence = document.sentences[number]
        edges = [sentence.start, *(edge for span in spans for edge in span), sentence.end]
        assert edges == sorted(edges)
