"""The trained artefact: arrays in ``redflags.npz``, compiled rules in ``redflags.rules.json``, the rest in ``redflags.json``.

Nothing is unpickled. The header carries hashes of the other files and of the rule book the combiner was fitted with; a wrong
one is an error, because the score would be silently off.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from als_redflags.compiled import Tables, compile_rules
from als_redflags.errors import ModelError
from als_redflags.model import TextModel, as_vocabulary
from als_redflags.rulebook import RuleBook, digest

FORMAT = "als-redflags-model"
FORMAT_VERSION = 2
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
        **header,
    }
    (folder / "redflags.json").write_text(json.dumps(full, indent=2, sort_keys=True) + "\n", "utf-8")


def load(path: str | Path | None = None) -> Artefact:
    """Read and check the artefact.

    Raises
    ------
    ModelError
        If it is missing, damaged, of another format, or was trained with other rules.
    """
    folder = locate(path)
    header_file, arrays_file, rules_file = (folder / f"redflags.{end}" for end in ("json", "npz", "rules.json"))
    try:
        header = json.loads(header_file.read_text("utf-8"))
        if header["format"] != FORMAT or header["format_version"] != FORMAT_VERSION:
            raise ModelError(
                f"{header_file}: is of format {header['format']!r} {header['format_version']}, this version reads "
                f"{FORMAT!r} {FORMAT_VERSION}. {_RETRAIN}"
            )
        for file, key in ((arrays_file, "arrays_sha256"), (rules_file, "rules_sha256")):
            if file_sha256(file) != header[key]:
                raise ModelError(f"{file}: does not match its header; it was changed or is damaged. {_RETRAIN}")
        if header["rulebook_sha256"] != digest():
            raise ModelError(
                f"{header_file}: was trained with other rules than the ones installed. Run 'als-redflags train' after a "
                "change of the rules, or reinstall the package."
            )
        with np.load(arrays_file, allow_pickle=False) as arrays:
            names = arrays["terms"].tolist()
            text_model = TextModel(
                as_vocabulary(names),
                arrays["idf"].astype(np.float64),
                arrays["coef"].astype(np.float64),
                float(arrays["intercept"][0]),
            )
        if not len(names) == len(text_model.idf) == len(text_model.coef):
            raise ModelError(f"{arrays_file}: the arrays differ in length. {_RETRAIN}")
        compiled = json.loads(rules_file.read_text("utf-8"))
        book, tables = RuleBook.from_dict(compiled["book"]), Tables.from_dict(compiled["tables"])
        combiner = Combiner(
            float(header["combiner"]["intercept"]), {str(k): float(v) for k, v in header["combiner"]["weights"].items()}
        )
        thresholds = {name: float(header["thresholds"][name]) for name in ("caution", "high")}
        return Artefact(text_model, book, tables, combiner, thresholds, str(header["arrays_sha256"]), header)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder}: the model cannot be read ({type(error).__name__}: {error}). {_RETRAIN}") from None


def file_sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
