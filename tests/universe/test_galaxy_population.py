import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.universe.galaxy_population import PARAMETERS, GalaxyPopulation, galaxy_columns

POPULATION = GalaxyPopulation(z_max=0.4)


@pytest.fixture(scope="module")
def galaxies():
    return POPULATION.sample(0, 4096, seed=3)


@settings(max_examples=20)
@given(st.integers(0, 700), st.integers(1, 300), st.integers(0, 5))
def test_a_galaxy_does_not_depend_on_the_chunk(start, count, seed):
    whole = POPULATION.sample(0, 1024, seed)
    part = POPULATION.sample(start, start + count, seed)
    for name, values in part.items():
        assert np.array_equal(values, whole[name][start : start + count])


def test_seeds_differ(galaxies):
    assert not np.isin(POPULATION.sample(0, 256, seed=4)["z"], galaxies["z"]).any()


def test_every_parameter_is_drawn_and_has_a_column(galaxies):
    assert set(galaxies) == {parameter.name for parameter in PARAMETERS}
    scalars = {name for name, values in galaxies.items() if values.ndim == 1}
    fractions = {f"fraction_{i}" for i in range(galaxies["fractions"].shape[1])}
    assert {column.name for column in galaxy_columns()} == scalars | fractions
    assert all(parameter.prior and parameter.source for parameter in PARAMETERS)


def test_values_are_physical(galaxies):
    assert all(np.isfinite(values).all() for values in galaxies.values())
    assert galaxies["fractions"].sum(1) == pytest.approx(1)
    assert (galaxies["fractions"] >= 0).all()
    for name, low, high in [
        ("z", 0.01, 0.4),
        ("stellar_mass", 8, 12.2),
        ("log_metallicity", -2, 0.39),
        ("A_V", 0, 4),
        ("log_u", -4, -2),
        ("velocity_dispersion", 5, 700),
        ("gas_dispersion", 25, 1000),
        ("aperture_fraction", 0, 1),
    ]:
        assert (galaxies[name] >= low).all(), name
        assert (galaxies[name] <= high).all(), name


def test_resembles_the_sdss_main_sample(galaxies):
    # Strauss et al. (2002): median redshift 0.104 at r < 17.77; Kauffmann et al. (2003): most of
    # the sample lies between 10^10 and 10^11.5 M_sun.
    assert 0.06 < np.median(galaxies["z"]) < 0.12
    assert 10.3 < np.median(galaxies["stellar_mass"]) < 10.9
    assert 0.3 < galaxies["quiescent"].mean() < 0.65
    assert np.corrcoef(galaxies["stellar_mass"], galaxies["log_metallicity"])[0, 1] > 0.4
    assert (
        np.corrcoef(galaxies["stellar_mass"], np.log(galaxies["velocity_dispersion"]))[0, 1] > 0.8
    )


def test_quiescent_galaxies_formed_their_stars_early(galaxies):
    quiescent = galaxies["quiescent"]
    recent = galaxies["fractions"][:, :3].sum(1)
    assert np.median(recent[~quiescent]) > 20 * np.median(recent[quiescent])


def test_a_fainter_limit_reaches_farther(galaxies):
    deep = GalaxyPopulation(z_max=0.4, r_limit=19.5).sample(0, 1024, seed=3)
    assert np.median(deep["z"]) > 1.3 * np.median(galaxies["z"])


@pytest.mark.parametrize(("z_min", "z_max"), [(0.0, 0.4), (0.3, 0.2), (0.01, 50.0)])
def test_impossible_redshifts_are_named(z_min, z_max):
    with pytest.raises(UserError, match="z_max"):
        GalaxyPopulation(z_max=z_max, z_min=z_min)
