"""Magnitudes of fluxes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.instruments.magnitudes import (
    ab_magnitude,
    asinh_magnitude,
    flux_of_ab,
    flux_of_asinh,
)

FLUXES = st.floats(-1e3, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
ERRORS = st.floats(1e-3, 1e3)
SOFTENINGS = st.sampled_from([1.4e-10, 0.9e-10, 7.4e-10])


def test_zero_point():
    magnitude, error = ab_magnitude(np.array([1.0, 100.0]), np.array([100.0, 1.0]))
    np.testing.assert_allclose(magnitude, [22.5, 17.5])
    np.testing.assert_allclose(error, [0.108574, 0.0108574], rtol=1e-5)


def test_asinh_magnitudes_of_the_sdss_documentation():
    # Stoughton et al. (2002), table 21: magnitudes of no flux, and of ten times the softening.
    b = np.array([1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10])
    nothing, _ = asinh_magnitude(np.zeros(5), np.ones(5), b)
    tenfold, _ = asinh_magnitude(1e10 * b, np.ones(5), b)
    np.testing.assert_allclose(nothing, [24.63, 25.11, 24.80, 24.36, 22.83], atol=0.006)
    np.testing.assert_allclose(tenfold, [22.12, 22.60, 22.29, 21.85, 20.32], atol=0.006)


@given(FLUXES, ERRORS, SOFTENINGS)
def test_asinh_round_trip(flux, error, b):
    magnitude = asinh_magnitude(np.array([flux]), np.array([error**-2.0]), b)
    back, ivar = flux_of_asinh(*magnitude, b)
    assert back[0] == pytest.approx(flux, rel=1e-6, abs=1e-9)
    assert ivar[0] == pytest.approx(error**-2.0, rel=1e-6)


@given(st.floats(1e-3, 1e6), ERRORS)
def test_pogson_round_trip(flux, error):
    back, ivar = flux_of_ab(*ab_magnitude(np.array([flux]), np.array([error**-2.0])))
    assert back[0] == pytest.approx(flux, rel=1e-9)
    assert ivar[0] == pytest.approx(error**-2.0, rel=1e-9)


@given(FLUXES, SOFTENINGS)
def test_asinh_error_is_the_slope(flux, b):
    width = 2e9 * b
    step = 1e-4 * max(abs(flux), width)
    above, below = (asinh_magnitude(np.array([flux + s]), np.ones(1), b)[0] for s in (step, -step))
    _, error = asinh_magnitude(np.array([flux]), np.ones(1), b)
    assert error[0] == pytest.approx(((below - above) / (2 * step))[0], rel=1e-4)


def test_bright_magnitudes_agree():
    flux, ivar = np.geomspace(10, 1e5, 20), np.ones(20)
    for pogson, asinh in zip(
        ab_magnitude(flux, ivar), asinh_magnitude(flux, ivar, 1.2e-10), strict=True
    ):
        np.testing.assert_allclose(asinh, pogson, atol=2e-3)


def test_what_is_unknown_stays_unknown():
    flux, ivar = np.array([0.0, -1.0, 1.0]), np.array([0.0, 1.0, 0.0])
    assert np.isnan(ab_magnitude(flux, ivar)).all()
    assert list(np.isnan(asinh_magnitude(flux, ivar, 1e-10)[0])) == [True, False, True]
    magnitude, error = np.array([np.nan, 20, 20, np.inf]), np.array([0.1, 0, np.nan, 0.1])
    for back in (flux_of_ab(magnitude, error), flux_of_asinh(magnitude, error, 1e-10)):
        assert not np.array(back).any()
