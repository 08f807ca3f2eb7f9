"""The words of a text: one splitter for rules, word lists, text model and running text.

spaCy's tokenizer alone takes longer than all of scikit-learn's prediction on the same text, so texts are split by one regular
expression, and spaCy is given the words. Patterns and word lists are split by it too, so both always agree.
"""

import re

# Hyphens, slashes, quotes, brackets and bullets divide words and are none.
_SEPARATORS = re.escape('-/()[]{}"*#|_<>\u2013\u2014\u2022\u00b7')


def _patterns(letter: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The splitter for ordinary texts, and for those that may hold "doesn't", "cannot" or addresses."""
    no_letter = r"(?![^\W_])"
    plain = (
        rf"{letter}+(?:\d[^\W_]*)?"  # words; cd34
        rf"|\d+(?:[.,]\d+)*(?:(?:st|nd|rd|th){no_letter})?"  # 7,500; 2nd
        rf"|'(?:s|re|ve|ll|d|m){no_letter}"
        r"|\.\.+"
        rf"|[^\w\s'{_SEPARATORS}]"
    )
    rare = (
        rf"{letter}+(?=n't{no_letter})|n't{no_letter}|can(?=not{no_letter})"
        r"|(?:https?://|www\.)[^\s\"<>]*[^\W_]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    )
    return re.compile(plain), re.compile(f"{rare}|{plain}")


# The same expression twice: a set of plain letters is found much faster than the class of all letters.
_ASCII = _patterns("[a-z]")
_UNICODE = _patterns(r"[^\W\d_]")
_SIGNS_OF_RARE = ("n't", "cannot", "://", "www.", "@")


def splitter(lower: str) -> re.Pattern[str]:
    """The expression whose matches are the words of this text, which is in lower case."""
    plain, rare = _ASCII if lower.isascii() else _UNICODE
    return rare if any(sign in lower for sign in _SIGNS_OF_RARE) else plain


def split(text: str) -> list[str]:
    """Words of a text, in lower case.

    >>> split("Lou Gehrig's stem-cell therapy doesn't work, $7,500.")
    ['lou', 'gehrig', "'s", 'stem', 'cell', 'therapy', 'does', "n't", 'work', ',', '$', '7,500', '.']
    """
    lower = text.lower()
    return splitter(lower).findall(lower)
