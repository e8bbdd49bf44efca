"""Cuts."""

import numpy as np
import pytest

from uraniborg.surveys.selection import failed_cut

SCALARS = {
    "spectype": np.array(["GALAXY", "QSO", "GALAXY", ""], object),
    "z": np.array([0.1, 0.6, -0.01, np.nan]),
    "z_err": np.array([1e-5, 1e-3, -1.0, 1e-5]),
    "zwarning": np.array([0, 4, 16, 20]),
    "snr": np.array([10.0, 1.0, 5.0, np.nan]),
}
GOOD = np.array([0.9, 0.5, 0.95, 0.0])


@pytest.mark.parametrize(
    ("selection", "failed"),
    [
        ({}, ["", "", "", ""]),
        ({"spectype": []}, ["", "", "", ""]),
        ({"spectype": ["GALAXY"]}, ["", "spectype QSO", "", "spectype unknown"]),
        ({"z_min": 0, "z_max": 0.5}, ["", *["z below 0 or above 0.5"] * 3]),
        ({"z_min": 0}, ["", "", *["z below 0"] * 2]),
        ({"z_err_max": 1e-4}, ["", *["z_err not within 0 to 0.0001"] * 2, ""]),
        ({"zwarning_allowed": 0}, ["", "zwarning 4", "zwarning 16", "zwarning 20"]),
        ({"zwarning_allowed": 16}, ["", "zwarning 4", "", "zwarning 20"]),
        ({"snr_min": 5}, ["", "snr below 5", "", "snr below 5"]),
        ({"good_fraction_min": 0.9}, ["", "fewer than 0.9 of the pixels are good", "",
                                      "fewer than 0.9 of the pixels are good"]),
        ({"spectype": ["QSO"], "snr_min": 5}, ["spectype GALAXY", "snr below 5",
                                               "spectype GALAXY", "spectype unknown"]),
    ],
)  # fmt: skip
def test_each_object_gets_the_first_cut_that_it_fails(selection, failed):
    assert list(failed_cut(selection, SCALARS, GOOD)) == failed


def test_no_object_is_no_problem():
    nothing = {name: values[:0] for name, values in SCALARS.items()}
    assert len(failed_cut({"spectype": ["QSO"], "z_min": 0}, nothing, GOOD[:0])) == 0
