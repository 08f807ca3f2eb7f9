"""The trained text model as plain arrays: TF-IDF over words and word pairs, then a linear logit.

scikit-learn fits it (``train.py``); scoring needs the arrays alone, so that neither scikit-learn's version nor a pickle
stands between a text and its score. ``terms`` is the analyser of both: scikit-learn's vectoriser is given this function.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from als_redflags.rulebook import load_lexicons

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[$\u20ac\u00a3\u20b9%?!]|\d[\d.,]*")
_SENTENCE_GAP = re.compile(r"(?<=[.!?])\s+|\n+")

# What the model must not learn: our invented prices, dates, places and the choice of diseases. A clinic in Panama is no better or
# worse than one in Ohio, honest pages are about ALS too, and numbers are the rules' business.
_PLACES = frozenset(
    "mexico mexican tijuana cancun panama panamanian costa rica colombia colombian bogota medellin cayman bahamas dominican "
    "turkey turkish istanbul ukraine ukrainian kyiv kiev georgia georgian tbilisi russia russian moscow india indian delhi "
    "mumbai bangalore chennai kerala thailand thai bangkok china chinese beijing malaysia malaysian germany german dubai "
    "emirates philippines manila japan japanese tokyo korea korean seoul kazakhstan almaty serbia belgrade argentina peru "
    "ecuador brazil spain spanish switzerland swiss egypt cairo indonesia jakarta vietnam israel london paris england "
    "britain british uk usa us american america australia australian canada canadian florida texas california ohio nevada "
    "arizona utah colorado york boston chicago houston dallas miami orlando tampa vegas angeles diego denver phoenix atlanta "
    "seattle toronto vancouver sydney melbourne italy italian france french greece greek poland polish europe european asia "
    "asian africa african".split()
)


_ILLNESS = "illness"
# Short forms that are words of their own in lower case: Ed, aids, cp.
_AMBIGUOUS = frozenset({"ed", "aids", "cp", "amd", "msa"})


@cache
def _diseases() -> dict[str, list[tuple[str, ...]]]:
    """Names of diseases as runs of words, longest first, by their first word."""
    lexicons, _ = load_lexicons(Path(str(files("als_redflags"))) / "rules" / "lexicon")
    found: dict[str, list[tuple[str, ...]]] = {}
    for entry in lexicons["disease"]:
        words = tuple(_TOKEN.findall(entry.lower()))
        if words and entry.lower() not in _AMBIGUOUS:
            found.setdefault(words[0], []).append(words)
    return {first: sorted(runs, key=len, reverse=True) for first, runs in found.items()}


def _mask(words: list[str]) -> list[str]:
    diseases = _diseases()
    masked: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        for run in diseases.get(word, ()):
            if tuple(words[position : position + len(run)]) == run:
                masked.append(_ILLNESS)
                position += len(run)
                break
        else:
            masked.append("#" if word[0].isdigit() else "@" if word in _PLACES else word)
            position += 1
    return masked


def terms(text: str, ngram: int = 2) -> list[str]:
    """Words and word pairs of a text; numbers become ``#``, places ``@``, diseases ``illness``; pairs do not cross sentence ends.

    >>> terms("We treat ALS in 3 days!")
    ['we', 'treat', 'illness', 'in', '#', 'days', '!', 'we treat', 'treat illness', 'illness in', 'in #', '# days', 'days !']
    """
    found: list[str] = []
    for part in _SENTENCE_GAP.split(text.lower().replace("\u2019", "'") + "\n"):
        words = _mask(_TOKEN.findall(part))
        found += words
        for n in range(2, ngram + 1):
            found += [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    return found


@dataclass(frozen=True)
class TextModel:
    """TF-IDF and a logistic regression.

    A term counts once however often it occurs (binary term frequency), and the vector of a text has length 1. On pages of unseen
    sites this carried over better than counts.

    Attributes
    ----------
    vocabulary : dict of str to int, the index of each term
    idf : ndarray of shape (n_terms,), inverse document frequencies
    coef : ndarray of shape (n_terms,), weights in logits
    intercept : float, in logits
    """

    vocabulary: dict[str, int]
    idf: NDArray[np.float64]
    coef: NDArray[np.float64]
    intercept: float

    def known(self, text: str) -> set[int]:
        """Indices of the known terms that occur in ``text``."""
        return {self.vocabulary[term] for term in terms(text) if term in self.vocabulary}

    def weights(self, known: set[int]) -> Iterator[tuple[str, float]]:
        """The share of each term in the logit, in logits."""
        if known:
            index, shares = self._shares(known)
            yield from zip((self._names[i] for i in index.tolist()), shares.tolist(), strict=True)

    def logit(self, known: set[int]) -> float:
        """Log-odds that a text with these terms is red-flag marketing, by its words alone."""
        return self.intercept + (math.fsum(self._shares(known)[1].tolist()) if known else 0.0)

    def _shares(self, known: set[int]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        index = np.array(sorted(known), dtype=np.intp)
        tfidf = self.idf[index]
        return index, tfidf / math.sqrt(float(tfidf @ tfidf)) * self.coef[index]

    @cached_property
    def _names(self) -> list[str]:
        return list(self.vocabulary)
