"""The pandas accessor gives the columns of score_frame."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import als_redflags.accessor
from als_redflags import Scorer

SALE = "Our stem cells stop ALS. Guaranteed improvement, only $19,500. Message us on WhatsApp!"


@pytest.mark.parametrize("dtype", ["object", "string", "str"])
def test_a_series_is_scored_as_a_column_is(scorer: Scorer, dtype: str) -> None:
    ads = pd.Series([SALE, None, "Too short"], index=[5, 5, 7], dtype=dtype, name="ad")
    expected = scorer.score_frame(ads.to_frame(), text_column="ad").drop(columns="ad")
    assert_frame_equal(ads.redflags.score(), expected)
    wide = ads.redflags.score(flags="wide")
    assert wide["guaranteed-improvement"].tolist() == [True, False, False]


def test_numbers_are_no_texts() -> None:
    assert als_redflags.accessor.RedFlagsAccessor
    with pytest.raises(AttributeError, match="series of texts, not of int64"):
        pd.Series([1, 2]).redflags  # noqa: B018
