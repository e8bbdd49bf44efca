"""The weight of the prior: the largest that costs the photometry nothing that can be seen."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.population.popsed.lcurve import choose

WEIGHTS = [0.001, 0.01, 0.1, 1.0]


def curve(distances, spread, weights=WEIGHTS):
    return pd.DataFrame({"weight": weights, "distance": distances, "floor_spread": spread})


@pytest.mark.parametrize(
    ("distances", "spread", "chosen"),
    [
        ([0.020, 0.030, 0.040, 0.080], 0.025, 0.1),
        ([0.020, 0.030, 0.040, 0.080], 0.015, 0.01),
        ([0.020, 0.030, 0.040, 0.080], 0.005, 0.001),
        ([0.020, 0.030, 0.040, 0.080], 1.0, 1.0),
        # Seeds alone make some difference, even where the floor has no scatter.
        ([0.020, 0.021, 0.028, 0.080], 0.0, 0.01),
        # The best need not be the smallest weight, and what follows it need not rise.
        ([0.050, 0.020, 0.030, 0.021], 0.005, 1.0),
        ([0.050, 0.020, 0.030, 0.060], 0.005, 0.01),
        # Of equal distances, the largest weight.
        ([0.020, 0.020, 0.020, 0.080], 0.0, 0.1),
    ],
)
def test_the_largest_weight_that_the_photometry_allows(distances, spread, chosen):
    table = choose(curve(distances, spread))
    assert table.loc[table["chosen"], "weight"].tolist() == [chosen]
    # The order of the fits has no say.
    mixed = choose(curve(distances, spread).iloc[[2, 0, 3, 1]])
    assert mixed.loc[mixed["chosen"], "weight"].tolist() == [chosen]


def test_a_single_fit_is_chosen_and_columns_stay():
    fits = curve([0.3], 0.1, [0.5]).assign(divergence=2.0)
    table = choose(fits)
    assert table["chosen"].tolist() == [True]
    pd.testing.assert_frame_equal(table.drop(columns="chosen"), fits)


@given(st.lists(st.floats(1e-3, 1), min_size=4, max_size=4), st.floats(0, 0.5))
def test_the_chosen_weight_is_never_below_that_of_the_best_fit(distances, spread):
    table = choose(curve(distances, spread))
    chosen = table[table["chosen"]].iloc[0]
    assert table["chosen"].sum() == 1
    assert chosen["weight"] >= table["weight"][np.argmin(distances)]
    assert chosen["distance"] <= min(distances) + max(spread, 0.3 * min(distances))
