import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.doublet import OII, fit_doublet, has_two_peaks, line_signal_to_noise

FINE = WavelengthGrid("log10", np.log10(3690), 0.5e-4, 190)
_C = 299792.458


def doublet(grid, dispersion, ratio=0.8, flux=20.0, separation=OII[1] - OII[0], z=0.0, slope=0.01):
    """Two lines averaged over pixels, on a continuum of about one."""
    middle = sum(OII) / 2
    centres = (middle + separation * np.array([-0.5, 0.5])) * (1 + z)
    sigma = dispersion / _C * middle * (1 + z)
    shares = flux * np.array([ratio, 1]) / (1 + ratio)
    cumulative = ndtr((grid.edges[:, None] - centres) / sigma)
    lines = np.diff(cumulative, axis=0) / np.diff(grid.edges)[:, None] @ shares
    return 1 + slope * (grid.wavelength / (1 + z) - middle) / 10 + lines


@settings(max_examples=25)
@given(st.floats(40, 180), st.floats(0.4, 1.5), st.floats(2.4, 3.2), st.floats(0.01, 1e4))
def test_two_gaussians_are_found(dispersion, ratio, separation, scale):
    flux = scale * doublet(FINE, dispersion, ratio, separation=separation)
    fit = fit_doublet(FINE.wavelength, flux)
    assert fit.separation == pytest.approx(separation, abs=0.02)
    assert fit.ratio == pytest.approx(ratio, rel=0.02)
    assert fit.dispersion == pytest.approx(dispersion, rel=0.02)
    assert fit.flux == pytest.approx(20 * scale, rel=0.02)


def test_absorption_is_no_doublet():
    fit = fit_doublet(FINE.wavelength, doublet(FINE, 80, flux=-1.0))
    assert np.isnan(fit).all()


@pytest.mark.parametrize(("dispersion", "peaks"), [(30, True), (70, True), (110, False)])
def test_peaks_merge_when_lines_are_broad(dispersion, peaks):
    assert has_two_peaks(FINE.wavelength, doublet(FINE, dispersion)) == peaks


def test_one_line_has_one_peak():
    assert not has_two_peaks(FINE.wavelength, doublet(FINE, 60, ratio=1e-3))
    assert not has_two_peaks(FINE.wavelength, np.ones(FINE.size))


def test_signal_to_noise_is_that_of_repeated_observations():
    grid, z = WavelengthGrid("log10", np.log10(3800), 1e-4, 800), np.full(2000, 0.07)
    truth, sigma = doublet(grid, 100, z=0.07, flux=10.0), 0.4
    random = np.random.default_rng(1)
    flux = (truth + sigma * random.standard_normal((2000, grid.size))).astype(np.float32)
    ivar = np.full(flux.shape, sigma**-2, np.float32)
    found = line_signal_to_noise(flux, ivar, z, grid)
    assert found.std() == pytest.approx(1, abs=0.06)
    lines = (truth - doublet(grid, 100, z=0.07, flux=0.0)).sum()
    # Nearly all of the lines is within the window.
    pixels = np.log10(3740 / 3717) / grid.step
    beside = np.log10(3712 / 3690 * 3767 / 3745) / grid.step
    expected = lines / sigma / np.sqrt(pixels * (1 + pixels / beside))
    assert found.mean() == pytest.approx(expected, rel=0.03)


def test_signal_to_noise_of_what_is_not_seen_is_unknown():
    grid = WavelengthGrid("log10", np.log10(3800), 1e-4, 800)
    flux, ivar = np.ones((3, grid.size), np.float32), np.ones((3, grid.size), np.float32)
    ivar[1, (grid.wavelength > 3975) & (grid.wavelength < 3995)] = 0
    found = line_signal_to_noise(flux, ivar, np.array([0.07, 0.07, 0.01]), grid)
    assert np.isfinite(found[0])
    assert np.isnan(found[1:]).all()
