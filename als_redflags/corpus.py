"""Labelled documents in JSON Lines: reading and checking.

One document a line: ``id``, ``text``, ``label`` (``redflag``, ``mild`` or ``clean``), ``stratum``, ``group`` (site or
author, never split across folds), optional ``origin``, ``spans`` [{``flag``, ``start``, ``end``, ``stance``}],
``span_read`` (whether somebody looked for spans; by default true where there are any) and, to describe what the text is about,
``disease``, ``product``, ``country``, ``tone`` and ``hard`` (whether it was written to be mistaken).
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from als_redflags.errors import CorpusError

LABELS = ("redflag", "mild", "clean")
_REQUIRED = ("id", "text", "label", "stratum", "group")
_RUN_WORDS = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A marked red flag: ``text[start:end]``, ``asserted`` by a seller or ``discounted``."""

    flag: str
    start: int
    end: int
    stance: str


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A text with its label; see the module's description of the fields."""

    id: str
    text: str
    label: str
    stratum: str
    group: str
    origin: str | None
    spans: tuple[Span, ...]
    span_read: bool
    disease: str | None = None
    product: str | None = None
    country: str | None = None
    tone: str | None = None
    hard: bool = False


def read(path: str | Path) -> list[LabelledDocument]:
    """Read a JSON Lines file, or all of a folder in the order of their names.

    Raises
    ------
    CorpusError
        If nothing is there or a line breaks the format; the message names file, line and field.
    """
    path = Path(path)
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"{path}: holds no .jsonl file")
    documents = [document for file in files for document in _read_file(file)]
    if not documents:
        raise CorpusError(f"{path}: holds no document")
    return documents


def _read_file(file: Path) -> Iterable[LabelledDocument]:
    try:
        lines = file.read_text("utf-8").split("\n")
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file}: is not UTF-8 (byte {error.start}); convert it first") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _document(line, f"{file}, line {number}")


def _document(line: str, where: str) -> LabelledDocument:
    try:
        raw: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: is no valid JSON ({error.msg})") from None
    if not isinstance(raw, dict):
        raise CorpusError(f"{where}: expected an object with the fields {', '.join(_REQUIRED)}")
    for name in _REQUIRED:
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise CorpusError(f"{where}: {name}: a non-empty text is required")
    if raw["label"] not in LABELS:
        raise CorpusError(f"{where}: label: {raw['label']!r} is none of {', '.join(LABELS)}")
    try:
        spans = tuple(Span(s["flag"], int(s["start"]), int(s["end"]), s["stance"]) for s in raw.get("spans", []))
    except (KeyError, TypeError, ValueError):
        raise CorpusError(f"{where}: spans: every span has flag, start, end and stance") from None
    for span in spans:
        if not 0 <= span.start < span.end <= len(raw["text"]) or span.stance not in ("asserted", "discounted"):
            raise CorpusError(f"{where}: spans: {span} does not fit the text, or its stance is unknown")
    return LabelledDocument(
        raw["id"],
        raw["text"],
        raw["label"],
        raw["stratum"],
        raw["group"],
        raw.get("origin"),
        spans,
        bool(raw.get("span_read", bool(spans))),
        **{name: raw.get(name) for name in ("disease", "product", "country", "tone")},
        hard=bool(raw.get("hard", False)),
    )


def sha256(documents: Iterable[LabelledDocument]) -> str:
    """Hash of all that training uses: text, label and group, in order."""
    digest = hashlib.sha256()
    for document in documents:
        for part in (document.id, document.text, document.label, document.group):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def words_of(text: str) -> list[str]:
    """Words and numbers in lower case, for comparing texts."""
    return re.findall(r"[a-z0-9']+", text.lower())


def problems(documents: list[LabelledDocument], known_flags: Iterable[str] | None = None) -> list[str]:
    """What is wrong with a corpus as a whole: repeated ids or texts, unknown flags, phrases that many groups share.

    A run of 8 words in more than two groups is a sign of copied or templated text.
    """
    found = []
    ids: dict[str, int] = defaultdict(int)
    texts: dict[str, str] = {}
    runs: dict[str, set[str]] = defaultdict(set)
    flags = set(known_flags) if known_flags is not None else None
    for document in documents:
        ids[document.id] += 1
        words = words_of(document.text)
        plain = " ".join(words)
        if plain in texts:
            found.append(f"{document.id}: has the same words as {texts[plain]}")
        texts[plain] = document.id
        for i in range(len(words) - _RUN_WORDS + 1):
            runs[" ".join(words[i : i + _RUN_WORDS])].add(document.group)
        for span in document.spans:
            if flags is not None and span.flag not in flags:
                found.append(f"{document.id}: unknown flag {span.flag!r}")
    found += [f"the id {name!r} is used {count} times" for name, count in ids.items() if count > 1]
    found += [f"{len(groups)} groups share the words {run!r}" for run, groups in runs.items() if len(groups) > 2]
    return found
