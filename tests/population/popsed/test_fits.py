"""Fits from the catalogue to a table of galaxies, and how they are judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from uraniborg.population.popsed.fits import (
    FitSettings,
    Judge,
    fit_population,
    fit_settings,
    galaxies_of,
)
from uraniborg.population.popsed.tables import galaxy_table_columns
from uraniborg.population.popsed.training import Draw, Recipe
from uraniborg.tables import read_table, write_table

FLOW = {"transforms": 1, "hidden": (16,), "bins": 4}
SETTINGS = FitSettings(epochs=2, steps=4, batch_size=100, flow=FLOW)


@pytest.fixture(scope="module")
def fit(universe, forward_model, tmp_path_factory):
    def fitted(settings=SETTINGS, catalogue=universe.catalogue):
        directory = tmp_path_factory.mktemp("fit")
        return fit_population(catalogue, forward_model, settings, directory=directory)

    return fitted


@pytest.fixture(scope="module")
def fitted(fit):
    return fit()


def draw_of(universe, rows, brighter=0.0):
    """Galaxies that the survey has selected, as a model would draw them."""

    flux = universe.flux[rows] * 10 ** (0.4 * brighter)
    parameters = {name: values[rows] for name, values in universe.parameters.items()}
    nothing = torch.zeros(len(flux))
    return Draw(parameters, nothing[:, None], nothing, flux, nothing)


# Settings


def test_settings_of_fit_and_recipe_are_told_apart():
    settings = fit_settings(
        {"epochs": 3, "weight": 0.1, "distance": "sinkhorn", "seed": 4},
        {"weight": 0.5, "bootstrap": True},
    )
    assert settings == FitSettings(
        Recipe(distance="sinkhorn", weight=0.5, seed=4), epochs=3, bootstrap=True
    )
    with pytest.raises(TypeError, match="no_such_setting"):
        fit_settings({"no_such_setting": 1}, {})


# Fits


def test_a_fit_is_summarised(fitted):
    summary = fitted.summary
    bands = {f"zero_point_sdss_{letter}" for letter in "ugriz"}
    assert set(summary) == {"divergence", "weight", "effective"} | bands
    assert all(np.isfinite(value) for value in summary.values())
    assert summary["weight"] == SETTINGS.recipe.weight
    assert 0 < summary["effective"] <= 1
    assert len(fitted.history) == 2
    assert len(fitted.draw.flux) == 20_000
    assert not fitted.model.training


def test_the_settings_decide(fit, fitted, universe):
    again = fit()
    assert torch.equal(fitted.draw.flux, again.draw.flux)
    assert fitted.summary == again.summary
    for changes in ({"bootstrap": True}, {"vary": True}, {"galaxies": 700}):
        other = fit(replace(SETTINGS, **changes))
        assert not torch.equal(fitted.draw.flux, other.draw.flux), changes
    # The first galaxies are those that are used.
    some = universe.catalogue.take(np.arange(700))
    assert torch.equal(other.draw.flux, fit(catalogue=some).draw.flux)


def test_the_published_recipe_takes_model_and_zero_points_for_exact(fit):
    exact, doubtful = (
        fit(replace(SETTINGS, recipe=Recipe("published", error_floor=error))) for error in (0, 0.1)
    )
    assert torch.equal(exact.draw.flux, doubtful.draw.flux)
    assert not exact.model.zero_points.any()
    assert fit().model.zero_points.any()


def test_members_of_an_ensemble_differ_in_what_they_expect(fit):
    once = replace(SETTINGS, epochs=1, steps=1, vary=True)
    members = [fit(replace(once, recipe=Recipe(seed=seed))).summary for seed in range(4)]
    weights = [member["weight"] for member in members]
    assert len(set(weights)) == 4
    assert all(0.005 <= weight <= 0.02 for weight in weights)
    zero_points = [member[f"zero_point_sdss_{letter}"] for member in members for letter in "ugriz"]
    assert np.std(zero_points) == pytest.approx(0.02, rel=0.5)
    plain = fit(replace(once, vary=False)).summary
    assert plain["weight"] == SETTINGS.recipe.weight
    assert abs(plain["zero_point_sdss_r"]) < 0.001


def test_the_published_fit_has_no_weight_and_selects_nothing(fit):
    summary = fit(replace(SETTINGS, recipe=Recipe("published"))).summary
    assert summary["weight"] == 0
    assert summary["effective"] == pytest.approx(1)


# Judging


@pytest.fixture(scope="module")
def judge(universe):
    return Judge(universe.catalogue)


def test_the_right_population_is_at_the_floor_and_wrong_ones_are_not(judge, universe):
    # Galaxies that are not in the catalogue.
    right = judge.distance(draw_of(universe, slice(1500, 3000)))
    floor = judge.floor(1500)
    assert right == pytest.approx(floor.mean, rel=0.4)
    assert judge.distance(draw_of(universe, slice(1500, 3000), brighter=0.3)) > 2 * floor.mean
    redder = draw_of(universe, slice(1500, 3000))
    redder = redder._replace(flux=redder.flux * torch.tensor([0.9, 0.95, 1.0, 1.05, 1.1]))
    assert judge.distance(redder) > 2 * floor.mean


def test_the_floor_goes_with_the_sizes_of_the_samples(judge, universe):
    floors = [judge.floor(size) for size in (100, 300, 1500)]
    assert floors[0].mean > floors[1].mean > floors[2].mean
    # Parts of the catalogue are what it is measured by.
    for size, floor in zip((100, 300), floors, strict=False):
        found = [
            judge.distance(draw_of(universe, 1500 + np.arange(size) + start))
            for start in range(0, 1500 - size + 1, size)
        ]
        assert floor.mean == pytest.approx(np.mean(found), rel=0.2), size
    assert all(0 < floor.spread < floor.mean for floor in floors)


def test_judgements_repeat(judge, universe):
    draw = draw_of(universe, slice(1500, 2500))
    assert judge.distance(draw) == judge.distance(draw) == Judge(universe.catalogue).distance(draw)
    assert torch.equal(judge.features(draw.flux), judge.features(draw.flux))
    assert judge.floor() == judge.floor()


def test_galaxies_that_are_not_selected_are_not_judged(judge, universe):
    draw = draw_of(universe, slice(1500, 3000))
    both = draw_of(universe, np.r_[1500:3000, 0:500])
    both.flux[1500:] *= 50
    chance = torch.zeros(2000)
    chance[1500:] = -1e4
    weighted = judge.distance(both._replace(log_selected=chance))
    assert weighted == pytest.approx(judge.distance(draw), rel=0.3)
    assert judge.distance(both) > 5 * weighted


# Galaxies


@pytest.fixture(scope="module")
def galaxies(fitted, forward_model, judge):
    features = judge.features(fitted.draw.flux)
    names = judge.observed.catalogue.feature_names
    return galaxies_of(fitted.draw, forward_model, features, names, 2000)


def test_galaxies_stand_for_the_selected_population(fitted, galaxies):
    draw = fitted.draw
    assert len(galaxies) == 2000
    for name in ("z", "stellar_mass", "A_V", "log_metallicity"):
        values = draw.parameters[name].double()
        expected = float((draw.weights.double() * values).sum())
        scatter = float(galaxies[name].std())
        # Evenly spaced in the weights: nearer than random draws would be on average.
        assert galaxies[name].mean() == pytest.approx(expected, abs=0.05 * scatter)
    unselected = float(draw.parameters["z"].mean())
    assert abs(galaxies["z"].mean() - unselected) > 0.2 * galaxies["z"].std()


def test_equal_weights_take_every_galaxy_once(universe, forward_model):
    draw = draw_of(universe, slice(0, 50))
    table = galaxies_of(draw, forward_model, draw.flux, ("a", "b", "c", "d", "e"), 50)
    np.testing.assert_array_equal(table["z"], draw.parameters["z"])
    np.testing.assert_array_equal(table["c"], draw.flux[:, 2])
    chance = torch.full((50,), -50.0)
    chance[[7, 20]] = torch.tensor([3.0, 1.0]).log()
    draw = draw._replace(log_selected=chance)
    table = galaxies_of(draw, forward_model, draw.flux, ("a", "b", "c", "d", "e"), 40)
    counts = table["z"].value_counts()
    assert counts[draw.parameters["z"][7].item()] == 30
    assert counts[draw.parameters["z"][20].item()] == 10


def test_the_table_of_galaxies_is_complete(galaxies, tmp_path):
    columns = galaxy_table_columns(galaxies.columns)
    write_table(tmp_path / "galaxies.parquet", galaxies, columns)
    table = read_table(tmp_path / "galaxies.parquet")
    assert np.isfinite(table.to_numpy(float)).all()
    assert {"r", "u - g", "g - r", "r - i", "i - z", "volume", "age", "log_sfr"} <= set(table)
    history = table.filter(regex="^history_")
    assert history.shape == (2000, 6)
    np.testing.assert_allclose(history.sum(axis=1), 1, atol=1e-5)
    assert (table["volume"] > 0).all()
    assert table["log_ssfr"].min() >= -14
    difference = table["log_sfr"] - table["stellar_mass"]
    forming = difference > -14
    pd.testing.assert_series_equal(
        table["log_ssfr"][forming], difference[forming], check_names=False, rtol=1e-5
    )
