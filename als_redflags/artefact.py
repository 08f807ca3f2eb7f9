"""The trained artefact: arrays in ``redflags.npz``, compiled rules in ``redflags.rules.json``, the rest in ``redflags.json``.

Nothing is unpickled. The header carries hashes of the other files and of the rule book the combiner was fitted with; a wrong
one is an error, because the score would be silently off. A model with rules of its own (``train --rules``) is as good as one with
the package's; both are checked alike.
"""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from als_redflags.compiled import Tables, compile_rules
from als_redflags.errors import ModelError
from als_redflags.model import TextModel, as_vocabulary
from als_redflags.rulebook import RuleBook, digest

FORMAT = "als-redflags-model"
FORMAT_VERSION = 2
# Far above what training writes (10 kB, 600 kB, 2 MB); far below what would hurt
_MOST_BYTES = {"redflags.json": 1_000_000, "redflags.npz": 50_000_000, "redflags.rules.json": 50_000_000}
_MOST_UNPACKED = 500_000_000
_ARRAY_KINDS = {"terms": "U", "idf": "f", "coef": "f", "intercept": "f"}
# Features that the scorer always asks for, and those that may only lower a score; all others may only raise it
_ALWAYS = frozenset({"text model", "treatment named", "offer", "honest", "legitimacy"})
_FALLING = frozenset({"honest", "legitimacy"})
_RETRAIN = "Train one with 'als-redflags train', or reinstall the package."


@dataclass(frozen=True)
class Combiner:
    """Logistic regression over few features: ``weights`` by feature name and ``intercept``, in logits."""

    intercept: float
    weights: dict[str, float]


@dataclass(frozen=True)
class Artefact:
    """Everything that training produces and scoring needs.

    ``book`` and ``tables`` are the rules and their compiled form, ``thresholds`` the least scores for the verdicts ``caution``
    and ``high``; ``header`` is the whole JSON header.
    """

    text_model: TextModel
    book: RuleBook
    tables: Tables
    combiner: Combiner
    thresholds: dict[str, float]
    sha256: str
    header: dict[str, Any]

    @property
    def version(self) -> str:
        return str(self.header["version"])


def locate(path: str | Path | None = None) -> Path:
    """The folder of the artefact: ``path``, or the one in the wheel, or the one of the checkout.

    Raises
    ------
    ModelError
        If there is no ``redflags.json`` in it.
    """
    package = Path(__file__).parent
    if path is not None:
        folders = [Path(path)]
    else:
        folders = [package / "models"]
        project = package.parent / "pyproject.toml"
        if project.is_file() and 'name = "als-redflags"' in project.read_text("utf-8"):
            folders.append(package.parent / "models")
    for folder in folders:
        if (folder / "redflags.json").is_file():
            return folder
    raise ModelError(f"No model found in {' or '.join(map(str, folders))}. {_RETRAIN}")


def save(folder: Path, text_model: TextModel, book: RuleBook, header: dict[str, Any]) -> None:
    """Write the three files; ``header`` gets format and hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, rules = folder / "redflags.npz", folder / "redflags.rules.json"
    compiled = {"book": book.to_dict(), "tables": compile_rules(book).to_dict()}
    rules.write_text(json.dumps(compiled, ensure_ascii=False, separators=(",", ":")), "utf-8")
    names = np.array([term if isinstance(term, str) else " ".join(term) for term in text_model.vocabulary], dtype=np.str_)
    np.savez_compressed(
        arrays,
        terms=names,
        idf=text_model.idf,
        coef=text_model.coef,
        intercept=np.array([text_model.intercept]),
    )
    full = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "arrays_sha256": file_sha256(arrays),
        "rules_sha256": file_sha256(rules),
        "rulebook_sha256": book.sha256,
        **({} if book.sha256 == digest() else {"package_rules_sha256": digest()}),
        **header,
    }
    (folder / "redflags.json").write_text(json.dumps(full, indent=2, sort_keys=True) + "\n", "utf-8")


def load(path: str | Path | None = None) -> Artefact:
    """Read and check the artefact.

    Every file is read once, and what was hashed is what is used. Sizes are limited before anything is unpacked.

    Raises
    ------
    ModelError
        If it is missing, damaged, too large, of another format, or was trained with other rules.
    """
    folder = locate(path)
    header_file, arrays_file, rules_file = (folder / name for name in _MOST_BYTES)
    with _explained(header_file):
        header = _json(_read(header_file))
        if header["format"] != FORMAT or header["format_version"] != FORMAT_VERSION:
            raise ModelError(_other_format(header_file, header["format"], header["format_version"]))
        combiner, thresholds = _combiner(header), _thresholds(header)
        if not isinstance(header["version"], str):
            raise ValueError("version is no text")
    contents = {}
    for file, key in ((arrays_file, "arrays_sha256"), (rules_file, "rules_sha256")):
        contents[file] = _read(file)
        if hashlib.sha256(contents[file]).hexdigest() != header.get(key):
            raise ModelError(f"{file}: does not match its header; it was changed or is damaged. {_RETRAIN}")
    # A model with rules of its own carries them, but depends on the package's lists for what it masks.
    if header.get("package_rules_sha256", header.get("rulebook_sha256")) != digest():
        raise ModelError(
            f"{header_file}: was trained with other rules than the ones installed. Run 'als-redflags train' after a "
            "change of the rules, or reinstall the package."
        )
    with _explained(arrays_file):
        text_model = _text_model(_arrays(contents[arrays_file]))
    with _explained(rules_file):
        compiled = _json(contents[rules_file])
        book, tables = RuleBook.from_dict(compiled["book"]), Tables.from_dict(compiled["tables"])
        tables.check(book)
        if book.sha256 != header.get("rulebook_sha256"):
            raise ValueError("the rules are not those that the header names")
        if missing := {*book.families} - {*combiner.weights}:
            raise ValueError(f"the combiner has no weight for {', '.join(sorted(missing))}")
    return Artefact(text_model, book, tables, combiner, thresholds, str(header["arrays_sha256"]), header)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn whatever wrong data can raise into one sentence."""
    try:
        yield
    except ModelError:
        raise
    except (Exception, RecursionError) as error:
        raise ModelError(f"{file}: the model cannot be read ({type(error).__name__}: {error}). {_RETRAIN}") from None


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_BYTES[file.name]:
            raise ModelError(f"{file}: is larger than {_MOST_BYTES[file.name] // 1_000_000} MB and no model. {_RETRAIN}")
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: the model cannot be read ({error.strerror}). {_RETRAIN}") from None


def _json(data: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    found = json.loads(data.decode("utf-8"), parse_constant=refuse)
    if not isinstance(found, dict):
        raise ValueError("expected an object")
    return found


def _other_format(file: Path, name: object, version: object) -> str:
    newer = name == FORMAT and isinstance(version, int) and version > FORMAT_VERSION
    return f"{file}: is of format {name!r} {version}, this version reads {FORMAT!r} {FORMAT_VERSION}. " + (
        "It was made by a newer als-redflags: upgrade the package." if newer else _RETRAIN
    )


def _number(value: object, name: str, lowest: float = -math.inf, highest: float = math.inf) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not lowest <= value <= highest
    ):
        raise ValueError(f"{name}: {value!r} is no number that fits")
    return float(value)


def _combiner(header: dict[str, Any]) -> Combiner:
    """The combiner; its signs are what keeps a further red flag from lowering a score."""
    raw = header["combiner"]
    weights = {}
    for name, value in raw["weights"].items():
        falling = name in _FALLING
        weights[name] = _number(value, name, -math.inf if falling else 0.0, 0.0 if falling else math.inf)
    if missing := _ALWAYS - {*weights}:
        raise ValueError(f"the combiner has no weight for {', '.join(sorted(missing))}")
    return Combiner(_number(raw["intercept"], "intercept"), weights)


def _thresholds(header: dict[str, Any]) -> dict[str, float]:
    caution = _number(header["thresholds"]["caution"], "caution", 0.0, 1.0)
    return {"caution": caution, "high": _number(header["thresholds"]["high"], "high", caution, 1.0)}


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file; what a member says of its size is checked before memory is given to it."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(f"{name}.npy" for name in _ARRAY_KINDS):
            raise ValueError(f"expected the arrays {', '.join(_ARRAY_KINDS)}")
        if sum(member.file_size for member in members) > _MOST_UNPACKED:
            raise ValueError(f"it unpacks to more than {_MOST_UNPACKED // 1_000_000} MB")
        for name, kind in _ARRAY_KINDS.items():
            stored = archive.read(f"{name}.npy")
            stream = io.BytesIO(stored)
            version = np.lib.format.read_magic(stream)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = read_header(stream)
            if len(shape) != 1 or dtype.kind != kind or shape[0] * dtype.itemsize != len(stored) - stream.tell():
                raise ValueError(f"{name}: expected one dimension of kind {kind!r}, found {shape} of {dtype}")
            stream.seek(0)
            arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _text_model(arrays: dict[str, NDArray[Any]]) -> TextModel:
    names = arrays["terms"].tolist()
    vocabulary = as_vocabulary(names)
    idf, coef, intercept = (arrays[name].astype(np.float64) for name in ("idf", "coef", "intercept"))
    if not len(names) == len(vocabulary) == len(idf) == len(coef) or len(intercept) != 1:
        raise ValueError("the arrays differ in length, or a term stands twice")
    if not all(np.isfinite(array).all() for array in (idf, coef, intercept)) or not (idf > 0).all():
        raise ValueError("a weight is no finite number, or an inverse document frequency is not positive")
    return TextModel(vocabulary, idf, coef, float(intercept[0]))


def file_sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
