"""Cleaning, blocks and sentences, and the way back to the caller's string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags.text import Document, clean

# Characters that cleaning changes, among ordinary ones.
ODD = "\u00ad\u200b\u202e\ufeff\u00a0\u2019\u201c\u2026\uff23\ufb01\U0001d400\u0130\r\n\t.!?-*\u2022 \ud800"
TEXT = st.text(alphabet=st.one_of(st.sampled_from(ODD + "abcXYZ 123"), st.characters()), max_size=300)


@given(TEXT)
def test_every_span_of_the_cleaned_text_maps_into_the_source(source: str) -> None:
    text, offsets = clean(source)
    previous = (0, 0)
    for position in range(len(text)):
        start, end = offsets.to_source(position, position + 1)
        assert 0 <= start < end <= len(source)
        assert start >= previous[0], "order is kept"
        if source[start:end] == text[position]:
            assert end == start + 1
        previous = (start, end)


@given(TEXT)
def test_cleaning_twice_changes_nothing_more(source: str) -> None:
    once, _ = clean(source)
    twice, _ = clean(once)
    assert twice == once


@given(TEXT)
def test_sentences_lie_in_their_blocks_in_order_and_cover_all_letters(source: str) -> None:
    document = Document.of(source)
    assert len(document.lower) == len(document.text)
    end = 0
    covered = set()
    for sentence in document.sentences:
        block = document.blocks[sentence.block]
        assert end <= sentence.start < sentence.end
        assert block.start <= sentence.start
        assert sentence.end <= block.end
        covered |= set(range(sentence.start, sentence.end))
        end = sentence.end
    missed = [c for i, c in enumerate(document.text) if i not in covered and c.isalpha()]
    # a bullet may be a letter ("a)"); nothing else is lost
    assert len(missed) <= len(document.blocks)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Lee treats ALS. Call us!", ["Dr. Lee treats ALS.", "Call us!"]),
        ("Approved in the U.S. and the U.K. by nobody.", ["Approved in the U.S. and the U.K. by nobody."]),
        ("Use e.g. rest. Then walk.", ["Use e.g. rest.", "Then walk."]),
        ("See No. 5 of the list.", ["See No. 5 of the list."]),
        ("Is it safe? No. We looked.", ["Is it safe?", "No.", "We looked."]),
        ("It works.We offer it.", ["It works.", "We offer it."]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("* one\n* two\n3) three", ["one", "two", "three"]),
        ("Dose is 2.5 ml. Fine.", ["Dose is 2.5 ml.", "Fine."]),
        ("Smith et al. found it. So did J. Doe.", ["Smith et al. found it.", "So did J. Doe."]),
        (
            "A line that was wrapped by an editor at eighty\ncharacters goes on here.",
            ["A line that was wrapped by an editor at eighty\ncharacters goes on here."],
        ),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    document = Document.of(text)
    assert [document.text[s.start : s.end] for s in document.sentences] == sentences


def test_headings_govern_the_list_below_them() -> None:
    document = Document.of(
        "Warning signs\n\n- secret method\n- guaranteed cure\n\nA long sentence that ends the list, as most do."
    )
    kinds = [block.kind for block in document.blocks]
    assert kinds == ["heading", "item", "item", "paragraph"]
    assert [block.governor for block in document.blocks][1:3] == [0, 0]


def test_lead_in_line_governs_bare_lines() -> None:
    document = Document.of("Be careful with pages that say the following:\nno side effects\nfast results")
    assert [block.governor for block in document.blocks] == [None, 0, 0]


def test_line_numbers_count_from_one() -> None:
    document = Document.of("a\nb\nc")
    assert [document.line(offset) for offset in (0, 2, 4)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "cleaned"),
    [
        ("we\u00a0cure", "we cure"),
        ("c\u200bure", "cure"),
        ("cu\u00adre", "cure"),
        ("\u201ccure\u201d", '"cure"'),
        ("it\u2019s", "it's"),
        ("\uff23\uff35\uff32\uff25", "CURE"),
        ("\U0001d40e\U0001d42e\U0001d42b", "Our"),
        ("a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_what_cleaning_undoes(source: str, cleaned: str) -> None:
    assert clean(source)[0] == cleaned
