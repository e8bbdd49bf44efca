"""Cuts."""

import numpy as np
import pytest

from uraniborg.errors import UserError
from uraniborg.surveys.selection import failed_cut

SCALARS = {
    "spectype": np.array(["GALAXY", "QSO", "GALAXY", ""], object),
    "z": np.array([0.1, 0.6, -0.01, np.nan]),
    "z_err": np.array([1e-5, 1e-3, -1.0, 1e-5]),
    "zwarning": np.array([0, 4, 16, 20]),
    "snr": np.array([10.0, 1.0, 5.0, np.nan]),
}
DESI = {
    **SCALARS,
    "fiberstatus": np.array([0, 8, 520, 0]),
    "deltachi2": np.array([40.0, 39.0, 1e4, np.nan]),
    "target": np.array(["BGS BGS_BRIGHT", "BGS BGS_FAINT", "BGS_BRIGHT_NOT", ""], object),
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


@pytest.mark.parametrize(
    ("selection", "failed"),
    [
        ({"fiberstatus_allowed": 0}, ["", "fiberstatus 8", "fiberstatus 520", ""]),
        ({"fiberstatus_allowed": 8}, ["", "", "fiberstatus 520", ""]),
        ({"deltachi2_min": 40}, ["", "deltachi2 below 40", "", "deltachi2 below 40"]),
        ({"target": []}, ["", "", "", ""]),
        ({"target": ["BGS"]}, ["", "", *["no target of BGS"] * 2]),
        ({"target": ["MWS", "BGS_FAINT"]}, ["no target of MWS or BGS_FAINT", "",
                                            *["no target of MWS or BGS_FAINT"] * 2]),
        ({"z_err_relative_max": 9e-6}, ["z_err not within 0 to 9e-06 (1 + z)"] * 4),
        ({"z_err_relative_max": 1e-5}, ["", *["z_err not within 0 to 1e-05 (1 + z)"] * 3]),
    ],
)  # fmt: skip
def test_cuts_that_only_some_surveys_allow(selection, failed):
    assert list(failed_cut(selection, DESI, GOOD)) == failed


def test_the_error_of_a_redshift_may_grow_with_it():
    scalars = {**DESI, "z": np.array([0, 0.5, 1, 1]), "z_err": np.full(4, 7e-4)}
    failed = failed_cut({"z_err_relative_max": 5e-4}, scalars, GOOD) != ""
    assert list(failed) == [True, False, False, False]


def test_objects_without_a_redshift_pass_the_cuts_on_it():
    selection = {"z_err_relative_max": 5e-4, "deltachi2_min": 40, "fiberstatus_allowed": 0}
    scalars = {**DESI, "z": np.full(4, np.nan), "z_err": np.full(4, np.nan)}
    failed = failed_cut(selection, scalars, GOOD, np.array([True, True, True, False]))
    assert [bool(phrase) for phrase in failed] == [False, True, True, True]
    assert failed[1] == "fiberstatus 8"


@pytest.mark.parametrize("selection", [{"fiberstatus_allowed": 0}, {"deltachi2_min": 9},
                                       {"target": ["BGS"]}])  # fmt: skip
def test_a_cut_on_what_is_not_there_is_named(selection):
    with pytest.raises(UserError, match=f"selection: {next(iter(selection))}"):
        failed_cut(selection, SCALARS, GOOD)
    assert not any(failed_cut({"target": []}, SCALARS, GOOD))


def test_no_object_is_no_problem():
    nothing = {name: values[:0] for name, values in SCALARS.items()}
    assert len(failed_cut({"spectype": ["QSO"], "z_min": 0}, nothing, GOOD[:0])) == 0
    nothing = {name: values[:0] for name, values in DESI.items()}
    assert len(failed_cut({"target": ["BGS"], "deltachi2_min": 0}, nothing, GOOD[:0])) == 0
