"""The trained text model as plain arrays: TF-IDF over words and word pairs, then a linear logit.

scikit-learn fits it (``train.py``); scoring needs the arrays alone, so that neither scikit-learn's version nor a pickle
stands between a text and its score. ``terms`` is the analyser of both: scikit-learn's vectoriser is given this function.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from als_redflags.rulebook import RULES, load_lexicons
from als_redflags.text import Document
from als_redflags.words import split

# What the model must not learn: our invented prices, dates, places and the choice of diseases. A clinic in Panama is no better or
# worse than one in Ohio, honest pages are about ALS too, and numbers are the rules' business.
_PLACE = dict.fromkeys(
    "mexico mexican tijuana cancun panama panamanian costa rica colombia colombian bogota medellin cayman bahamas dominican "
    "turkey turkish istanbul ukraine ukrainian kyiv kiev georgia georgian tbilisi russia russian moscow india indian delhi "
    "mumbai bangalore chennai kerala thailand thai bangkok china chinese beijing malaysia malaysian germany german dubai "
    "emirates philippines manila japan japanese tokyo korea korean seoul kazakhstan almaty serbia belgrade argentina peru "
    "ecuador brazil spain spanish switzerland swiss egypt cairo indonesia jakarta vietnam israel london paris england "
    "britain british uk usa us american america australia australian canada canadian florida texas california ohio nevada "
    "arizona utah colorado york boston chicago houston dallas miami orlando tampa vegas angeles diego denver phoenix atlanta "
    "seattle toronto vancouver sydney melbourne italy italian france french greece greek poland polish europe european asia "
    "asian africa african".split(),
    "@",
)


_ILLNESS = "illness"
# Short forms that are words of their own in lower case: Ed, aids, cp.
_AMBIGUOUS = frozenset({"ed", "aids", "cp", "amd", "msa"})


_STOPS = frozenset(",.;:&+=~") | {"..", "..."}
_SENTENCE_END = "\n"  # stands between sentences that are read together; no term holds it


@cache
def _diseases() -> dict[str, list[tuple[str, ...]]]:
    """Names of diseases as runs of words, longest first, by their first word."""
    lexicons, _ = load_lexicons(RULES / "lexicon")
    found: dict[str, list[tuple[str, ...]]] = {}
    for entry in lexicons["disease"]:
        words = tuple(split(entry))
        if words and entry.lower() not in _AMBIGUOUS:
            found.setdefault(words[0], []).append(words)
    return {first: sorted(runs, key=len, reverse=True) for first, runs in found.items()}


def _name_illness(words: list[str], diseases: dict[str, list[tuple[str, ...]]]) -> list[str]:
    named: list[str] = []
    done = 0
    for place in [place for place, word in enumerate(words) if word in diseases]:
        for run in diseases[words[place]]:
            if place >= done and tuple(words[place : place + len(run)]) == run:
                named += words[done:place]
                named.append(_ILLNESS)
                done = place + len(run)
                break
    return named + words[done:]


def masked(words: list[str]) -> list[str]:
    """Words as the model reads them: numbers ``#``, places ``@``, diseases ``illness``, no commas and stops.

    >>> masked(["we", "treat", "als", "in", "3", "days", ",", "not", "years", "!"])
    ['we', 'treat', 'illness', 'in', '#', 'days', 'not', 'years', '!']
    """
    place = _PLACE.get
    named = _name_illness(words, _diseases())
    return ["#" if "0" <= word < ":" else place(word, word) for word in named if word not in _STOPS]


Term = str | tuple[str, str]  # a word or a pair of words


def terms(document: Document, ngram: int = 2) -> list[str]:
    """Words and word pairs of a document; pairs do not cross the ends of sentences.

    >>> terms(Document.of("We treat ALS. No cure"))
    ['we', 'treat', 'illness', 'we treat', 'treat illness', 'no', 'cure', 'no cure']
    """
    found: list[str] = []
    for sentence in document.words:
        words = masked(sentence)
        found += words
        if ngram > 1:
            found += map(" ".join, pairwise(words))
    return found


def as_vocabulary(names: Iterable[str]) -> dict[Term, int]:
    """The index of each term by the word, or by the tuple of two, that is looked up in a text."""
    vocabulary: dict[Term, int] = {}
    for number, name in enumerate(names):
        first, _, second = name.partition(" ")
        vocabulary[(first, second) if second else first] = number
    return vocabulary


@dataclass(frozen=True)
class TextModel:
    """TF-IDF and a logistic regression.

    A term counts once however often it occurs (binary term frequency), and the vector of a text has length 1. On pages of unseen
    sites this carried over better than counts.

    Attributes
    ----------
    vocabulary : dict of terms (a word, or a tuple of two) to int, the index of each term
    idf : ndarray of shape (n_terms,), inverse document frequencies
    coef : ndarray of shape (n_terms,), weights in logits
    intercept : float, in logits
    """

    vocabulary: dict[Term, int]
    idf: NDArray[np.float64]
    coef: NDArray[np.float64]
    intercept: float

    def known(self, sentences: Iterable[list[str]]) -> set[int]:
        """Indices of the known terms in sentences, each a list of words as :func:`als_redflags.words.split` gives them."""
        words: list[str] = []
        for sentence in sentences:
            words += sentence
            words.append(_SENTENCE_END)
        words = masked(words)
        find = self.vocabulary.get
        found: set[int | None] = {*map(find, words), *map(find, pairwise(words))}
        found.discard(None)
        return found  # type: ignore[return-value]  # None was discarded

    def logit(self, known: set[int]) -> float:
        """Log-odds that a text with these terms is red-flag marketing, by its words alone."""
        reading = Reading(self)
        reading.add(known)
        return reading.logit

    def weights(self, known: set[int], most: int | None = None) -> list[tuple[str, float]]:
        """The share of each term in the logit, in logits; those that move it most come first."""
        norm = math.sqrt(sum(map(self.squares.__getitem__, known)))
        chosen = sorted(known, key=self._ranks.__getitem__)[:most]
        return [(self._names[i], self.products[i] / norm) for i in chosen]

    @cached_property
    def _names(self) -> list[str]:
        return [term if isinstance(term, str) else " ".join(term) for term in self.vocabulary]

    # As lists of Python numbers: a text holds a few hundred terms, too few to be worth the way into NumPy and back
    @cached_property
    def squares(self) -> list[float]:
        return list(map(float, self.idf**2))

    @cached_property
    def products(self) -> list[float]:
        return list(map(float, self.idf * self.coef))

    @cached_property
    def _ranks(self) -> list[int]:
        order = np.argsort(-np.abs(self.idf * self.coef), kind="stable")
        ranks = np.empty(len(order), dtype=np.intp)
        ranks[order] = np.arange(len(order))
        return list(map(int, ranks))


class Reading:
    """The logit of a text that is read piece by piece: each piece costs what it adds."""

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self._square = 0.0
        self._product = 0.0
        self.known: set[int] = set()

    def add(self, known: set[int]) -> None:
        new = known - self.known
        self.known |= new
        self._square += sum(map(self._model.squares.__getitem__, new))
        self._product += sum(map(self._model.products.__getitem__, new))

    @property
    def logit(self) -> float:
        return self._model.intercept + (self._product / math.sqrt(self._square) if self.known else 0.0)
