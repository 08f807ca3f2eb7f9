"""Cleaning, blocks and sentences, and the way back to the caller's string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_redflags.text import Document, _lines, clean

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


# Every character that cleaning replaces, and what it becomes.
REPLACED = [
    *((char, "'") for char in "\u2018\u2019\u201a\u201b\u2032\u00b4`"),
    *((char, '"') for char in "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033"),
    *((char, "-") for char in "\u2010\u2011"),
    *((char, "\n") for char in ("\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\r\n")),
    *((char, " ") for char in "\t\0\x08\x0e\x1f\x7f\u00a0\u1680\u2000\u200a\u202f\u205f\u3000"),
    *((char, "") for char in "\u00ad\u034f\u180e\u200b\u200f\u202a\u202e\u2060\u2064\u2066\u2069\ufeff"),
    ("\u2026", "..."), ("\u0130", "I"), ("\ufb01", "fi"), ("\uff21", "A"), ("\uff5e", "~"), ("\U0001d7ff", "9"),
    ("\ud800", "\ufffd"), ("\udfff", "\ufffd"),
]  # fmt: skip


@pytest.mark.parametrize(("char", "becomes"), REPLACED, ids=[ascii(char) for char, _ in REPLACED])
def test_each_character_and_the_way_back(char: str, becomes: str) -> None:
    source = f"ab{char}cd"
    text, offsets = clean(source)
    assert text == f"ab{becomes}cd"
    assert offsets.to_source(0, 2) == (0, 2)
    end = len(text)
    assert offsets.to_source(end - 2, end) == (len(source) - 2, len(source))
    assert offsets.to_source(0, end) == (0, len(source))
    if becomes:
        assert offsets.to_source(2, 3) == (2, 2 + len(char)), "a replaced run maps as a whole"


@pytest.mark.parametrize("char", "\u00e9\u4e2d\u2014\u2022\U0001f600\u20ac\ue000_~^z{")
def test_other_characters_stay(char: str) -> None:
    assert clean(f"a{char}b")[0] == f"a{char}b"


@pytest.mark.parametrize(
    ("source", "cleaned"),
    [
        ("It works.We offer", "It works. We offer"),
        ("It works!We offer", "It works! We offer"),
        ("Does it?We offer", "Does it? We offer"),
        ("It works.we offer", "It works.we offer"),
        ("U.S.We", "U.S.We"),
        ("It works.WE", "It works.WE"),
        ("about 2.5 We", "about 2.5 We"),
    ],
)
def test_glued_sentences(source: str, cleaned: str) -> None:
    assert clean(source)[0] == cleaned


WRAPPED = "x" * 44 + " y"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{WRAPPED}\ngoes on", [f"{WRAPPED}\ngoes on"]),
        (f"{WRAPPED}\ngoes on\nand on", [f"{WRAPPED}\ngoes on", "and on"]),
        (f"first\n{WRAPPED}\ngoes on", ["first", f"{WRAPPED}\ngoes on"]),
        (f"{'x' * 45}\ngoes on", [f"{'x' * 45}\ngoes on"]),
        (f"{'x' * 44}\ngoes on", ["x" * 44, "goes on"]),
        (f"a\n{'x' * 44}\ngoes on", ["a", "x" * 44, "goes on"]),
        (f"a\n{'x' * 45}\ngoes on", ["a", f"{'x' * 45}\ngoes on"]),
        (f"{WRAPPED}\n\ngoes on", [WRAPPED, "goes on"]),
        (f"{WRAPPED}\nGoes on", [WRAPPED, "Goes on"]),
        (f"{WRAPPED}\na) goes on", [WRAPPED, "a) goes on"]),
        *((f"{WRAPPED}{end}\ngoes on", [f"{WRAPPED}{end}", "goes on"]) for end in ".!?:;"),
        (f"{WRAPPED},\ngoes on", [f"{WRAPPED},\ngoes on"]),
        ("  a  \n \n\t\n b", ["a", "b"]),
        ("", []),
    ],
)
def test_wrapped_lines(text: str, lines: list[str]) -> None:
    assert [text[start:end] for start, end in _lines(text)] == lines


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("# A heading of more words than a short line has, with a full stop at the end.", [("heading", None)]),
        ("####### seven", [("heading", None)]),
        ("Short line", [("heading", None)]),
        ("Short line.", [("paragraph", None)]),
        ("Short line!", [("paragraph", None)]),
        ("Short line;", [("paragraph", None)]),
        ("Short line,", [("paragraph", None)]),
        ("one two three four five six seven eight nine ten", [("heading", None)]),
        ("one two three four five six seven eight nine ten eleven", [("paragraph", None)]),
        ("a " * 19 + "b?", [("heading", None)]),
        ("a " * 20 + "b?", [("paragraph", None)]),
        ("a " * 19 + "b:", [("heading", None)]),
        ("a " * 20 + "b:", [("paragraph", None)]),
        ("a " * 20 + "b:\nshort", [("paragraph", None), ("item", 0)]),
        ("a " * 20 + "b:\n" + "c " * 20 + "d.", [("paragraph", None), ("paragraph", 0)]),
        ("Title\nshort\nshort too", [("heading", None), ("item", 0), ("item", 0)]),
        ("Title\n- one\nshort", [("heading", None), ("item", 0), ("item", 0)]),
        ("Title\n- one\nIs it so?", [("heading", None), ("item", 0), ("heading", None)]),
        ("- one\n- two", [("item", None), ("item", None)]),
        ("It is long.\nTitle\nA sentence that ends.", [("paragraph", None), ("heading", None), ("paragraph", 1)]),
        ("Title\nfirst\nA sentence that ends here.", [("heading", None), ("item", 0), ("paragraph", 1)]),
        ("Title\nA sentence that ends.\nAnother one ends.", [("heading", None), ("paragraph", 0), ("paragraph", 0)]),
    ],
)  # fmt: skip
def test_kinds_of_blocks_and_what_governs_them(text: str, kinds: list[tuple[str, int | None]]) -> None:
    assert [(block.kind, block.governor) for block in Document.of(text).blocks] == kinds


BULLETS = ["- ", "* ", "+ ", "\u2022 ", "\u2713 ", "\u2705\ufe0f ", "1. ", "12) ", "(3) ", "a) ", "(b) ", "\u2014 "]


@pytest.mark.parametrize("bullet", BULLETS)
def test_bullets_are_no_part_of_an_item(bullet: str) -> None:
    document = Document.of(f"{bullet}walk again")
    (block,) = document.blocks
    assert block.kind == "item"
    assert document.text[block.start : block.end] == "walk again"


@pytest.mark.parametrize("line", ["-walk", "123. walk", "A) walk", "ab) walk", "1 walk"])
def test_what_is_no_bullet(line: str) -> None:
    assert Document.of(line).blocks[0].start == 0


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("x" * 1200, [1200]),
        ("x" * 1201, [1200, 1201]),
        ("x" * 1190 + " " + "y" * 100, [1190, 1291]),
        (" ".join(["word"] * 300), [1199, 1499]),
        ('He said "Stop." Then he left.', [15, 29]),
        ("(It works!) Yes.", [11, 16]),
        ("It works. and so on.", [20]),
        ("It works!! Yes.", [10, 15]),
        ("Dose no. five. See nos. 5 and 6. Yes.", [14, 32, 37]),
        ("No. 5 is it.", [12]),
        ("Is it no. Five said so.", [9, 23]),
        ("In nos. 5 and 6.", [16]),
        ("So did I. He left.", [9, 18]),
        ("By A. Lee. He left.", [10, 19]),
        ("Wait... Then it came.", [7, 21]),
    ],
)
def test_where_sentences_end(text: str, ends: list[int]) -> None:
    assert [sentence.end for sentence in Document.of(text).sentences] == ends


def test_words_of_a_document() -> None:
    document = Document.of("We cure ALS, 100%!\nDon't wait.")
    assert document.words == [["we", "cure", "als", ",", "100", "%", "!"], ["do", "n't", "wait", "."]]
    assert document.n_words == 7
    assert document.sentence_starts == [0, 19]
    assert [document.text[slice(*span)] for span in document.word_spans(1)] == ["Do", "n't", "wait", "."]
    repeated = Document.of("no no, no")
    assert repeated.word_spans(0) == [(0, 2), (3, 5), (5, 6), (7, 9)]
    assert Document.of("").n_words == 0


def test_a_capital_begins_a_sentence_after_nos_and_a_number_does_not() -> None:
    for text, sentences in (
        ("It is nos. Five said so.", 2),
        ("It is nos. 5 and 6.", 1),
        ("It is no. Five said so.", 2),
        ("It is no. 5.", 1),
    ):
        assert len(Document.of(text).sentences) == sentences
