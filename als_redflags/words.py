"""The words of a text: one splitter for rules, word lists, text model and running text.

spaCy's tokenizer alone takes longer than all of scikit-learn's prediction on the same text, so texts are split by one regular
expression, and spaCy is given the words. Patterns and word lists are split by it too, so both always agree.
"""

import re

# Hyphens, slashes, quotes, brackets and bullets divide words and are none.
_SEPARATORS = re.escape('-/()[]{}"*#|_<>\u2013\u2014\u2022\u00b7')
_NO_LETTER = r"(?![^\W_])"
_PLAIN = re.compile(
    r"[^\W\d_]+(?:\d[^\W_]*)?"  # words; cd34
    rf"|\d+(?:[.,]\d+)*(?:(?:st|nd|rd|th){_NO_LETTER})?"  # 7,500; 2nd
    rf"|'(?:s|re|ve|ll|d|m){_NO_LETTER}"
    r"|\.\.+"
    rf"|[^\w\s'{_SEPARATORS}]"
)
# What only some texts hold, and what shows that a text may hold it: "doesn't", "cannot", addresses.
_RARE = re.compile(
    rf"[^\W\d_]+(?=n't{_NO_LETTER})|n't{_NO_LETTER}|can(?=not{_NO_LETTER})"
    r"|(?:https?://|www\.)[^\s\"<>]*[^\W_]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|" + _PLAIN.pattern
)
_SIGNS_OF_RARE = ("n't", "cannot", "://", "www.", "@")


def splitter(lower: str) -> re.Pattern[str]:
    """The expression whose matches are the words of this text, which is in lower case."""
    return _RARE if any(sign in lower for sign in _SIGNS_OF_RARE) else _PLAIN


def split(text: str) -> list[str]:
    """Words of a text, in lower case.

    >>> split("Lou Gehrig's stem-cell therapy doesn't work, $7,500.")
    ['lou', 'gehrig', "'s", 'stem', 'cell', 'therapy', 'does', "n't", 'work', ',', '$', '7,500', '.']
    """
    lower = text.lower()
    return splitter(lower).findall(lower)
