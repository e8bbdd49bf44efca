"""Measures of attributions: what random maps and the truth must get, and tables of many objects."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.spectra.attribution.evaluation import (
    CURVE_COLUMNS,
    DETECTED,
    FRACTIONS,
    LOCALISATION_COLUMNS,
    MEASURED_COLUMNS,
    OBJECT_CURVE_COLUMNS,
    curve_table,
    evaluated,
    localisation_numbers,
    localisation_table,
    mass_inside,
    outlier_percentile,
    perturbation_curves,
    points_inside,
)
from uraniborg.spectra.attribution.names import TRUE_WINDOW
from uraniborg.spectra.attribution.truth import Anomalies
from uraniborg.spectra.dataset import Batch
from uraniborg.tables import read_table, write_table

PIXELS = 200
GOOD = np.arange(PIXELS) >= 20
WINDOW = (np.arange(PIXELS) >= 90) & (np.arange(PIXELS) < 99)


def excess(batch):
    """How much light there is: a score to which every pixel adds."""

    return (batch.flux * (batch.ivar > 0)).sum(dim=1)


def bump():
    """A spectrum of 9 pixels that are 10 brighter, the first 20 masked and absurd."""

    flux = torch.ones(1, PIXELS) + 10 * torch.from_numpy(WINDOW)
    flux[:, :20] = 1e6
    return Batch(flux, torch.from_numpy(GOOD * 4.0)[None].float(), torch.tensor([0.1]))


def test_the_true_window_is_perfect_and_masked_pixels_do_not_count():
    oracle = WINDOW.astype(float)
    oracle[:20] = 5
    assert mass_inside(oracle, WINDOW, GOOD) == 1
    assert points_inside(oracle, WINDOW, GOOD) == 1
    assert mass_inside(1 - WINDOW, WINDOW, GOOD) == 0
    assert points_inside(1 - WINDOW, WINDOW, GOOD, tolerance=0) == 0


@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_scale_and_negative_values_do_not_matter(factor, seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=PIXELS)
    mass = mass_inside(values, WINDOW, GOOD)
    assert mass_inside(factor * values, WINDOW, GOOD) == pytest.approx(mass)
    assert mass_inside(values.clip(0), WINDOW, GOOD) == pytest.approx(mass)


@pytest.mark.parametrize("distribution", ["normal", "lognormal", "uniform"])
def test_random_attribution_has_what_a_uniform_one_has(distribution):
    random = np.random.default_rng(3)
    maps = getattr(random, distribution)(size=(3000, PIXELS))
    mass = [mass_inside(each, WINDOW, GOOD) for each in maps]
    points = [points_inside(each, WINDOW, GOOD, tolerance=2) for each in maps]
    for found, expected in ((mass, 9 / 180), (points, 13 / 180)):
        assert abs(np.mean(found) - expected) < 4 * np.std(found) / 3000**0.5
    uniform = np.ones(PIXELS)
    assert mass_inside(uniform, WINDOW, GOOD) == pytest.approx(9 / 180)
    assert points_inside(uniform, WINDOW, GOOD, tolerance=2) == pytest.approx(13 / 180)


@pytest.mark.parametrize("miss", range(6))
def test_the_largest_attribution_may_miss_by_the_tolerance(miss):
    values = np.zeros(PIXELS)
    values[98 + miss] = 1
    assert points_inside(values, WINDOW, GOOD) == (miss <= 3)


def test_what_cannot_be_measured_is_missing():
    nothing, broken = np.zeros(PIXELS), np.full(PIXELS, np.nan)
    assert mass_inside(nothing, WINDOW, GOOD) == 0
    assert np.isnan(mass_inside(WINDOW * 1.0, nothing > 0, GOOD))
    assert np.isnan(points_inside(broken, WINDOW, GOOD))
    # Outside the mask, nothing matters.
    assert mass_inside(np.where(GOOD, 1.0, np.nan), WINDOW, GOOD) == pytest.approx(9 / 180)


def test_curves_of_a_score_that_adds_up_are_exact():
    attributions = np.stack([WINDOW * 1.0, -1.0 * WINDOW, np.ones(PIXELS)])
    curves = perturbation_curves(excess, bump(), torch.ones(2, PIXELS), attributions)
    assert curves.contrast == pytest.approx(90)
    pixels = np.round(FRACTIONS * 180)
    reached = np.minimum(pixels / 9, 1)
    np.testing.assert_allclose(curves.insertion[0], reached, atol=1e-5)
    np.testing.assert_allclose(curves.deletion[0], 1 - reached, atol=1e-5)
    np.testing.assert_allclose(curves.insertion[1], np.clip((pixels - 171) / 9, 0, 1), atol=1e-5)
    deletion, insertion = curves.areas
    # The truth is best, its contrary worst; equal attributions are exchanged in random order.
    assert deletion.argsort().tolist() == [0, 2, 1]
    assert insertion.argsort().tolist() == [1, 2, 0]
    assert insertion[2] == pytest.approx(0.5, abs=0.15)


def test_random_orders_get_the_diagonal():
    maps = np.random.default_rng(1).normal(size=(300, PIXELS))
    curves = perturbation_curves(excess, bump(), torch.ones(1, PIXELS), maps)
    np.testing.assert_allclose(curves.insertion.mean(0), FRACTIONS, atol=0.04)
    np.testing.assert_allclose(curves.deletion.mean(0), 1 - FRACTIONS, atol=0.04)


def test_curves_stay_between_baseline_and_outlier():
    def seams(batch):
        """What is pasted is stranger than either part."""

        return excess(batch) + 1000 * batch.flux.diff(dim=1).ne(0).sum(dim=1)

    maps = np.random.default_rng(1).normal(size=(3, PIXELS))
    curves = perturbation_curves(seams, bump(), torch.ones(1, PIXELS), maps)
    for curve in curves[1:]:
        assert curve.min() >= 0
        assert curve.max() <= 1


def test_without_contrast_there_are_no_curves():
    baselines = torch.full((2, PIXELS), 5.0)
    curves = perturbation_curves(excess, bump(), baselines, WINDOW[None] * 1.0)
    assert curves.contrast < 0
    assert np.isnan(curves.deletion).all()
    assert np.isnan(curves.areas[1]).all()
    # A baseline that has none is left out.
    baselines[0] = 1.0
    curves = perturbation_curves(excess, bump(), baselines, WINDOW[None] * 1.0)
    assert curves.insertion[0, -1] == pytest.approx(1)


def test_percentiles_among_ordinary_objects():
    ordinary = np.append(np.arange(100.0), np.nan)
    shares = outlier_percentile(np.array([-1, 49.5, 1e9, np.nan]), ordinary)
    np.testing.assert_allclose(shares, [0, 0.5, 1, np.nan])


def many(number=40, seed=0):
    """Evaluations of objects whose spike is found by one method and not by another."""

    random = np.random.default_rng(seed)
    kinds = np.array(["spike", "sky_failure", "star", "none"])[np.arange(number) % 4]
    window = np.tile(WINDOW, (number, 1)) & (kinds != "none")[:, None]
    anomalies = Anomalies(
        np.array([f"{i:03d}" for i in range(number)]),
        kinds,
        np.where(np.arange(number) % 5, random.uniform(3, 40, number), np.nan),
        np.tile(GOOD, (number, 1)),
        window,
    )
    parts = []
    for i in range(number):
        maps = {
            "imo": WINDOW + 0.05 * random.uniform(size=PIXELS),
            "random": random.normal(size=PIXELS),
        }
        percentile = 0.9 if i % 3 else 0.99
        parts.append(
            evaluated(excess, bump(), torch.ones(1, PIXELS), maps, anomalies, i, percentile)
        )
    return (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))


def test_tables_of_many_objects(tmp_path):
    measured, curves = many()
    localisation = localisation_table(measured, "imo", draws=50)
    means = curve_table(curves, measured, draws=20)
    tables = {
        "measured": (measured, MEASURED_COLUMNS),
        "curves": (curves, OBJECT_CURVE_COLUMNS),
        "localisation": (localisation, LOCALISATION_COLUMNS),
        "means": (means, CURVE_COLUMNS),
    }
    for name, (table, columns) in tables.items():
        write_table(tmp_path / f"{name}.parquet", table, columns)
        assert len(read_table(tmp_path / f"{name}.parquet")) == len(table)

    everything = localisation[np.isinf(localisation["snr_low"] - localisation["snr_high"])]
    whole = localisation[
        np.isneginf(localisation["snr_low"]) & np.isposinf(localisation["snr_high"])
    ]
    assert len(whole) <= len(everything)
    of = whole[~whole["detected"]].set_index(["group", "method"])
    assert of.loc[("all", "imo"), "n"] == 30
    assert of.loc[("local", "imo"), "n"] == 20
    assert of.loc[("spike", "imo"), "n"] == 10
    assert of.loc[("local", TRUE_WINDOW), "mass"] == 1
    assert of.loc[("local", "imo"), "mass"] == pytest.approx(9.2 / 13.5, abs=0.02)
    random = of.loc[("local", "random")]
    assert abs(random["mass"] - random["mass_uniform"]) < 3 * random["mass_error"]
    assert random["mass_uniform"] == pytest.approx(9 / 180)
    assert random["mass_gain"] == pytest.approx(of.loc[("local", "imo"), "mass"] / random["mass"])
    assert of.loc[("local", "imo"), "mass_gain"] == 1
    assert random["insertion"] == pytest.approx(0.5, abs=0.1)
    assert of.loc[("local", "imo"), "insertion"] > 0.9
    found = measured.drop_duplicates("object_id")
    found = found[(found["outlier_percentile"] >= DETECTED) & (found["anomaly"] != "none")]
    detected = whole[whole["detected"]].set_index(["group", "method"])
    assert detected.loc[("all", "random"), "n"] == len(found)

    random = means[(means["method"] == "random") & (means["group"] == "all") & ~means["detected"]]
    for curve, expected in (("deletion", 1 - FRACTIONS), ("insertion", FRACTIONS)):
        part = random[random["curve"] == curve].sort_values("fraction")
        np.testing.assert_allclose(part["score"], expected, atol=0.12)
        assert (part["score_error"] < 0.1).all()


def test_order_of_rows_has_no_influence():
    measured, curves = many(12)
    shuffled = measured.sample(frac=1, random_state=1)
    first, second = (localisation_table(x, "imo", draws=10) for x in (measured, shuffled))
    by = ["group", "detected", "snr_low", "snr_high", "method"]
    pd.testing.assert_frame_equal(
        first.sort_values(by, ignore_index=True), second.sort_values(by, ignore_index=True)
    )
    shuffled = curves.sample(frac=1, random_state=1)
    first, second = (curve_table(x, measured, draws=10) for x in (curves, shuffled))
    pd.testing.assert_frame_equal(first, second)


def test_errors_are_those_of_a_mean():
    random, number = np.random.default_rng(0), 400
    mass = random.beta(2, 2, number)
    table = pd.DataFrame({name.name: np.nan for name in MEASURED_COLUMNS}, index=range(number))
    table = table.assign(
        object_id=[f"{i:04d}" for i in range(number)], method="imo", anomaly="spike", snr=20.0,
        outlier_percentile=0.5, mass=mass, mass_uniform=0.01, pointing=1.0, pointing_uniform=0.1,
    )  # fmt: skip
    row = localisation_table(table, "imo", snr_edges=(), draws=400).iloc[0]
    assert row["mass_error"] == pytest.approx(mass.std() / number**0.5, rel=0.15)
    # All found: the bootstrap alone would say that it is certain.
    assert row["pointing_error"] == pytest.approx(0.9 / (number + 1))
    assert row["n_curves"] == 0
    assert np.isnan(row["deletion"])


def test_numbers_for_claims():
    measured, _ = many(20)
    numbers = localisation_numbers(localisation_table(measured, "imo", draws=10))
    assert numbers["mass_imo"]["value"] > 0.6
    assert numbers["mass_random"]["n"] == 10
    assert numbers["mass_gain_random"]["value"] > 3
    assert "mass_detected_imo" in numbers


def test_tables_of_no_contaminants_are_empty():
    measured, curves = many(4)
    measured = measured[measured["anomaly"] == "none"]
    curves = curves[curves["object_id"].isin(measured["object_id"])]
    assert localisation_table(measured, "imo").empty
    assert curve_table(curves, measured).empty
