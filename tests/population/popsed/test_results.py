"""Tables and numbers of a survey: complete, right where the answer is known, else silent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from uraniborg.errors import UserError
from uraniborg.population.popsed.ablation import ablation_table, convergence_table
from uraniborg.population.popsed.results import Results, null_redshifts
from uraniborg.population.popsed.tables import (
    ABLATION_COLUMNS,
    BAND_COLUMNS,
    CONVERGENCE_COLUMNS,
    MASS_FUNCTION,
    PARAMETER_COLUMNS,
    PHOTOMETRY_COLUMNS,
    POPULATION_COLUMNS,
    SEQUENCE_COLUMNS,
)
from uraniborg.tables import write_table
from uraniborg.universe.relations import hyperparameters, mass_density

POPULATION = {
    "bands": [f"sdss_{letter}" for letter in "ugriz"],
    "reference": "sdss_r",
    "z_min": 0.003,
    "z_max": 0.3,
    "limits": {"sdss_r0": {"magnitude": 17.7, "width": 0.09}},
    "luminosity_function": "blanton_2003",
}
NAMES = ("r", "u - g", "g - r", "r - i", "i - z")
TABLES = {
    "population_table": POPULATION_COLUMNS,
    "photometry_table": PHOTOMETRY_COLUMNS,
    "bands": BAND_COLUMNS,
    "sequence": SEQUENCE_COLUMNS,
    "parameters": PARAMETER_COLUMNS,
}


def galaxies(seed, number=2000, z=0.0, mass=0.0, slope=0.8):
    """Galaxies as a fit draws them, whose redshifts and masses are shifted from the truth."""

    random = np.random.default_rng(seed)
    table = pd.DataFrame({"z": random.gamma(6, 0.015, number).clip(0.004, 0.29) + z})
    table["stellar_mass"] = random.normal(10.3, 0.6, number) + mass
    table["log_ssfr"] = (slope - 1) * (table["stellar_mass"] - 10) - 9.9
    table["log_ssfr"] += random.normal(0, 0.3, number)
    table.loc[random.random(number) < 0.3, "log_ssfr"] = -12.0
    table["log_sfr"] = table["log_ssfr"] + table["stellar_mass"]
    table["log_metallicity"] = random.normal(-0.2, 0.2, number)
    table["A_V"] = random.exponential(0.3, number)
    table["age"] = random.uniform(3, 9, number)
    table["volume"] = 1e6 * 10 ** (1.5 * (table["stellar_mass"] - 10))
    table[list(NAMES)] = random.normal(17, 0.5, (number, 5))
    return table


TRUTH = ("z", "stellar_mass", "log_metallicity", "A_V", "log_sfr", "age", "log_ssfr")


def of(catalogue, **changes):
    settings = {
        "catalogue": catalogue,
        "members": [galaxies(seed, z=0.002) for seed in range(4)],
        "prior": galaxies(10, z=0.05, mass=0.5),
        "published": galaxies(11, z=0.01, mass=0.4),
        "shuffled": galaxies(12, z=0.03),
        "lightest": galaxies(13),
        "heaviest": galaxies(13, mass=0.6),
        "truth": galaxies(14, 20_000)[list(TRUTH)],
        "population": POPULATION,
        "true_values": hyperparameters({}, None),
    }
    return Results(**(settings | changes))


@pytest.fixture(scope="module")
def simulated(universe):
    return of(universe.catalogue)


@pytest.fixture(scope="module")
def real(universe):
    """Redshifts are all that is known of the galaxies, and only of half of them."""

    catalogue = universe.catalogue
    z = np.where(np.arange(len(catalogue)) % 2, catalogue.z, np.nan)
    truth = pd.DataFrame({"z": galaxies(14)["z"]}).reindex(columns=list(TRUTH)).astype(float)
    return of(replace(catalogue, z=z), truth=truth, true_values=None)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_tables_have_the_columns_that_are_declared(request, tmp_path, kind, name):
    table = getattr(request.getfixturevalue(kind), name)()
    assert len(table)
    # It refuses columns that were not declared, and other types.
    write_table(tmp_path / "table.parquet", table, TABLES[name])


def test_each_source_has_its_galaxies(simulated):
    table = simulated.population_table()
    counts = table["source"].value_counts()
    assert set(counts.index) == {"recovered", "truth", "prior", "published"}
    assert counts["recovered"] == 4000
    assert counts["truth"] == 4000
    members = table[table["source"] == "recovered"]["member"].value_counts()
    assert members.to_dict() == dict.fromkeys(range(4), 1000)
    assert (table[table["source"] != "recovered"]["member"] == -1).all()
    prior = table[table["source"] == "prior"]
    assert prior["z"].mean() == pytest.approx(simulated.prior["z"].mean())


def test_photometry_is_compared_feature_by_feature(simulated, universe):
    table = simulated.photometry_table()
    assert table["feature"].drop_duplicates().tolist() == list(NAMES)
    wide = table.pivot_table("value", ["source", "galaxy"], "feature")
    assert not wide.isna().any(axis=None)
    assert len(wide.loc["observed"]) == len(universe.catalogue)
    assert len(wide.loc["recovered"]) == 4000
    flux = universe.catalogue.flux
    expected = 22.5 - 2.5 * np.log10(flux[:, 2])
    np.testing.assert_allclose(wide.loc["observed"]["r"], expected, atol=0.03)
    colour = -2.5 * np.log10(flux[:, 2] / flux[:, 3])
    np.testing.assert_allclose(wide.loc["observed"]["r - i"], colour, atol=0.03)


def test_bands_are_adjacent_and_normalised(simulated):
    table = simulated.bands()
    assert table["quantity"].drop_duplicates().tolist() == ["z", "stellar_mass", MASS_FUNCTION]
    for quantity, rows in table.groupby("quantity"):
        np.testing.assert_allclose(rows["low"].iloc[1:], rows["high"].iloc[:-1])
        if quantity == MASS_FUNCTION:
            continue
        width = rows["high"] - rows["low"]
        for name in ("median", "truth"):
            assert (rows[name] * width).sum() == pytest.approx(1, abs=0.05), (quantity, name)
    redshifts = table[table["quantity"] == "z"]
    assert redshifts[["null", "neighbours", "prior"]].notna().all(axis=None)
    masses = table[table["quantity"] == "stellar_mass"]
    assert masses[["null", "neighbours"]].isna().all(axis=None)


def test_the_true_mass_function_is_normalised_as_the_recovered_one(simulated):
    table = simulated.bands().query("quantity == @MASS_FUNCTION")
    above = table[table["low"] > 9.5]
    width = above["high"] - above["low"]
    for name in ("median", "truth"):
        # The bin that 9.5 lies in is missing.
        assert 0.7 < (10 ** above[name] * width).sum() < 1.01, name


def test_parameters_are_summarised(simulated):
    table = simulated.parameters().set_index("parameter")
    assert list(table.index) == [column.name for column in POPULATION_COLUMNS[2:]]
    z = table.loc["z"]
    assert z["mean"] - z["truth_mean"] == pytest.approx(0.002, abs=0.001)
    assert z["mean_error"] < 0.003
    assert z["prior_mean"] - z["truth_mean"] == pytest.approx(0.05, abs=0.003)
    # Only mass differs between the lightest and the heaviest prior, by one width.
    assert table.loc["stellar_mass", "prior_pull"] == pytest.approx(1, abs=0.05)
    assert table.loc["A_V", "prior_pull"] == pytest.approx(0, abs=0.01)


# Numbers


def test_numbers_are_complete(simulated, real):
    for results, data in ((simulated, "simulated"), (real, "real")):
        numbers = results.numbers()
        for name, number in numbers.items():
            assert set(number) == {"value", "uncertainty", "n", "data"}, name
            assert np.isfinite(number["value"]), name
            assert number["data"] == data
            assert number["n"] > 0


def test_numbers_are_those_of_known_offsets(simulated):
    numbers = {name: number["value"] for name, number in simulated.numbers().items()}
    assert numbers["w1_z"] == pytest.approx(0.002, abs=0.001)
    assert numbers["mean_z_offset"] == pytest.approx(0.002, abs=0.001)
    assert numbers["published_w1_z"] == pytest.approx(0.01, abs=0.002)
    assert numbers["prior_w1_z"] == pytest.approx(0.05, abs=0.002)
    assert numbers["shuffled_w1_z"] == pytest.approx(0.03, abs=0.002)
    assert numbers["published_w1_mass"] == pytest.approx(0.4, abs=0.03)
    ratio = numbers["w1_mass"] / numbers["published_w1_mass"]
    assert numbers["published_ratio_mass"] == pytest.approx(ratio)
    assert numbers["null_gain"] == pytest.approx(numbers["null_w1_z"] - numbers["w1_z"])
    assert numbers["sequence_slope_offset"] < 0.08
    assert numbers["sequence_scatter_offset"] < 0.03
    assert simulated.numbers()["w1_z"]["n"] == 20_000


def test_whether_the_truth_is_inside(universe):
    inside = of(universe.catalogue, members=[galaxies(seed) for seed in range(4)]).numbers()
    assert inside["mean_z_inside"]["value"] == 1
    assert inside["mean_mass_inside"]["value"] == 1
    assert inside["inside_95_z"]["value"] > 0.8
    wrong = [galaxies(seed, z=0.04) for seed in range(4)]
    outside = of(universe.catalogue, members=wrong).numbers()
    assert outside["mean_z_inside"]["value"] == 0
    assert outside["mean_mass_inside"]["value"] == 1
    assert outside["inside_95_z"]["value"] < 0.6
    assert outside["null_gain"]["value"] < inside["null_gain"]["value"]


def test_what_is_not_known_of_a_real_survey_is_not_said(real):
    numbers = real.numbers()
    assert {"w1_z", "mean_z_inside", "inside_95_z", "null_gain", "neighbours_w1_z"} <= set(numbers)
    assert not [name for name in numbers if "mass" in name or "sequence" in name]
    bands = real.bands().set_index("quantity")
    assert bands.loc["z", "truth"].notna().all()
    assert bands.loc[["stellar_mass", MASS_FUNCTION], "truth"].isna().all()
    parameters = real.parameters().set_index("parameter")
    assert parameters["truth_mean"].notna().tolist() == [True, *5 * [False]]
    assert parameters["prior_pull"].notna().all()
    assert "truth" not in set(real.sequence()["source"])


def test_a_survey_without_redshifts_and_luminosity_function_has_tables(universe):
    catalogue = replace(universe.catalogue, z=np.full(len(universe.catalogue), np.nan))
    nothing = pd.DataFrame(columns=list(TRUTH), dtype=float)
    population = POPULATION | {"luminosity_function": None}
    results = of(catalogue, truth=nothing, population=population, true_values=None)
    assert results.numbers() == {}
    bands = results.bands()
    assert bands[["truth", "null", "neighbours"]].isna().all(axis=None)
    assert bands.query("quantity != @MASS_FUNCTION")[["median", "prior"]].notna().all(axis=None)
    assert results.neighbours is None


def test_redshifts_of_the_null_are_within_the_survey():
    z = null_redshifts(POPULATION, 5000)
    assert len(z) == 5000
    assert z.min() >= 0.003
    assert z.max() <= 0.3
    fainter = POPULATION | {"limits": {"sdss_r0": {"magnitude": 19.0, "width": 0.09}}}
    assert np.median(null_redshifts(fainter, 5000)) > np.median(z) + 0.03
    assert null_redshifts(POPULATION | {"luminosity_function": ""}) is None


# What each choice is worth


def summary(distance):
    return {
        "galaxies": 1500,
        "drawn": 6000,
        "distance": distance,
        "floor": 0.01,
        "training_floor": 0.04,
        "training_spread": 0.004,
    }


def test_variants_are_compared(universe, tmp_path):
    fits = {
        "a": (galaxies(0, z=0.010), summary(0.02)),
        "b": (galaxies(1, z=0.012), summary(0.04)),
        "c": (galaxies(2, z=0.05, mass=0.3), summary(0.1)),
    }
    rows = [
        {"kind": "recipe", "label": "default", "fits": ["a", "b"]},
        {"kind": "size", "label": "few", "fits": ["c"]},
    ]
    truth = galaxies(14, 20_000)
    draws = [galaxies(3, 500), galaxies(4, 500, z=0.02, mass=0.2)]
    stacks = pd.concat(
        [
            table[["z", "stellar_mass"]].assign(label=label, galaxy=np.arange(500) // 10)
            for label, table in zip(("prior", "flat prior"), draws, strict=True)
        ]
    )
    table = ablation_table(fits, rows, truth, universe.catalogue, POPULATION, stacks)
    write_table(tmp_path / "table.parquet", table, ABLATION_COLUMNS)
    table = table.set_index("label")
    controls = ["no photometry", "supervised neighbours"]
    single = ["single fits, flat prior", "single fits, prior"]
    assert list(table.index) == ["default", "few", *controls, *single]
    assert table.loc[single, "w1_mass"].tolist() == pytest.approx([0.2, 0.0], abs=0.08)
    assert table.loc[single, "n"].tolist() == [50, 50]
    assert table.loc[controls, "w1_mass"].isna().all()
    assert table.loc["default", "distance"] == pytest.approx(0.03)
    assert table.loc["default", "w1_z"] == pytest.approx(0.011, abs=0.002)
    assert table.loc["default", "w1_z_error"] > 0
    assert table.loc["few", "w1_mass"] == pytest.approx(0.3, abs=0.05)
    assert np.isnan(table.loc["few", "w1_z_error"])
    assert table["seeds"].tolist() == [2, 1, 1, 1, 1, 1]
    # Of real galaxies the masses are not known.
    truth = truth.assign(stellar_mass=np.nan)
    real = ablation_table(fits, rows, truth, universe.catalogue, POPULATION, stacks)
    assert real["w1_mass"].isna().all()
    np.testing.assert_allclose(real["w1_z"], table["w1_z"])


def test_the_course_of_fits(tmp_path):
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_distance": [0.5, 0.2, 0.1],
            "train_divergence": [4.0, 3.0, 2.0],
        }
    )
    histories = {"default": history, "published": history.iloc[:2]}
    table = convergence_table(histories, dict.fromkeys(histories, summary(0.1)))
    write_table(tmp_path / "table.parquet", table, CONVERGENCE_COLUMNS)
    assert table["drawn"].tolist() == pytest.approx([2000, 4000, 6000, 3000, 6000])
    assert table["distance"].tolist() == [0.5, 0.2, 0.1, 0.5, 0.2]
    assert table.groupby("label")["step"].apply(lambda step: step.is_monotonic_increasing).all()
    assert (table["floor"] == 0.04).all()


def test_the_true_mass_function_is_where_a_perfect_recovery_is(universe):
    fine = np.linspace(7, 12.4, 20_001)
    density = mass_density(fine, 0.1, hyperparameters({}, None))
    mass = np.interp((np.arange(400_000) + 0.5) / 400_000, np.cumsum(density) / density.sum(), fine)
    perfect = galaxies(0, len(mass)).assign(stellar_mass=mass, volume=1.0, z=0.1)
    results = of(universe.catalogue, members=[perfect, perfect], truth=perfect[list(TRUTH)])
    table = results.bands().query("quantity == @MASS_FUNCTION and low > 8.5 and high < 11.1")
    np.testing.assert_allclose(table["median"], table["truth"], atol=0.02)


def test_the_true_mass_function_is_that_of_the_survey(universe):
    table = [
        of(universe.catalogue, true_values=hyperparameters(values, None)).bands()
        for values in ({}, {"quiescent_mass": 10.0}, {"mass_offset": 0.2})
    ]
    truth = [each.query("quantity == @MASS_FUNCTION")["truth"].dropna() for each in table]
    # The mass function is that of all galaxies, quiescent or not.
    np.testing.assert_allclose(truth[1], truth[0])
    assert np.abs(truth[2] - truth[0]).max() > 0.1


def test_the_error_of_the_pooled_distance_is_that_of_the_pool(universe):
    # Members far off to either side pool to about the truth, and tell so little.
    apart = [galaxies(seed, z=side) for seed, side in enumerate((-0.03, 0.03, -0.03, 0.03))]
    alike = [galaxies(seed, z=0.0) for seed in range(4)]
    numbers = [of(universe.catalogue, members=each).numbers()["w1_z"] for each in (apart, alike)]
    assert numbers[0]["value"] < 0.03
    assert numbers[0]["uncertainty"] > 5 * numbers[1]["uncertainty"]


def test_a_null_needs_a_limit_in_its_band():
    population = POPULATION | {"luminosity_function": "kochanek_2001"}
    with pytest.raises(UserError, match=r"kochanek_2001.*no limit"):
        null_redshifts(population)
