"""The noise of photometers against real catalogues, on objects that it was not fitted to."""

import gzip

import numpy as np
import pytest

from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.photometric_noise import read_noise
from uraniborg.instruments.photometric_noise_fit import (
    Measured,
    check_noise,
    fit_noise,
    read_measured,
)


@pytest.fixture(scope="module")
def measured(shared_data):
    folder = shared_data / "photometry" / "blanton144__kcorrect"
    return read_measured(folder / "gst_tests_small.fits.gz")


@pytest.fixture(scope="module")
def shipped(root):
    bands = bands_of("sdss+twomass+galex")
    table = root / "resources" / "photometric_noise.parquet"
    return dict(zip([band.noise for band in bands], read_noise(table, bands), strict=True))


def half(measured, which, names=None):
    return {
        name: Measured(*(x[which::2] for x in values))
        for name, values in measured.items()
        if names is None or name in names
    }


def test_errors_of_other_galaxies_are_predicted(measured, shipped):
    table = check_noise(shipped, half(measured, 1))
    optical = table[~table["band"].str.startswith("galex") & (table["n"] >= 300)]
    assert len(optical) == 48
    assert (optical["median_ratio"] - 1).abs().max() < 0.05
    assert (optical["width_ratio"] - 1).abs().median() < 0.06
    assert (optical["width_ratio"] - 1).abs().max() < 0.3
    ultraviolet = table[table["band"].str.startswith("galex") & (table["n"] >= 20)]
    assert (ultraviolet["median_ratio"] - 1).abs().max() < 0.16


def test_errors_of_another_catalogue_are_predicted(shared_data, shipped):
    path = shared_data / "photometry" / "mgckind__MLZ" / "SDSS_MGS.train.gz"
    with gzip.open(path, "rt") as file:
        columns = np.loadtxt(file).T
    other = {}
    for i, band in enumerate(bands_of("sdss")):
        flux = 10 ** (0.4 * (22.5 - columns[1 + i] - band.offset))
        other[band.noise] = Measured(flux, flux * columns[10 + i] * np.log(10) / 2.5)
    table = check_noise({name: shipped[name] for name in other}, other)
    weight = table["n"].to_numpy()
    for name, rows in table.groupby("band"):
        ratio = np.average(rows["median_ratio"], weights=weight[rows.index])
        # This catalogue's fluxes are corrected for Galactic extinction, most of all in u.
        assert ratio == pytest.approx(1, abs=0.07), name


def test_errors_that_are_a_tenth_too_large_are_noticed(measured, shipped):
    wrong = {name: Measured(x.flux, 1.1 * x.error) for name, x in half(measured, 1).items()}
    table = check_noise(shipped, wrong)
    table = table[table["band"].str.startswith("sdss") & (table["n"] >= 300)]
    assert (table["median_ratio"] < 0.95).all()


def test_the_shipped_table_is_what_the_fit_gives(measured, shipped):
    names = [f"sdss_{letter}" for letter in "ugriz"]
    fitted = fit_noise(half(measured, 0, names))
    flux = np.geomspace(1, 1e4, 30)
    for name in names:
        np.testing.assert_allclose(fitted[name].sigma(flux), shipped[name].sigma(flux), rtol=0.02)
        assert fitted[name].shared == pytest.approx(shipped[name].shared, abs=0.02)


def test_a_known_noise_is_found_again():
    random = np.random.default_rng(3)
    truth = {}
    flux = {name: 10 ** random.normal(1.5, 0.5, 20_000) for name in ("a_x", "a_y", "a_z")}
    common = random.standard_normal(20_000)
    for name, values in flux.items():
        sigma = np.sqrt(0.5**2 + 0.01 * values + (0.01 * values) ** 2)
        score = 0.8 * common + 0.6 * random.standard_normal(20_000)
        truth[name] = Measured(values, sigma * np.exp(0.2 * score))
    at = np.geomspace(2, 500, 20)
    for noise in fit_noise(truth).values():
        expected = np.sqrt(0.5**2 + 0.01 * at + (0.01 * at) ** 2)
        np.testing.assert_allclose(noise.sigma(at) * noise.level(at, 0), expected, rtol=0.03)
        np.testing.assert_allclose(np.log(noise.level(at, 1.0)), 0.2, atol=0.03)
        assert noise.shared == pytest.approx(0.8, abs=0.03)
