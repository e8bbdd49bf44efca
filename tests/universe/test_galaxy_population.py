import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from uraniborg.errors import UserError
from uraniborg.universe.galaxy_population import (
    PARAMETERS,
    GalaxyPopulation,
    Limit,
    galaxy_columns,
)
from uraniborg.universe.relations import HYPERPARAMETERS, hyperparameters

LIMITS = {"sdss_r0": Limit(17.77, 0.1)}


@pytest.fixture(scope="module")
def population(ssp_grid):
    return GalaxyPopulation(ssp_grid, z_max=0.4, z_min=0.01, limits=LIMITS)


@pytest.fixture(scope="module")
def galaxies(population):
    return population.sample(0, 2048, seed=3)


@settings(max_examples=5)
@given(st.integers(0, 700), st.integers(1, 300))
def test_a_galaxy_does_not_depend_on_the_chunk(population, galaxies, start, count):
    part = population.sample(start, start + count, seed=3)
    for name, values in part.items():
        assert np.array_equal(values, galaxies[name][start : start + count])


def test_seeds_differ(population, galaxies):
    assert not np.isin(population.sample(0, 256, seed=4)["z"], galaxies["z"]).any()


def test_the_limit_is_kept_and_reached(population, galaxies):
    magnitudes = population._magnitudes(galaxies)[:, 0]
    assert magnitudes.max() < 17.77 + 4 * 0.1
    # Euclidean counts at least double per 0.5 mag up to the limit.
    counts = np.histogram(magnitudes, [16.4, 16.9, 17.4])[0]
    assert counts[1] > 1.5 * counts[0]


def test_no_galaxy_within_the_limits_is_passed_over(ssp_grid):
    # Without limits, and with the same limits applied afterwards, the sample is the same.
    h = {"low_mass_offset": -0.5}
    everything = GalaxyPopulation(ssp_grid, z_max=0.02, z_min=0.01, values=h)
    galaxies = everything.sample(0, 8192, seed=1)
    limited = GalaxyPopulation(
        ssp_grid, z_max=0.02, z_min=0.01, limits={"sdss_r0": Limit(17.0, 0.01)}, values=h
    )
    bright = galaxies["stellar_mass"][limited._magnitudes(galaxies)[:, 0] < 17.0]
    seen = limited.sample(0, 4096, seed=2)["stellar_mass"]
    assert ks_2samp(bright, seen).pvalue > 0.01


def test_hyperparameters_move_what_they_name(ssp_grid, galaxies):
    assert hyperparameters() == {item.name: item.published for item in HYPERPARAMETERS}
    assert all(item.low <= item.published <= item.high for item in HYPERPARAMETERS)
    fewer = GalaxyPopulation(
        ssp_grid, z_max=0.4, z_min=0.01, limits=LIMITS, values={"quiescent_mass": 11.2}
    ).sample(0, 1024, seed=3)
    assert fewer["quiescent"].mean() < 0.75 * galaxies["quiescent"].mean()
    with pytest.raises(UserError, match="quiescent_mas'"):
        hyperparameters({"quiescent_mas": 1.0})


def test_every_parameter_is_drawn_and_has_a_column(population, galaxies):
    assert set(galaxies) == {parameter.name for parameter in PARAMETERS}
    scalars = {name for name, values in galaxies.items() if values.ndim == 1}
    fractions = {f"fraction_{i}" for i in range(galaxies["history"].shape[1])}
    columns = {column.name for column in galaxy_columns(population.history)}
    assert columns == scalars | fractions
    assert all(parameter.prior and parameter.source for parameter in PARAMETERS)


def test_values_are_physical(galaxies):
    finite = {name: values for name, values in galaxies.items() if name != "agn_luminosity"}
    assert all(np.isfinite(values).all() for values in finite.values())
    # log10, so that none is minus infinity.
    assert not np.isnan(galaxies["agn_luminosity"]).any()
    assert galaxies["history"].sum(1) == pytest.approx(1)
    assert (galaxies["history"] >= 0).all()
    for name, low, high in [
        ("z", 0.01, 0.4),
        ("stellar_mass", 7.5, 12.2),
        ("log_metallicity", -2, 0.39),
        ("A_V", 0, 4),
        ("log_u", -4, -2),
        ("velocity_dispersion", 5, 700),
        ("gas_dispersion", 25, 250),
        ("aperture_fraction", 0, 1),
    ]:
        assert (galaxies[name] >= low).all(), name
        assert (galaxies[name] <= high).all(), name


def test_resembles_the_sdss_main_sample(galaxies):
    # Strauss et al. (2002): median redshift 0.104 at r < 17.77; Kauffmann et al. (2003): most of
    # the sample lies between 10^10 and 10^11.5 M_sun.
    assert 0.06 < np.median(galaxies["z"]) < 0.12
    assert 10.3 < np.median(galaxies["stellar_mass"]) < 10.9
    assert 0.3 < galaxies["quiescent"].mean() < 0.7
    assert np.corrcoef(galaxies["stellar_mass"], galaxies["log_metallicity"])[0, 1] > 0.4
    assert (
        np.corrcoef(galaxies["stellar_mass"], np.log(galaxies["velocity_dispersion"]))[0, 1] > 0.8
    )


def test_quiescent_galaxies_formed_their_stars_early(galaxies):
    quiescent = galaxies["quiescent"]
    recent = galaxies["history"][:, :3].sum(1)
    assert np.median(recent[~quiescent]) > 20 * np.median(recent[quiescent])


def test_a_fainter_limit_reaches_farther(ssp_grid, galaxies):
    deep = GalaxyPopulation(ssp_grid, z_max=0.4, limits={"sdss_r0": Limit(19.5)})
    deep = deep.sample(0, 1024, seed=3)
    assert np.median(deep["z"]) > 1.3 * np.median(galaxies["z"])


@pytest.mark.parametrize(("z_min", "z_max"), [(0.0, 0.4), (0.3, 0.2), (0.01, 50.0)])
def test_impossible_redshifts_are_named(z_min, z_max):
    with pytest.raises(UserError, match="z_max"):
        GalaxyPopulation("absent", z_max=z_max, z_min=z_min)


def test_luminous_red_galaxies_are_seen_beyond_the_limit_and_are_red(ssp_grid):
    limits = {"sdss_r0": Limit(17.7, 0.05), "twomass_Ks": Limit(16.0, 0.1)}
    population = GalaxyPopulation(ssp_grid, 0.6, 0.01, limits, luminous_red=True)
    galaxies = population.sample(0, 2048, seed=1)
    r, K, g, _ = population._magnitudes(galaxies).T
    beyond = r > 17.7 + 4 * 0.05
    assert 0.002 < beyond.mean() < 0.2
    assert r.max() < 19.2
    # They have to pass the other limit all the same.
    assert K.max() < 16.0 + 4 * 0.1
    assert (g - r)[beyond].min() > 1
    assert np.median(galaxies["z"][beyond]) > 0.2
    with pytest.raises(UserError, match="luminous_red"):
        GalaxyPopulation(ssp_grid, luminous_red=True)
