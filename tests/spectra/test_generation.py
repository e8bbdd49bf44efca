import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.generation import (
    GENERATED_COLUMNS,
    INDEX_COLUMNS,
    INDICES,
    IndependentGaussians,
    MixtureDensity,
    UniformBox,
    decoded,
    generation_tables,
    latents_of,
    spectral_indices,
)

GRID = WavelengthGrid("log10", 3.56, 2e-4, 1500)


@pytest.fixture(scope="module")
def correlated():
    """Latents far from zero, of unequal scales, two of them nearly the same."""

    random = np.random.default_rng(0)
    first = random.normal(size=(2000, 1))
    latents = np.hstack([first, first + 0.1 * random.normal(size=(2000, 1))])
    return 50 + latents * [1.0, 20.0]


@pytest.fixture(scope="module")
def two_groups():
    random = np.random.default_rng(1)
    return random.normal(size=(1000, 2)) * 0.2 + random.choice([-1.0, 1.0], (1000, 1))


def test_one_gaussian_is_found_and_its_density_is_known(correlated):
    density = MixtureDensity.fit(correlated[:1500], correlated[1500:], components=(1, 8))
    assert density.components == 1
    gaussian = multivariate_normal(correlated[:1500].mean(axis=0), np.cov(correlated[:1500].T))
    expected = gaussian.logpdf(correlated[1500:])
    # The floor of the variance is felt in the direction in which they are nearly the same.
    assert density.log_prob(correlated[1500:]).mean() == pytest.approx(expected.mean(), abs=0.1)


def test_samples_are_like_what_was_fitted_and_controls_are_not(correlated):
    density = MixtureDensity.fit(correlated[:1500], correlated[1500:])
    samples = {
        "mixture": density.sample(3000, seed=1),
        "independent": IndependentGaussians.fit(correlated).sample(3000, seed=1),
        "box": UniformBox.fit(correlated).sample(3000, seed=1),
    }
    for values in samples.values():
        np.testing.assert_allclose(values.mean(axis=0), correlated.mean(axis=0), rtol=0.02)
    correlation = {name: np.corrcoef(values.T)[0, 1] for name, values in samples.items()}
    assert correlation["mixture"] == pytest.approx(0.995, abs=0.01)
    assert abs(correlation["independent"]) < 0.06
    assert abs(correlation["box"]) < 0.06


def test_groups_are_told_apart_by_what_was_held_out(two_groups):
    density = MixtureDensity.fit(two_groups[:800], two_groups[800:], components=(1, 2))
    assert density.components == 2
    samples = density.sample(1000)
    assert np.mean(np.abs(samples[:, 0]) < 0.4) < 0.02
    assert (density.log_prob(np.array([[1.0, 1.0]])) > density.log_prob(np.zeros((1, 2)))).all()


def test_few_galaxies_get_few_components(two_groups):
    assert MixtureDensity.fit(two_groups[:30], two_groups[800:]).components <= 3
    assert MixtureDensity.fit(two_groups[:5], two_groups[800:]).components == 1


def test_same_seed_same_samples(two_groups):
    density = MixtureDensity.fit(two_groups[:800], two_groups[800:])
    np.testing.assert_array_equal(density.sample(9, seed=3), density.sample(9, seed=3))
    assert not np.array_equal(density.sample(9, seed=3), density.sample(9, seed=4))


def test_indices_of_a_known_spectrum():
    wavelength = GRID.wavelength
    flat = np.ones_like(wavelength)
    line = flat + 10 / np.sqrt(2 * np.pi) / 2 * np.exp(-0.5 * ((wavelength - 6564.6) / 2) ** 2)
    indices = spectral_indices(wavelength, np.stack([flat, line, 5 * line]))
    assert list(indices) == list(INDICES)
    np.testing.assert_allclose(indices["halpha"], [0, 10, 10], atol=0.05)
    np.testing.assert_allclose(indices["oiii"], 0, atol=1e-6)
    # Mean frequencies differ: (4050 / 3900)^2.
    np.testing.assert_allclose(indices["d4000"], 1.0785, atol=2e-3)


class Model(nn.Module):
    """Decodes a slope, at any brightness."""

    latent_size = 1

    def __init__(self):
        super().__init__()
        self.transform = type("Transform", (), {"restframe": GRID})

    def decode(self, latent):
        x = torch.linspace(-1, 1, GRID.size)
        return 10 ** latent[:, 1:] * (2 + latent[:, :1] * x)


def test_tables_are_in_units_of_the_mean_and_ordered_by_the_break():
    random = np.random.default_rng(0)
    samples = {name: random.uniform(-1, 1, (50, 2)) for name in ("heldout", "mixture")}
    indices, spectra = generation_tables(Model(), samples)
    assert set(indices) == {column.name for column in INDEX_COLUMNS}
    assert set(spectra) == {column.name for column in GENERATED_COLUMNS}
    assert indices.groupby("sample").size().to_dict() == {"heldout": 50, "mixture": 50}
    means = spectra.groupby(["sample", "order"])["flux"].mean()
    np.testing.assert_allclose(means, 1, rtol=1e-3)
    # The steeper, the greater the break.
    heldout = spectra[spectra["sample"] == "heldout"]
    first = heldout.groupby("order")["flux"].first()
    assert first.is_monotonic_decreasing
    assert decoded(Model(), samples["heldout"]).shape == (50, GRID.size)


def test_errors_of_latents_are_not_latents():
    table = pd.DataFrame({"latent_0": [1.0], "latent_0_err": [9.0], "latent_10": [2.0], "z": [0.1]})
    np.testing.assert_array_equal(latents_of(table), [[1.0, 2.0]])
