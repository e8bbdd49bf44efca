"""Photometers: bands, observing, detection limits and coverage."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sedpy.observate import Filter

from uraniborg.errors import UserError
from uraniborg.instruments.bands import PHOTOMETERS, bands_of
from uraniborg.instruments.photometer import photometer, photometry_columns
from uraniborg.instruments.photometric_noise import read_noise, write_noise
from uraniborg.tables import read_table, write_table
from uraniborg.universe.photometry import ab_magnitude, band_mean, read_filter

# Speed of light in Angstrom/s, and the flux density of AB magnitude 0 in erg/s/cm2/Hz.
C, AB_ZERO = 2.99792458e18, 3.631e-20


@pytest.fixture
def shipped_table(root):
    return root / "resources" / "photometric_noise.parquet"


def flux_of(magnitude):
    return 10 ** (0.4 * (22.5 - np.asarray(magnitude, float)))


def at_depth(instrument, count, brighter=0.0):
    """Objects `brighter` magnitudes brighter than the depth in every band."""

    return np.tile(flux_of([band.depth - brighter for band in instrument.bands]), (count, 1))


def observe(name, flux, seed=0, ebv=0.0, radius=None, **options):
    instrument = photometer(name, **options)
    generator = np.random.default_rng(seed)
    return instrument.observe(flux, np.full(len(flux), ebv), generator, radius)


def test_band_names_are_unique():
    counts = Counter(band.name for bands in PHOTOMETERS.values() for band in bands)
    assert max(counts.values()) == 1


def test_names_are_joined_in_order():
    names = [band.name for band in bands_of("galex+sdss+twomass")]
    assert names[:2] == ["galex_FUV", "galex_NUV"]
    assert names[-1] == "twomass_K"
    assert len(names) == 10


@pytest.mark.parametrize("name", ["sdds", "sdss+", "sdss+sdss", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(UserError, match="photometer"):
        bands_of(name)


def test_flat_source_has_the_same_magnitude_in_every_band():
    wavelength = 10 ** np.arange(3, 5.6, 1e-4)
    flat = flux_of(20.0) * 1e-9 * AB_ZERO * C / wavelength**2
    filters = [read_filter(band.filter) for bands in PHOTOMETERS.values() for band in bands]
    magnitudes = ab_magnitude(band_mean(wavelength, flat[None], filters), filters)
    np.testing.assert_allclose(magnitudes, 20.0, atol=1e-4)


def test_vega_offsets_agree_with_a_spectrum_of_vega():
    for name in ("twomass", "wise"):
        for band in PHOTOMETERS[name]:
            assert band.offset == pytest.approx(-Filter(band.filter).ab_to_vega, abs=0.05)


@pytest.mark.parametrize("name", list(PHOTOMETERS))
def test_noise_is_gaussian_with_the_reported_variance(name):
    instrument = photometer(name)
    flux = at_depth(instrument, 20_000, brighter=2.0)
    measured = observe(name, flux, radius=np.full(len(flux), 1.0))
    for i in range(flux.shape[1]):
        known = measured.ivar[:, i] > 0
        chi = (measured.flux[known, i] - flux[known, i]) * np.sqrt(measured.ivar[known, i])
        # Objects that are too faint are not listed: what is left may be slightly too bright.
        assert abs(chi.mean()) < 0.1
        assert chi.std() == pytest.approx(1, abs=0.05)
        quantiles = np.quantile(np.abs(chi), [0.68, 0.95])
        np.testing.assert_allclose(quantiles, [0.994, 1.96], rtol=0.06)


@pytest.mark.parametrize("name", ["lsst", "hsc", "ps1", "wise"])
def test_points_at_the_depth_have_five_sigma(name):
    instrument = photometer(name)
    flux = at_depth(instrument, 5_000)
    measured = observe(name, flux)
    for i in range(flux.shape[1]):
        noise = np.median(measured.ivar[measured.ivar[:, i] > 0, i]) ** -0.5
        assert flux[0, i] / noise == pytest.approx(5, rel=0.03)


def test_larger_galaxies_are_noisier():
    # The noise of LSST is fitted to no catalogue, and that of bright objects is no sky noise.
    for name, magnitude in (("sdss", 17.0), ("lsst", 24.0)):
        flux = np.full((4_000, len(bands_of(name))), flux_of(magnitude))
        small, large = (observe(name, flux, radius=np.full(4_000, r)).ivar for r in (1.5, 6.0))
        assert (np.median(large, axis=0) < 0.85 * np.median(small, axis=0)).all()


def test_noise_of_bands_varies_together():
    flux = np.full((5_000, 5), flux_of(17.0))
    sigma = -0.5 * np.log(observe("sdss", flux).ivar)
    correlation = np.corrcoef(sigma.T)
    assert correlation[2, 3] > 0.8
    assert 0.5 < correlation[0, 2] < correlation[2, 3]


def test_the_three_cases_of_a_catalogue_of_detections():
    instrument = photometer("galex")
    flux = at_depth(instrument, 5_000, brighter=-1.0)
    measured = observe("galex", flux)
    seen = measured.ivar > 0
    missed = measured.observed & ~seen
    unobserved = ~measured.observed
    # Coverage is that of the survey, and FUV and NUV are taken together.
    assert measured.observed.mean() == pytest.approx(0.6, abs=0.03)
    assert (measured.observed[:, 0] == measured.observed[:, 1]).all()
    assert seen.any()
    assert missed.any()
    assert (measured.detected == seen).all()
    assert np.isfinite(measured.limit[missed]).all()
    assert np.isinf(measured.limit[~missed]).all()
    assert (measured.flux[~seen] == 0).all()
    assert (measured.ivar[unobserved] == 0).all()
    # The limit is where the object would have been listed.
    signal = (measured.flux * np.sqrt(measured.ivar))[seen]
    assert signal.min() >= 2.0


def test_forced_photometry_lists_negative_fluxes():
    instrument = photometer("lsst")
    measured = observe("lsst", np.zeros((500, 6)))
    assert (measured.ivar > 0).all()
    assert (measured.flux < 0).mean() == pytest.approx(0.5, abs=0.05)
    assert not measured.detected.any()
    assert np.isinf(measured.limit).all()
    assert len(instrument.bands) == 6


def test_detection_fades_around_the_limit():
    fractions = [
        observe("wise", at_depth(photometer("wise"), 3_000, brighter)).detected.mean()
        for brighter in (2.0, 1.0, 0.0, -1.0, -3.0)
    ]
    assert fractions == sorted(fractions, reverse=True)
    assert fractions[0] > 0.99
    assert fractions[-1] < 0.15


def test_extinction_is_corrected_and_costs_precision():
    instrument = photometer("sdss")
    flux = at_depth(instrument, 20_000, brighter=4.0)
    clear, dusty = observe("sdss", flux), observe("sdss", flux, ebv=0.3)
    raw = observe("sdss", flux, ebv=0.3, corrected=False)
    dimming = 10 ** (-0.4 * 0.3 * instrument.extinction)
    np.testing.assert_allclose(np.median(dusty.flux, axis=0), flux[0], rtol=0.01)
    np.testing.assert_allclose(np.median(raw.flux, axis=0), flux[0] * dimming, rtol=0.01)
    assert (np.median(dusty.ivar, axis=0) < np.median(clear.ivar, axis=0)).all()
    # The correction changes the unit, not the information.
    np.testing.assert_allclose(dusty.flux**2 * dusty.ivar, raw.flux**2 * raw.ivar, rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_generator_decides_everything(seed):
    flux = at_depth(photometer("galex+sdss"), 16)
    first, second, third = (observe("galex+sdss", flux, s) for s in (seed, seed, seed + 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first.flux, third.flux)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        observe("sdss", np.ones((3, 4)))
    with pytest.raises(ValueError, match="shape"):
        photometer("sdss").observe(np.ones((3, 5)), np.zeros(2), np.random.default_rng(0))


def test_table_of_photometry_is_written_and_read(tmp_path):
    instrument = photometer("galex+sdss")
    measured = observe("galex+sdss", at_depth(instrument, 50))
    path = tmp_path / "table.parquet"
    write_table(path, measured.table(instrument.bands), photometry_columns(instrument.bands))
    table = read_table(path)
    np.testing.assert_allclose(table["sdss_r_flux"], measured.flux[:, 4], rtol=1e-6)
    assert table["galex_NUV_observed"].dtype == bool
    assert list(table["galex_NUV_limit"]) == list(measured.limit[:, 1].astype(np.float32))


def test_noise_tables_are_written_and_read(tmp_path, shipped_table):
    bands = bands_of("sdss+twomass")
    shipped = read_noise(shipped_table, bands)
    path = tmp_path / "noise.parquet"
    write_noise(path, dict(zip([b.noise for b in bands], shipped, strict=True)), "test")
    assert read_noise(path, bands) == shipped


def test_missing_noise_is_a_clear_error(tmp_path, shipped_table):
    with pytest.raises(UserError, match="no such file"):
        photometer("sdss", tmp_path / "absent.parquet")
    assert photometer("lsst", tmp_path / "absent.parquet").noise
    path = tmp_path / "noise.parquet"
    bands = bands_of("sdss")
    noise = read_noise(shipped_table, bands)
    write_noise(path, {"sdss_u": noise[0]}, "test")
    with pytest.raises(UserError, match="sdss_g"):
        photometer("sdss", path)
