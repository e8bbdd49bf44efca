"""Masking, snapping, normalisation and signal-to-noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uraniborg.grids import WavelengthGrid
from uraniborg.surveys.preparation import masked, normalisation, resampled, signal_to_noise, snap

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
SHAPE = (3, 7)
floats = st.floats(width=32)


@given(arrays(np.float32, SHAPE, elements=floats), arrays(np.float32, SHAPE, elements=floats))
def test_masked_pixels_are_zero_and_the_others_untouched(flux, ivar):
    bad = np.zeros(SHAPE, bool)
    bad[:, 2] = True
    new_flux, new_ivar = masked(flux, ivar, bad)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0) & ~bad
    assert np.array_equal(new_ivar > 0, good)
    assert np.all(np.isfinite(new_flux))
    assert np.all(np.isfinite(new_ivar))
    assert np.array_equal(new_flux[good], flux[good])
    assert np.array_equal(new_ivar[good], ivar[good])
    assert not new_flux[~good].any()


def test_what_single_precision_cannot_hold_is_masked():
    flux, ivar = masked(np.array([[1e300, 1.0]]), np.array([[1.0, 1e-300]]))
    assert not flux.any()
    assert not ivar.any()


@settings(max_examples=40, deadline=None)
@given(start=st.integers(-50, 3800), jitter=st.floats(-0.05, 0.05))
def test_every_pixel_lands_on_its_own(start, jitter):
    pixels = np.arange(start, start + 100)
    wavelength = 10 ** (3.578 + 1e-4 * (pixels + jitter))
    flux = (1000.0 + pixels)[None]
    snapped = snap(GRID, wavelength[None], flux, flux + 0.5)
    inside = (pixels >= 0) & (pixels < GRID.size)
    expected = np.zeros(GRID.size)
    expected[pixels[inside]] = 1000 + pixels[inside]
    assert np.array_equal(snapped.flux[0], expected)
    assert np.array_equal(snapped.ivar[0], np.where(expected > 0, expected + 0.5, 0))
    assert snapped.offset[0] == pytest.approx(abs(jitter), abs=1e-6)


def test_single_precision_wavelengths_are_close_enough():
    single = (10 ** np.float32(np.log10(GRID.wavelength)))[None]
    assert snap(GRID, single, single, single).offset[0] < 0.01


def test_padding_is_dropped():
    wavelength = np.array([[5000.0, -1, 0, np.nan, np.inf]])
    nearest = GRID.wavelength[np.argmin(np.abs(GRID.wavelength - 5000))]
    wavelength[0, 0] = nearest
    snapped = snap(GRID, wavelength, np.full((1, 5), 7.0), np.ones((1, 5)))
    assert snapped.flux.sum() == 7
    assert snapped.offset[0] < 1e-6


def test_other_pixels_are_noticed():
    linear = np.arange(4000.0, 9000.0, 1.0)[None]
    logarithmic = 10 ** np.arange(3.6, 3.9, 0.5e-4)[None]
    outside = np.arange(20000.0, 20100.0)[None]
    assert snap(GRID, linear, linear, linear).offset[0] > 0.4
    assert snap(GRID, logarithmic, logarithmic, logarithmic).offset[0] > 0.4
    assert snap(GRID, outside, outside, outside).offset[0] == np.inf


def test_two_pixels_on_one_are_noticed():
    wavelength = np.full((1, 2), GRID.wavelength[100])
    assert snap(GRID, wavelength, wavelength, wavelength).offset[0] == np.inf


def test_a_linear_grid_is_snapped_too():
    grid = WavelengthGrid("linear", 3600, 0.8, 50)
    snapped = snap(grid, grid.wavelength[None], grid.wavelength[None], grid.wavelength[None])
    np.testing.assert_allclose(snapped.flux[0], grid.wavelength, rtol=1e-6)


def test_the_norm_is_the_median_of_the_restframe_window():
    z = np.array([0.0, 0.2])
    rest = GRID.wavelength / (1 + z[:, None])
    flux = np.where((rest >= 5300) & (rest <= 5850), 3.0, 50.0)
    ivar = np.ones_like(flux)
    np.testing.assert_allclose(normalisation(GRID.wavelength, flux, ivar, z), 3)
    # Bad pixels have no say.
    flux[:, ::2], ivar[:, ::2] = 99, 0
    np.testing.assert_allclose(normalisation(GRID.wavelength, flux, ivar, z), 3)


def test_the_norm_outside_the_window_is_the_median_of_all_good_pixels():
    flux = np.tile(np.arange(GRID.size, dtype=float), (2, 1))
    ivar = np.ones_like(flux)
    ivar[1, :3000] = 0
    norm = normalisation(GRID.wavelength, flux, ivar, np.array([1.0, 1.0]))
    np.testing.assert_allclose(norm, [1960, (3000 + 3920) / 2])


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_norm_scales_with_flux_and_snr_does_not(scale, seed):
    random = np.random.default_rng(seed)
    flux = random.normal(5, 1, (2, GRID.size))
    ivar = random.uniform(0.5, 2, (2, GRID.size)) * (random.random((2, GRID.size)) > 0.3)
    z = random.uniform(0, 0.5, 2)
    norm = normalisation(GRID.wavelength, flux, ivar, z)
    scaled = normalisation(GRID.wavelength, flux * scale, ivar / scale**2, z)
    np.testing.assert_allclose(scaled, norm * scale, rtol=1e-9)
    snr = signal_to_noise(flux, ivar)
    np.testing.assert_allclose(signal_to_noise(flux * scale, ivar / scale**2), snr, rtol=1e-9)
    for row in range(2):
        good = ivar[row] > 0
        expected = np.median(flux[row, good] * np.sqrt(ivar[row, good]))
        assert snr[row] == pytest.approx(expected)


def test_without_a_good_pixel_norm_and_snr_are_nan():
    zeros = np.zeros((1, GRID.size))
    assert np.isnan(normalisation(GRID.wavelength, zeros, zeros, np.array([0.1])))
    assert np.isnan(signal_to_noise(zeros, zeros))


def test_resampling_conserves_flux_and_leaves_gaps_empty():
    wavelength = np.arange(5000.0, 6000.0, 1.7)
    gap = (wavelength > 5400) & (wavelength < 5500)
    line = np.exp(-0.5 * ((wavelength - 5200) / 6) ** 2)
    kept = wavelength[~gap][::-1], (1 + line)[~gap][::-1].astype("f4")
    padded = np.append(kept[0], [0, np.nan])[None], np.append(kept[1], [9, 9])[None].astype("f4")
    flux, ivar, offset = resampled(GRID, *padded, np.full_like(padded[1], 4))
    assert offset == 0
    edges = 10 ** (3.578 + 1e-4 * (np.arange(3922) - 0.5))
    centre, good = GRID.wavelength, ivar[0] > 0
    assert not good[(centre > 5403) & (centre < 5497)].any()
    assert good[(centre > 5003) & (centre < 5395)].all()
    inside = (centre > 5100) & (centre < 5300)
    total = ((flux[0] - 1) * np.diff(edges))[inside].sum()
    np.testing.assert_allclose(total, 6 * np.sqrt(2 * np.pi), rtol=1e-3)
    # Averages of two pixels are known better than either, and none is known worse.
    assert ivar[0][inside & good].min() > 3.99
    assert ivar[0][inside & good].max() < 8.1


def test_spectra_on_the_same_pixels_are_resampled_as_each_alone():
    generator = np.random.default_rng(3)
    wavelength = np.arange(3700.0, 9500.0, 1.3)
    flux = generator.normal(1, 0.1, (3, len(wavelength))).astype("f4")
    ivar = np.where(generator.random(flux.shape) < 0.1, 0, 4).astype("f4")
    together = resampled(GRID, np.tile(wavelength, (3, 1)), flux, ivar)
    for row in range(3):
        # Another order, so that it takes the way of spectra with wavelengths of their own.
        back = slice(None, None, -1)
        alone = resampled(
            GRID, wavelength[None, back], flux[row : row + 1, back], ivar[row : row + 1, back]
        )
        for one, several in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], several[row])


def test_a_spectrum_elsewhere_cannot_be_resampled():
    wavelength = np.linspace(1.2e4, 1.3e4, 50)[None]
    _, ivar, offset = resampled(GRID, wavelength, np.ones((1, 50), "f4"), np.ones((1, 50), "f4"))
    assert np.isinf(offset).all()
    assert not ivar.any()
