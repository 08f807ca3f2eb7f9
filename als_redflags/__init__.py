"""Reads marketing text of clinics that sell unproven treatment and says, with evidence, which red flags it states.

>>> from als_redflags import score
>>> report = score("Our clinic in Tijuana cures ALS with your own stem cells. No risk, guaranteed results! Call now.")
>>> str(report.verdict), "cure-claim" in {flag.id for flag in report.flags}
('high', True)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Flag", "Report", "Scorer", "Verdict", "__version__", "score"]

if TYPE_CHECKING:
    from als_redflags.report import Flag, Report, Verdict
    from als_redflags.scorer import Scorer, score

_HOME = {"Flag": "report", "Report": "report", "Verdict": "report", "Scorer": "scorer", "score": "scorer"}


def __getattr__(name: str) -> Any:
    # spaCy takes most of a second to import, so the public names are loaded when they are first used
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"als_redflags.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
