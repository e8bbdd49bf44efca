"""Redshifts of like galaxies, and the catalogue whose colours mean nothing."""

from dataclasses import replace

import numpy as np
import pytest

from uraniborg.errors import UserError
from uraniborg.instruments.bands import bands_of
from uraniborg.population.popsed.neighbours import halves, neighbour_redshifts, shuffled
from uraniborg.population.popsed.photometry import Catalogue


@pytest.fixture(scope="module")
def catalogue():
    """Galaxies whose colours redden with redshift, one band with gaps and limits."""

    random = np.random.default_rng(0)
    z = random.gamma(4, 0.025, 3000)
    magnitude = 18 + random.normal(size=(3000, 1)) + 4 * z[:, None] * np.linspace(1, -1, 5)
    flux = 10 ** (0.4 * (22.5 - magnitude))
    sigma = 0.02 * flux
    flux = flux + sigma * random.normal(size=flux.shape)
    sigma[random.random(3000) < 0.2, 0] = np.nan
    limited = np.zeros(flux.shape, bool)
    limited[:50, 4] = True
    return Catalogue(bands_of("sdss"), 2, flux, sigma, limited, z)


def test_like_galaxies_have_like_redshifts(catalogue):
    training, test = halves(catalogue)
    z = neighbour_redshifts(training, test, 10)
    assert z.shape == (len(test), 10)
    assert np.std(np.median(z, axis=1) - test.z) < 0.3 * np.std(test.z)
    assert z.mean() == pytest.approx(test.z.mean(), abs=0.002)


def test_a_galaxy_is_its_own_neighbour(catalogue):
    z = neighbour_redshifts(catalogue, catalogue, 1)[:, 0]
    np.testing.assert_allclose(z, catalogue.z)


def test_redshifts_that_shall_be_found_are_not_looked_at(catalogue):
    training, test = halves(catalogue)
    z = neighbour_redshifts(training, test, 3)
    np.testing.assert_array_equal(
        z, neighbour_redshifts(training, replace(test, z=np.full(len(test), np.nan)), 3)
    )


def test_galaxies_without_redshift_teach_nothing(catalogue):
    training, test = halves(catalogue)
    z = np.where(np.arange(len(training)) < 100, training.z, np.nan)
    found = neighbour_redshifts(replace(training, z=z), test, 5)
    assert set(found.ravel()) <= set(z[:100])
    with pytest.raises(UserError, match="100 training galaxies"):
        neighbour_redshifts(replace(training, z=z), test, 101)


def test_other_bands_are_an_error(catalogue):
    with pytest.raises(UserError, match="other bands"):
        neighbour_redshifts(replace(catalogue, bands=bands_of("lsst")[:5]), catalogue)


def test_halves_share_no_galaxy(catalogue):
    first, second = halves(catalogue, seed=3)
    joined = np.concatenate([first.flux[:, 2], second.flux[:, 2]])
    np.testing.assert_array_equal(np.sort(joined), np.sort(catalogue.flux[:, 2]))


def test_shuffled_bands_keep_magnitudes_and_lose_colours(catalogue):
    control = shuffled(catalogue, seed=1)
    np.testing.assert_array_equal(np.sort(control.flux, axis=0), np.sort(catalogue.flux, axis=0))
    pairs = [
        {*zip(x.flux[:, 0], np.nan_to_num(x.sigma[:, 0]), strict=True)}
        for x in (catalogue, control)
    ]
    assert pairs[0] == pairs[1]
    assert control.limited.sum(axis=0).tolist() == [0, 0, 0, 0, 50]
    magnitude = np.log(control.flux)
    assert np.abs(np.corrcoef(magnitude.T) - np.eye(5)).max() < 0.1
    training, _ = halves(catalogue)
    _, test = halves(control)
    z = np.median(neighbour_redshifts(training, test, 10), axis=1)
    assert abs(np.corrcoef(z, test.z)[0, 1]) < 0.1
