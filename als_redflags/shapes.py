"""Numbers, percentages, amounts of money and registry numbers in running text."""

import re

SHAPE_NAMES = ("number", "thousands", "percent", "money", "fee", "registry")

_AMOUNT = r"\d[\d,.]*\d|\d"
_SCALE = r"\s?(?:k|thousand|lakhs?|million|crores?|m|bn|billion)\b"
_CURRENCY_SIGN = r"(?:us|ca|a|nz|s|hk)?[$\u20ac\u00a3\u20b9\u0e3f\u00a5\u20bd]|\b(?:usd|eur|gbp|inr|aud|cad|thb|rs\.?|chf)"
_CURRENCY_WORD = (
    r"(?:us\s)?(?:usd|eur|gbp|inr|aud|cad|chf|thb|dollars?|euros?|pounds|rupees|baht|pesos|francs|"
    r"[$\u20ac\u00a3])"
)
_MONEY = re.compile(
    rf"(?:{_CURRENCY_SIGN})\s?(?P<a>{_AMOUNT})(?P<sa>{_SCALE})?|"
    rf"\b(?P<b>{_AMOUNT})(?P<sb>{_SCALE})?\s?{_CURRENCY_WORD}(?![a-z])"
)
_PERCENT = re.compile(rf"(?:{_AMOUNT}|\b[a-z]+(?:y|teen|ten))\s?(?:%|per\s?cent\b)|(?:{_AMOUNT})\s?percent\b")
_DIGITS = re.compile(r"\d[\d,.]*\d|\d")
NUMBER_WORDS = frozenset(
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty seventy eighty "
    "ninety dozen dozens hundred hundreds thousand thousands million millions billion billions".split()
)
_THOUSANDS = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:[.,]\d{3})+|\d{4,7}|\d{3}(?=\s?\+))(?![\d.,]*\d)(?:\s?\+)?")
_REGISTRY = re.compile(r"\bnct\s?\d{8}\b|\bisrctn\s?\d{8}\b|\b20\d{2}-\d{6}-\d{2}\b")
_FEE_RANGE = (1_000, 200_000)  # TAXONOMY of prices seen: 1,150 for one injection to 41,500 for a package of twelve
_FOREIGN_SMALL = re.compile(r"inr|rs|rupees|\u20b9|baht|thb|\u0e3f|pesos|\u00a5|\u20bd|lakh|crore")
_MAY_HOLD = re.compile(r"\d|%|cent\b")


def shapes(lower: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """Shapes in ``lower[start:end]``, a text in lower case, as (name, start, end).

    Numbers in words are not among them: a list of words finds those faster.
    """
    if not _MAY_HOLD.search(lower, start, end):
        return []
    found = [("number", *m.span()) for m in _DIGITS.finditer(lower, start, end)]
    found += [("thousands", *m.span()) for m in _THOUSANDS.finditer(lower, start, end)]
    found += [("registry", *m.span()) for m in _REGISTRY.finditer(lower, start, end)]
    found += [("percent", *m.span()) for m in _PERCENT.finditer(lower, start, end)]
    for match in _MONEY.finditer(lower, start, end):
        found.append(("money", *match.span()))
        if _FEE_RANGE[0] <= _amount(match) <= _FEE_RANGE[1]:
            found.append(("fee", *match.span()))
    return found


def _amount(match: re.Match[str]) -> float:
    """An amount as a number; 0 where the currency's unit is too small for the range of fees to mean anything."""
    if _FOREIGN_SMALL.search(match.group()):
        return 0.0
    digits = match.group("a") or match.group("b")
    scale = (match.group("sa") or match.group("sb") or "").strip()
    # "5.000" and "5,000" are thousands; "5.5k" is a decimal
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits).replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        return 0.0
    return value * {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "bn": 1e9, "billion": 1e9}.get(scale, 1)
