"""Galactic extinction by band against published coefficients."""

import numpy as np
import pytest

from uraniborg.errors import UserError
from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.galactic_extinction import extinction_coefficients, extinction_curve

# Schlafly & Finkbeiner (2011, ApJ 737, 103), table 6, R_V = 3.1.
PUBLISHED = {
    "sdss": [4.239, 3.303, 2.285, 1.698, 1.263],
    "ps1": [3.172, 2.271, 1.682, 1.322, 1.087],
    "lsst": [4.145, 3.237, 2.273, 1.684, 1.323, 1.088],
}
# Other curves were taken for the filters of LSST (u) and PS1 (y) than those of astro-sedpy.
TOLERANCES = {"sdss": 0.005, "ps1": 0.02, "lsst": 0.01}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_coefficients_are_the_published_ones(name):
    found = extinction_coefficients([band.filter for band in bands_of(name)])
    np.testing.assert_allclose(found, PUBLISHED[name], rtol=TOLERANCES[name])


def test_curve_is_continuous_where_two_are_joined():
    below, above = extinction_curve(np.array([29_999.0, 30_001.0]))
    assert below == pytest.approx(above, rel=1e-3)


def test_extinction_falls_from_blue_to_infrared():
    found = extinction_coefficients([band.filter for band in bands_of("galex+sdss+twomass")])
    assert (np.diff(found) < 0).all()
    mid_infrared = extinction_coefficients([band.filter for band in bands_of("wise")])
    assert (mid_infrared > 0.05).all()
    assert (mid_infrared < found[-1]).all()


def test_unknown_filter_is_a_clear_error():
    with pytest.raises(UserError, match="no_such_filter"):
        extinction_coefficients(["no_such_filter"])
