"""Red flags on a pandas series of texts. Importing this module registers the accessor ``redflags``.

>>> import pandas as pd
>>> import als_redflags.accessor
>>> ads = pd.Series(["Our stem cells cure ALS, guaranteed. Book now!", None], index=["ad 1", "ad 2"])
>>> scored = ads.redflags.score()
>>> scored.loc["ad 1", "verdict"], scored["verdict"].tolist()[1]
('high', 'insufficient')

For a whole table, :meth:`als_redflags.Scorer.score_frame` adds the same columns to a copy of it.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from als_redflags.scorer import shared_scorer


@pd.api.extensions.register_series_accessor("redflags")
class RedFlagsAccessor:
    """``series.redflags``: scores the texts of a series."""

    def __init__(self, series: "pd.Series[str]") -> None:
        if not (series.dtype == object or pd.api.types.is_string_dtype(series.dtype)):
            raise AttributeError(f"redflags is for a series of texts, not of {series.dtype}")
        self._texts = series

    def score(self, *, flags: Literal["list", "wide", "none"] = "list", model: str | Path | None = None) -> pd.DataFrame:
        """The columns of :meth:`als_redflags.Scorer.score_frame`, with the index of the series.

        Raises
        ------
        ModelError
            If the model in the folder ``model`` is missing, damaged, or belongs to other rules.
        """
        frame = self._texts.to_frame("text")
        return shared_scorer(model).score_frame(frame, flags=flags).drop(columns="text")
