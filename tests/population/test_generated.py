import numpy as np
import pandas as pd
import pytest

from uraniborg.population.generated import TEST_COLUMNS, compare_samples, sample_numbers


def test_only_a_sample_that_differs_is_told_apart():
    random = np.random.default_rng(0)
    real, same, correlated = random.normal(size=(3, 500, 2))
    correlated[:, 1] = correlated[:, 0] + 0.1 * correlated[:, 1]
    shifted = real + np.array([0.0, 2.0])
    samples = {"real": real, "same": same, "correlated": correlated, "shifted": shifted}
    table = pd.DataFrame(compare_samples(samples, ["a", "b"], "both"))
    assert set(table) == {column.name for column in TEST_COLUMNS}
    auc = table.set_index("sample")["auc"]
    assert auc["same"] == pytest.approx(0.5, abs=0.06)
    # Each feature alone is right; only together they betray it.
    assert table.set_index("sample").loc["correlated", "ks"] < 0.12
    assert auc["correlated"] > 0.75
    assert auc["shifted"] > 0.85
    assert table.set_index("sample").loc["shifted", "ks_feature"] == "b"
    numbers = sample_numbers(table, "generation")
    assert numbers["generation_same_both_auc"]["value"] == auc["same"]
    assert numbers["generation_same_both_auc"]["n"] == 500
