"""Catalogues, the features of galaxies, and noise that is that of the catalogue."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.magnitudes import ab_magnitude, asinh_magnitude
from uraniborg.instruments.photometer import Photometry, photometry_columns
from uraniborg.population.popsed.photometry import (
    Catalogue,
    Features,
    NoiseModel,
    Observed,
    read_catalogue,
)
from uraniborg.tables import Column, write_table

SDSS, TWOMASS = bands_of("sdss"), bands_of("twomass")
BANDS = (SDSS[1], SDSS[2], TWOMASS[0])
"""g and r, for which fluxes are forced, and J, which lists what it detects at three sigma."""
G, R, J = range(3)


def write_shard(path, start, number):
    """A galaxy that J did not look at, one that it did not detect, one without r, and others."""

    random = np.random.default_rng(start)
    flux = random.uniform(20, 30, (number, 3))
    ivar = np.full((number, 3), 4.0)
    limit = np.full((number, 3), np.inf)
    observed = np.ones((number, 3), bool)
    flux[0, J] = ivar[0, J] = observed[0, J] = 0
    flux[1, J] = ivar[1, J] = 0
    limit[1, J] = 6.0
    flux[2, R] = ivar[2, R] = 0
    rows = np.arange(start, start + number)
    table = Photometry(flux, ivar, limit, observed, observed).table(BANDS)
    table |= {"object_id": rows.astype(str), "z": np.where(rows % 2, rows / 1e4, np.nan)}
    columns = (
        Column("object_id", pa.string(), "", "Identifier"),
        Column("z", pa.float64(), "", "Redshift"),
        *photometry_columns(BANDS),
    )
    write_table(path, pd.DataFrame(table), columns)
    return flux


@pytest.fixture
def shards(tmp_path):
    paths = [tmp_path / "shard-0.parquet", tmp_path / "shard-1.parquet"]
    flux = [write_shard(path, 200 * k, 120) for k, path in enumerate(paths)]
    return paths, flux


def test_shards_are_read_in_order_without_objects_that_lack_the_reference(shards):
    paths, flux = shards
    catalogue = read_catalogue(paths, BANDS, "sdss_r")
    assert len(catalogue) == 238
    assert catalogue.set_aside == 2
    assert catalogue.feature_names == ("r", "g - r", "r - J")
    rows = [0, 1, *range(3, 120)]
    expected = np.concatenate([part[rows] for part in flux])
    expected[[1, 120], J] = 6.0
    np.testing.assert_allclose(catalogue.flux, expected, rtol=1e-6)
    numbers = np.array([*rows, *(200 + row for row in rows)])
    np.testing.assert_allclose(catalogue.z, np.where(numbers % 2, numbers / 1e4, np.nan))


def test_what_is_known_of_a_band(shards):
    catalogue = read_catalogue(shards[0], BANDS, "sdss_r")
    # Not observed; a limit, of three sigma; measured.
    assert catalogue.observed[:3, J].tolist() == [False, True, True]
    assert catalogue.limited[:3, J].tolist() == [False, True, False]
    np.testing.assert_allclose(catalogue.sigma[:3, J], [np.nan, 2.0, 0.5])
    assert catalogue.limited.sum() == 2
    np.testing.assert_allclose(catalogue.sigma[:, :J], 0.5)


def test_at_most_so_many_galaxies_are_used_and_any_band_is_a_reference(shards):
    catalogue = read_catalogue(shards[0], BANDS, "sdss_g", most=150)
    assert len(catalogue) == 150
    assert catalogue.set_aside == 0
    assert not catalogue.observed[2, R]
    in_j = read_catalogue(shards[0], BANDS, "twomass_J")
    assert in_j.set_aside == 4
    assert not in_j.limited[:, J].any()


def test_faults_of_a_survey_are_named(shards, tmp_path):
    paths, _ = shards
    with pytest.raises(UserError, match=r"sdss_i.*sdss_g, sdss_r, twomass_J"):
        read_catalogue(paths, BANDS, "sdss_i")
    write_shard(tmp_path / "small.parquet", 0, 100)
    with pytest.raises(UserError, match=r"small\.parquet: 99 galaxies.*`reference`"):
        read_catalogue([tmp_path / "small.parquet"], BANDS, "sdss_r")
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    with pytest.raises(UserError, match="shard-1"):
        read_catalogue(paths, BANDS, "sdss_r")


def galaxies(number=4000, seed=0, relative=0.05):
    """Fluxes of three bands over four magnitudes, some not observed or below the limit in J."""

    random = np.random.default_rng(seed)
    flux = 10 ** random.uniform(1, 2.6, (number, 1)) * [0.5, 1.0, 1.6]
    sigma = relative * flux
    flux = flux + sigma * random.normal(size=flux.shape)
    limited = np.zeros(flux.shape, bool)
    limited[:, J] = random.random(number) < 0.1
    sigma[random.random(number) < 0.25, J] = np.nan
    limited &= np.isfinite(sigma)
    flux[np.isnan(sigma)] = 0
    return Catalogue(BANDS, R, flux, sigma, limited, np.full(number, np.nan))


def test_catalogues_are_told_apart_and_rows_may_repeat():
    catalogue = galaxies(200)
    some = catalogue.take(np.array([5, 5, 7]))
    assert len(some) == 3
    np.testing.assert_array_equal(some.flux, catalogue.flux[[5, 5, 7]])
    np.testing.assert_array_equal(some.limited, catalogue.limited[[5, 5, 7]])
    assert catalogue.digest == galaxies(200).digest
    other = catalogue.flux.copy()
    other[17, 1] *= 1.001
    digests = {replace(catalogue, flux=other).digest, some.digest, catalogue.digest}
    assert len(digests) == 3


# Features


def test_features_are_asinh_magnitudes():
    catalogue = galaxies()
    features = Features.of(catalogue)
    faint_to_bright = np.geomspace(1e-2, 1e4, 30)[:, None] * [1.0, 2.0, 3.0] - 0.1
    found = features(torch.as_tensor(faint_to_bright), torch.ones(30, 3, dtype=torch.bool))
    ivar = np.ones((30, 3))
    softening = np.nanmedian(catalogue.sigma, axis=0) * 1e-9
    expected = asinh_magnitude(faint_to_bright, ivar, softening)[0]
    np.testing.assert_allclose(found[:, 0], expected[:, R], atol=1e-5)
    np.testing.assert_allclose(found[:, 1], expected[:, G] - expected[:, R], atol=1e-5)
    np.testing.assert_allclose(found[:, 2], expected[:, R] - expected[:, J], atol=1e-5)
    # Bright galaxies have the magnitudes that everyone knows.
    pogson = ab_magnitude(faint_to_bright[-3:], ivar[-3:])[0]
    np.testing.assert_allclose(found[-3:, 0], pogson[:, R], atol=1e-3)


def test_a_band_that_was_not_observed_has_the_typical_colour_in_data_and_model():
    catalogue = galaxies()
    features = Features.of(catalogue)
    data = features.of_catalogue(catalogue)
    known = torch.as_tensor(catalogue.observed[:, J])
    typical = data[known, 2].median()
    torch.testing.assert_close(data[~known, 2], typical.expand((~known).sum()), atol=1e-5, rtol=0)
    # A model has some flux in that band, the catalogue has none: that must not show.
    flux = torch.as_tensor(catalogue.flux).float()
    flux[~known, J] = 1e3
    torch.testing.assert_close(features(flux, torch.as_tensor(catalogue.observed)), data)


def test_a_band_that_was_never_observed_is_an_error():
    catalogue = galaxies(200)
    sigma = catalogue.sigma.copy()
    sigma[:, J] = np.nan
    with pytest.raises(UserError, match="twomass_J"):
        Observed(replace(catalogue, sigma=sigma))


def test_the_catalogue_is_standardised():
    data = Observed(galaxies()).data
    assert data.dtype == torch.float32
    np.testing.assert_allclose(torch.cov(data.T), np.eye(3), atol=0.02)


# Noise


def observe(catalogue, flux, seed=1, **options):
    random = torch.Generator().manual_seed(seed)
    return NoiseModel(catalogue).observe(flux, random, **options)


@pytest.fixture(scope="module")
def model_flux():
    random = torch.Generator().manual_seed(2)
    level = 10 ** (1.1 + 1.4 * torch.rand(20_000, generator=random))
    return level[:, None] * torch.tensor([0.5, 1.0, 1.6])


def test_noise_has_the_errors_of_galaxies_of_the_same_flux(model_flux):
    noisy, _ = observe(galaxies(), model_flux)
    pull = (noisy - model_flux) / (0.05 * model_flux)
    np.testing.assert_allclose(pull[:, :J].mean(0), 0, atol=0.03)
    np.testing.assert_allclose(pull[:, :J].std(0), 1, atol=0.03)
    assert abs(float(torch.corrcoef(pull[:, :J].T)[0, 1])) < 0.03


def test_errors_of_the_bands_come_from_one_galaxy(model_flux):
    catalogue = galaxies()
    # Every other galaxy lies where the survey is shallow.
    factor = np.where(np.arange(len(catalogue)) % 2, 4.0, 0.25)[:, None]
    noisy, _ = observe(replace(catalogue, sigma=catalogue.sigma * factor), model_flux)
    size = (noisy / model_flux - 1).abs() > 0.1
    both = size[:, G] & size[:, R]
    # At random, it would be the product of the shares.
    assert both.float().mean() > 1.5 * size[:, G].float().mean() * size[:, R].float().mean()


def test_what_is_observed_follows_the_neighbours_in_flux(model_flux):
    catalogue = galaxies()
    sigma = np.where(np.isnan(catalogue.sigma), 1.0, catalogue.sigma)
    # None of the faint ones, three in five of the bright ones.
    random = np.random.default_rng(5)
    seen = (catalogue.flux[:, R] > 100) & (random.random(len(sigma)) < 0.6)
    sigma[:, J] = np.where(seen, sigma[:, J], np.nan)
    _, observed = observe(replace(catalogue, sigma=sigma), model_flux)
    assert observed[:, :J].all()
    bright, faint = model_flux[:, R] > 115, model_flux[:, R] < 87
    assert not observed[faint, J].any()
    assert float(observed[bright, J].float().mean()) == pytest.approx(0.6, abs=0.05)


def test_galaxies_beyond_the_catalogue_have_the_noise_of_its_ends():
    catalogue = galaxies()
    flux = torch.tensor([[1e-3, 1e-3, 1e-3], [1e6, 1e6, 1e6]]).repeat_interleave(2000, dim=0)
    noisy, _ = observe(catalogue, flux)
    error = (noisy - flux).reshape(2, 2000, 3)[:, :, R].std(dim=1)
    order = np.argsort(catalogue.flux[:, R])
    for found, rows in zip(error, (order[:26], order[-26:]), strict=True):
        assert float(found) == pytest.approx(catalogue.sigma[rows, R].mean(), rel=0.1)


def test_fluxes_below_the_limit_are_the_limit_where_they_are_not_forced():
    catalogue = galaxies()
    catalogue = replace(catalogue, sigma=np.full(catalogue.sigma.shape, 2.0))
    flux = torch.tensor([0.0, 50.0, 0.0]).expand(1000, 3)
    noisy, _ = observe(catalogue, flux)
    # Three sigma in J; a flux of SDSS may be negative.
    assert float(noisy[:, J].min()) == pytest.approx(6.0)
    assert float((noisy[:, J] == 6).float().mean()) > 0.99
    assert float((noisy[:, G] < 0).float().mean()) == pytest.approx(0.5, abs=0.06)


def test_the_error_of_the_model_and_the_strength_of_noise(model_flux):
    catalogue = galaxies()
    sharp = replace(catalogue, sigma=catalogue.sigma * 1e-4)
    noisy, _ = observe(sharp, model_flux, floor=0.1)
    np.testing.assert_allclose((noisy / model_flux - 1).std(0), 0.1, rtol=0.03)
    noisy, _ = observe(catalogue, model_flux, floor=0.1, strength=0.25)
    expected = 0.25 * np.hypot(0.1, 0.05)
    np.testing.assert_allclose((noisy / model_flux - 1)[:, :J].std(0), expected, rtol=0.03)
    torch.testing.assert_close(observe(catalogue, model_flux, strength=0.0)[0], model_flux)


def test_the_source_of_random_numbers_decides(model_flux):
    catalogue = galaxies()
    first, again, other = (observe(catalogue, model_flux, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradients_flow_through_noise_and_features(model_flux):
    observed = Observed(galaxies())
    flux = model_flux[:500].clone().requires_grad_()
    features = observed.observe(flux, torch.Generator().manual_seed(1), 0.02)
    features[:, 0].sum().backward()
    # More flux in r is a smaller magnitude.
    assert (flux.grad[:, R] < 0).all()
    flux.grad = None
    features = observed.observe(flux, torch.Generator().manual_seed(1), 0.02)
    (features[:, 2].sum()).backward()
    assert flux.grad.isfinite().all()
    _, known = observed.noise.observe(flux, torch.Generator().manual_seed(1), 0.02)
    # Flux in J reddens galaxies that were observed there; of others it says nothing.
    assert (flux.grad[known[:, J], J] > 0).all()
    assert (flux.grad[~known[:, J], J] == 0).all()


def test_a_model_that_is_the_truth_looks_like_the_catalogue(model_flux):
    observed = Observed(galaxies())
    features = observed.observe(model_flux, torch.Generator().manual_seed(1))
    found, data = observed.standardise(features), observed.data.double()
    quantiles = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    apart = found[:, 1:].quantile(quantiles, dim=0) - data[:, 1:].quantile(quantiles, dim=0)
    assert float(apart.abs().max()) < 0.1
