"""What an ensemble says: intervals that cover, mass functions and sequences that are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.population.popsed.posterior import (
    MainSequence,
    band_table,
    densities,
    interval,
    main_sequence,
    mass_function,
    prior_pull,
    sequence_table,
    star_forming,
)
from uraniborg.population.popsed.tables import BAND_COLUMNS, MASS_FUNCTION, SEQUENCE_COLUMNS


@pytest.mark.parametrize("members", [2, 4, 10])
@pytest.mark.parametrize("level", [0.68, 0.95])
def test_intervals_cover_at_their_nominal_rate(members, level):
    random = np.random.default_rng(0)
    centre, width = random.normal(size=4000), random.uniform(0.1, 3, 4000)
    values, truth = (
        centre + width * random.normal(size=shape) for shape in ((members, 4000), (4000,))
    )
    low, high = interval(values, level)
    covered = ((low < truth) & (truth < high)).mean()
    # Four standard deviations of a binomial distribution.
    assert covered == pytest.approx(level, abs=4 * (level * (1 - level) / 4000) ** 0.5)
    # Both sides alike.
    assert (truth < low).mean() == pytest.approx((truth > high).mean(), abs=0.03)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=8), st.floats(0.1, 10))
def test_intervals_move_and_scale_with_the_members(values, factor):
    values = np.array(values)
    low, high = interval(values, 0.68)
    assert low <= values.mean() <= high
    wide = interval(values, 0.95)
    assert wide[0] <= low
    assert high <= wide[1]
    moved = interval(5 + factor * values, 0.68)
    np.testing.assert_allclose(moved, (5 + factor * low, 5 + factor * high), rtol=1e-6, atol=1e-6)


@given(st.integers(1, 400), st.integers(0, 1000))
def test_densities_are_normalised_over_the_whole_sample(number, seed):
    random = np.random.default_rng(seed)
    edges = np.sort(random.uniform(-1, 1, 7))
    sample = random.uniform(-2, 2, number)
    inside = ((sample >= edges[0]) & (sample <= edges[-1])).mean()
    found = densities([sample, np.full(3, 99.0)], edges)
    assert (found[0] * np.diff(edges)).sum() == pytest.approx(inside)
    assert (found[1] == 0).all()


def test_densities_are_those_of_the_distribution():
    sample = np.random.default_rng(0).normal(size=200_000)
    edges = np.linspace(-2, 2, 21)
    centres = (edges[1:] + edges[:-1]) / 2
    expected = np.exp(-(centres**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(densities([sample], edges)[0], expected, rtol=0.05)


def test_bands_of_a_quantity():
    edges = np.array([0.0, 0.5, 1.0, 2.0])
    members = np.array([[1.0, 0.02, 0.3], [1.2, 0.0, 0.3], [0.8, 0.1, 0.3]])
    table = band_table("z", edges, members, {"truth": np.ones(3), "null": None})
    assert list(table) == [column.name for column in BAND_COLUMNS]
    assert table["low"].tolist() == [0, 0.5, 1]
    assert table["high"].tolist() == [0.5, 1, 2]
    np.testing.assert_allclose(table["median"], [1.0, 0.02, 0.3])
    order = ["low_95", "low_68", "median", "high_68", "high_95"]
    assert (table[order].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    # Densities are not negative.
    assert table["low_95"].tolist()[1] == 0
    assert (table["truth"] == 1).all()
    assert table[["null", "prior", "neighbours"]].isna().all(axis=None)
    # Their logarithms are.
    logarithms = band_table(MASS_FUNCTION, edges, np.log10(members + 0.01), {})
    assert (logarithms["low_95"] < 0).any()


# Mass functions

EDGES = np.arange(8.0, 11.01, 0.25)


def schechter(mass):
    x = 10 ** (mass - 10.5)
    return x**-0.3 * np.exp(-x)


def box_of_galaxies(number=400_000):
    """Masses of Schechter's function, evenly distributed in a ball of radius one."""

    random = np.random.default_rng(0)
    fine = np.linspace(8, 11.5, 4001)
    cumulative = np.cumsum(schechter(fine))
    mass = np.interp(random.random(number), cumulative / cumulative[-1], fine)
    return mass, random.random(number) ** (1 / 3)


def expected_above(limit):
    fine = np.linspace(8, 11.5, 14_000)
    density = schechter(fine)
    number = np.histogram(fine, EDGES, weights=density)[0] / np.diff(EDGES)
    return np.log10(number / density[fine >= limit].sum())


def test_mass_functions_of_a_volume():
    mass, _ = box_of_galaxies()
    found = mass_function(mass, np.full(len(mass), 7.0), EDGES, 9.0)
    np.testing.assert_allclose(found, expected_above(9.0), atol=0.04)
    width = np.diff(EDGES)
    assert (10**found * width)[EDGES[:-1] >= 9].sum() == pytest.approx(1, abs=0.01)


def test_mass_functions_of_a_flux_limit():
    mass, distance = box_of_galaxies()
    # The most massive are seen to the surface of the ball, others as light fades.
    reach = np.minimum(10 ** (0.5 * (mass - 10.3)), 1)
    seen = distance < reach
    assert seen.mean() < 0.2
    found = mass_function(mass[seen], reach[seen] ** 3, EDGES, 9.5)
    enough = np.histogram(mass[seen], EDGES)[0] > 300
    assert enough.sum() >= 7
    np.testing.assert_allclose(found[enough], expected_above(9.5)[enough], atol=0.06)
    # Without the volumes, it would not be found.
    naive = mass_function(mass[seen], np.ones(seen.sum()), EDGES, 9.5)
    assert np.abs(naive[enough] - expected_above(9.5)[enough]).max() > 0.5


def test_galaxies_that_cannot_be_seen_do_not_count():
    mass, volume = np.array([9.0, 10.0, 10.1, 10.1]), np.array([0.0, 2.0, 2.0, 2.0])
    found = mass_function(mass, volume, np.array([8.5, 9.5, 10.5]), 9.5)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0)


# The main sequence


def galaxies(number=4000, seed=0, slope=0.8, scatter=0.3):
    """A sequence, quenched galaxies below it, and galaxies that are too far away."""

    random = np.random.default_rng(seed)
    mass = random.uniform(8.5, 12, number)
    log_ssfr = slope * (mass - 10) - mass + scatter * random.normal(size=number)
    z = random.uniform(0.01, 0.099, number)
    quenched, far = random.random((2, number)) < 0.2
    log_ssfr[quenched] = -12.5
    log_ssfr[far] += 1.5
    z[far] = 0.2
    return pd.DataFrame({"z": z, "stellar_mass": mass, "log_ssfr": log_ssfr})


def test_slope_and_scatter_of_the_main_sequence():
    table = galaxies()
    table["log_ssfr"] += 0.5
    found = main_sequence(table)
    assert found.n == pytest.approx(4000 * 0.8 * 0.8 * 2.5 / 3.5, rel=0.06)
    assert found.slope == pytest.approx(0.8, abs=0.03)
    assert found.scatter == pytest.approx(0.3, rel=0.06)


def test_outliers_hardly_widen_the_sequence():
    table = galaxies()
    table["log_ssfr"] += 0.5
    table.loc[::50, "log_ssfr"] = -7.0
    assert main_sequence(table).scatter == pytest.approx(0.3, rel=0.1)


def test_too_few_galaxies_have_no_sequence():
    found = main_sequence(galaxies(20))
    assert found.n < 20
    assert np.isnan(found.slope)
    assert np.isnan(found.scatter)
    # What is not known is no galaxy of the sequence.
    assert len(star_forming(galaxies().assign(log_ssfr=np.nan))) == 0


def test_the_table_of_the_sequence():
    table = galaxies()
    table["log_ssfr"] += 0.5
    members = [MainSequence(slope, 0.3, 100) for slope in (0.7, 0.8, 0.9)]
    rows = sequence_table("recovered", table, members)
    assert list(rows) == [column.name for column in SEQUENCE_COLUMNS]
    assert rows["stellar_mass"].tolist() == [9.25, 9.75, 10.25, 10.75, 11.25]
    np.testing.assert_allclose(rows["log_sfr"], 0.8 * (rows["stellar_mass"] - 10) + 0.5, atol=0.06)
    assert ((rows["high"] - rows["low"]) / 2).mean() == pytest.approx(0.31, abs=0.04)
    assert rows["slope_error"].tolist() == pytest.approx(5 * [0.1])
    assert rows["scatter_error"].tolist() == pytest.approx(5 * [0])
    assert rows["n"].sum() == pytest.approx(main_sequence(table).n, abs=1)
    assert sequence_table("truth", table)["slope_error"].isna().all()
    assert len(sequence_table("truth", table.iloc[:20])) == 0


# The pull of the prior


def test_the_pull_is_in_widths_of_the_distribution():
    low = pd.Series(np.random.default_rng(0).normal(3, 2, 20_000))
    assert prior_pull(low, low.sample(frac=1, random_state=1)) == pytest.approx(0, abs=1e-12)
    assert prior_pull(low, low + 2) == pytest.approx(1, rel=0.02)
    assert prior_pull(low, low - 2) == pytest.approx(1, rel=0.02)
    # Units do not matter.
    assert prior_pull(10 * low, 10 * (low + 2)) == pytest.approx(prior_pull(low, low + 2))
    # A prior that only narrows the distribution pulls, too.
    assert prior_pull(low, 3 + (low - 3) / 2) > 0.3


def test_a_bin_that_a_member_leaves_empty_has_no_band():
    mass, volume = np.array([8.5, 9.5, 9.7]), np.array([1.0, 2.0, 2.0])
    edges = np.array([8.0, 9.0, 10.0, 11.0])
    members = np.array(
        [mass_function(part, volume[: len(part)], edges, 9.0) for part in (mass, mass[:2])]
    )
    assert np.isnan(members[:, 2]).all()
    table = band_table(MASS_FUNCTION, edges, members, {})
    assert table.loc[:1, ["median", "low_68", "high_95"]].notna().all(axis=None)
    assert table.loc[2, ["median", "low_68", "high_95"]].isna().all()
