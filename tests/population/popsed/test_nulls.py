"""Redshifts from a luminosity function and a limit: where they have to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from uraniborg.population.popsed.nulls import (
    BLANTON_2003,
    KOCHANEK_2001,
    LOVEDAY_2015,
    redshift_density,
    schechter_redshifts,
)
from uraniborg.universe.cosmology import comoving_volume_element
from uraniborg.universe.galaxy_population import Limit

Z = np.linspace(0.003, 0.5, 500)


@pytest.mark.parametrize(
    ("function", "limit", "median"),
    [
        # Strauss et al. (2002, AJ 124, 1810): the median of the main sample is 0.104.
        (BLANTON_2003, 17.77, 0.104),
        # Huchra et al. (2012, ApJS 199, 26): that of Ks < 11.75 (Vega) is near 0.03.
        (KOCHANEK_2001, 11.75 + 1.85, 0.03),
        # Liske et al. (2015, MNRAS 452, 2087): that of r < 19.8 is near 0.2.
        (LOVEDAY_2015, 19.8, 0.22),
    ],
)
def test_median_redshifts_of_surveys(function, limit, median):
    z = schechter_redshifts(function, Limit(limit), 0.003, 0.8, 20_000)
    assert np.median(z) == pytest.approx(median, rel=0.1)


def test_everything_is_seen_nearby_and_nothing_far_away():
    function = replace(BLANTON_2003, density_evolution=0.0, luminosity_evolution=0.0)
    # Faint galaxies that are missed hardly count if there are few.
    function = replace(function, slope=0.5)
    density = redshift_density(function, Limit(17.7), Z)
    volume = comoving_volume_element(torch.as_tensor(Z)).numpy()
    share = density / volume
    assert share[:20] == pytest.approx(share[0], rel=0.01)
    assert share[-1] < 1e-3 * share[0]
    assert (np.diff(share) <= 1e-9 * share[0]).all()


def test_euclidean_counts():
    # Nearby, four times the flux limit halves all distances.
    function = replace(BLANTON_2003, luminosity_evolution=0, density_evolution=0, correction=0)
    near = [
        schechter_redshifts(function, Limit(limit), 1e-4, 0.1, 50_000).mean()
        for limit in (10.0, 10.0 + 5 * np.log10(2))
    ]
    assert near[1] / near[0] == pytest.approx(2, rel=0.05)


def test_a_soft_limit_reaches_farther():
    sharp, soft = (redshift_density(BLANTON_2003, Limit(17.7, width), Z) for width in (1e-3, 0.5))
    assert (Z @ soft) / soft.sum() > (Z @ sharp) / sharp.sum() + 0.005


def test_k_corrections_at_the_shifted_band_and_at_zero():
    assert BLANTON_2003.k_correction(np.array(0.1)) == pytest.approx(-2.5 * np.log10(1.1))
    assert KOCHANEK_2001.k_correction(np.array(0.0)) == 0
    # Light of old stars is brighter at shorter wavelengths than 2.2 microns.
    assert KOCHANEK_2001.k_correction(np.array(0.1)) == pytest.approx(-0.248, abs=1e-3)


def test_the_draw_follows_the_density_and_the_seed():
    z = schechter_redshifts(BLANTON_2003, Limit(17.7), 0.05, 0.2, 50_000, seed=1)
    assert z.min() >= 0.05
    assert z.max() <= 0.2
    density, edges = np.histogram(z, bins=10, density=True)
    grid = np.linspace(0.05, 0.2, 1000)
    expected = redshift_density(BLANTON_2003, Limit(17.7), grid).reshape(10, 100).mean(1)
    expected /= expected.sum() * np.diff(edges)[0]
    assert density == pytest.approx(expected, rel=0.06)
    again = schechter_redshifts(BLANTON_2003, Limit(17.7), 0.05, 0.2, 50_000, seed=1)
    np.testing.assert_array_equal(z, again)
