"""What is exact is found exact, and each control fails."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.instruments.accuracy import (
    ACCURACY_COLUMNS,
    check_flat_source,
    check_gradients,
    check_resampling,
    check_resolution,
    relative_difference,
    summary,
)
from uraniborg.instruments.bands import PHOTOMETERS


@pytest.fixture(scope="module")
def table(root):
    grid = root / "resources" / "ssp_grid.safetensors"
    emission = root / "resources" / "dust_emission.safetensors"
    checks = [
        check_gradients(grid, emission, count=20),
        check_resampling(grid, count=1),
        check_flat_source(redshifts=5),
        check_resolution(grid, count=20),
    ]
    return pd.concat(checks, ignore_index=True)


def test_the_table_has_the_declared_columns(table):
    assert list(table.columns) == [column.name for column in ACCURACY_COLUMNS]
    assert table[["expected", "value"]].notna().all(axis=None)


def test_everything_is_checked(table):
    subjects = table.groupby("check")["subject"].unique()
    assert {"z", "history_0", "history_7", "gamma", "agn_luminosity"} <= set(subjects["gradient"])
    assert set(subjects["resampling"]) == {"sdss", "boss", "desi"}
    bands = {band.name for photometer in PHOTOMETERS.values() for band in photometer}
    assert set(subjects["flat source"]) == bands


def test_criteria_are_met_and_controls_fail(table):
    values = summary(table)
    assert values["gradient_difference"] < 1e-3 < values["gradient_control"]
    assert values["resampling_energy"] < 1e-6 < values["resampling_energy_control"]
    assert values["flat_source"] < 1e-4 < values["flat_source_control"]
    assert values["coarse_magnitudes_median"] < 2e-3
    assert values["coarse_magnitudes_99"] < 0.03


def test_every_band_and_spectrograph_could_fail(table):
    """No control passes by chance: each of the bands and spectrographs is told apart."""

    flat = table[table["check"] == "flat source"]
    assert flat["control"].abs().min() > 1e-4
    energy = table[table["check"] == "resampling"]
    control = relative_difference(energy, "control", 0)
    assert control.groupby([energy["subject"], energy["case"]]).max().min() > 1e-6


def test_a_wrong_gradient_is_found(table):
    """One sign or one galaxy in twenty is enough."""

    wrong = table.copy()
    row = wrong.index[(wrong["check"] == "gradient") & (wrong["expected"].abs() > 1e-3)][7]
    wrong.loc[row, "value"] *= 1.01
    assert summary(wrong)["gradient_difference"] > 1e-3


def test_small_gradients_are_compared_with_the_floor():
    tiny = pd.DataFrame({"expected": [0.0, 2.0], "value": [1e-9, 2.2]})
    assert relative_difference(tiny).tolist() == pytest.approx([1e-4, 0.1])
    assert np.isinf(relative_difference(tiny, floor=0)[0])
