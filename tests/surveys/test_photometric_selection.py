"""Cuts in what bands say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.surveys.photometric_selection import failed_band_cut

BANDS = ["sdss_g", "sdss_r"]


def failed(selection, flux, ivar):
    return failed_band_cut(selection, np.array([flux]), np.array([ivar]), BANDS)[0]


@pytest.mark.parametrize(
    ("selection", "phrase"),
    [
        ({}, ""),
        ({"band_snr_min": {"sdss_g": 20, "sdss_r": 40}}, ""),
        ({"band_snr_min": {"sdss_g": 20.1}}, "snr of sdss_g below 20.1"),
        ({"colour_min": {"sdss_g-sdss_r": 0.75}, "colour_max": {"sdss_g-sdss_r": 0.76}}, ""),
        ({"colour_min": {"sdss_g-sdss_r": 0.76}}, "sdss_g-sdss_r below 0.76"),
        ({"colour_max": {"sdss_g-sdss_r": 0.75}}, "sdss_g-sdss_r above 0.75"),
        ({"colour_max": {"sdss_r-sdss_g": 0}}, ""),
        ({"magnitude_max": {"sdss_g": 20}}, ""),
        ({"magnitude_max": {"sdss_g": 19.9}}, "sdss_g fainter than 19.9"),
        ({"z_min": 3}, ""),
    ],
)
def test_cuts(selection, phrase):
    # Magnitudes 20 and 19.247.
    assert failed(selection, [10.0, 20.0], [4.0, 4.0]) == phrase


FAINT = {
    "snr of sdss_g below 0.1": {"band_snr_min": {"sdss_g": 0.1}},
    "sdss_g-sdss_r unknown": {"colour_min": {"sdss_g-sdss_r": -9}},
    "sdss_r-sdss_g unknown": {"colour_max": {"sdss_r-sdss_g": 9}},
    "sdss_g fainter than 90": {"magnitude_max": {"sdss_g": 90}},
}


@pytest.mark.parametrize("phrase", list(FAINT))
def test_what_was_not_measured_or_is_nothing_fails(phrase):
    assert failed(FAINT[phrase], [-1.0, 20.0], [4.0, 4.0]) == phrase
    assert failed(FAINT[phrase], [0.0, 20.0], [0.0, 4.0]) == "sdss_g not measured"
    assert failed({"magnitude_max": {"sdss_r": 20}}, [0.0, 20.0], [0.0, 4.0]) == ""


def test_a_band_has_to_be_there():
    with pytest.raises(UserError, match="colour_min: 'sdss_i' is none of sdss_g, sdss_r"):
        failed({"colour_min": {"sdss_r-sdss_i": 0}}, [1.0, 1.0], [1.0, 1.0])


@given(st.lists(st.floats(-5, 500), min_size=1, max_size=8), st.floats(15, 25))
def test_a_cut_in_magnitude_is_one_in_flux(flux, limit):
    flux = np.repeat(np.array(flux)[:, None], 2, axis=1)
    phrases = failed_band_cut({"magnitude_max": {"sdss_r": limit}}, flux, np.ones_like(flux), BANDS)
    brightness = flux[:, 1] / 10 ** (0.4 * (22.5 - limit))
    clear = np.abs(brightness - 1) > 1e-9
    assert ((phrases == "") == (brightness > 1))[clear].all()
