"""Peaks of attributions in words: lines at their places, the sky, the instrument, the continuum."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.attribution.features import (
    FEATURE_COLUMNS,
    SUMMARY_COLUMNS,
    bright_sky,
    feature_summary,
    features,
)
from uraniborg.spectra.attribution.names import ELSEWHERE
from uraniborg.spectra.lines import LINES
from uraniborg.tables import write_table

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
WAVELENGTH = GRID.wavelength


def bump(where, velocity, height=1.0):
    """A Gaussian at an observed wavelength, of a standard deviation in km/s."""

    return height * np.exp(-0.5 * ((WAVELENGTH / where - 1) * 299_792 / velocity) ** 2)


def only(attribution, z=0.1, **settings):
    table = features("a", attribution, WAVELENGTH, z, **settings)
    return [
        tuple(row) for row in table[table["name"] != ELSEWHERE][["name", "category"]].to_numpy()
    ]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.name} {line.wavelength}")
@pytest.mark.parametrize("z", [0.03, 0.29])
def test_narrow_lines_have_their_names(line, z):
    assert only(bump(line.wavelength * (1 + z), 150), z) == [(line.name, "line")]


@pytest.mark.parametrize(("name", "rest"), [("Hβ", 4862.7), ("Hα", 6564.6)])
def test_broad_lines_are_called_broad(name, rest):
    # 2,000 km/s off, 4,700 km/s wide at half height.
    where = rest * 1.1 * (1 + 2000 / 299_792)
    assert only(bump(where, 2000)) == [(f"broad {name}", "broad line")]


def test_lines_next_to_each_other_are_told_apart():
    both = bump(4960.3 * 1.1, 150, 1.0) + bump(4862.7 * 1.1, 150, 2.0)
    table = features("a", both, WAVELENGTH, 0.1)
    assert table["name"].tolist() == ["Hβ", "[O III]", ELSEWHERE]
    assert table["share"][0] == pytest.approx(2 / 3, abs=0.03)
    assert table["place"].tolist() == [1, 2, 3]


def test_the_sky_is_called_by_its_observed_wavelength():
    assert only(bump(5578.9, 80)) == [("O I sky 5579", "sky")]
    # At this redshift, a line of the object is nearer.
    z = 5580 / 5008.2 - 1
    assert only(bump(5008.2 * (1 + z), 80), z) == [("[O III]", "line")]
    oh = np.abs(WAVELENGTH / 8829 - 1) < 5e-4
    assert only(bump(8829, 80), 0.05, sky=oh) == [("OH sky", "sky")]
    assert only(bump(8829, 80), 0.05)[0][1] == "continuum"
    assert only(bump(7640, 600), 0.02) == [("O2 A band 7640", "sky")]
    assert bright_sky(np.array([0.1, 5.0]), np.array([1.0, 1.0])).tolist() == [False, True]


@pytest.mark.parametrize(("name", "rest"), [("Lyα", 1215.7), ("C IV", 1549.1)])
def test_lines_of_quasars_have_their_names(name, rest):
    # The top of a broad line, as residuals in blocks of a few pixels find it, 400 km/s off.
    assert only(bump(rest * 3.37 * (1 - 400 / 299_792), 250), z=2.37) == [(name, "line")]


def test_the_join_of_arms_is_the_instrument():
    assert only(bump(6010, 300), 0.155, joins=(6000.0,)) == [("join of arms", "instrument")]
    assert only(bump(6010, 300), 0.155)[0][1] != "instrument"


@pytest.mark.parametrize(("where", "velocity", "name"), [
    (5250 * 1.1, 5000, "5000–5500 Å"), (5600 * 1.1, 25_000, "5000–6500 Å"),
])  # fmt: skip
def test_continuum_is_named_by_its_rest_range(where, velocity, name):
    assert only(bump(where, velocity)) == [(name, "continuum")]


@given(st.integers(0, 500), st.sampled_from(["noise", "steps", "sparse"]))
def test_shares_are_of_everything_and_no_pixel_counts_twice(seed, sort):
    random = np.random.default_rng(seed)
    values = {
        "noise": random.normal(size=3921),
        "steps": np.repeat(random.normal(size=62), 64)[:3921],
        "sparse": random.normal(size=3921) * (random.uniform(size=3921) < 0.01),
    }[sort]
    values[:50] = np.nan
    table = features("a", values, WAVELENGTH, 0.2, joins=(6000.0,), least=0.0)
    assert table["share"].sum() == pytest.approx(1)
    assert (table["share"] >= 0).all()
    assert table["name"].is_unique
    assert table["share"][:-1].is_monotonic_decreasing
    known = table[:-1]
    assert (known["low"] <= known["peak"]).all()
    assert (known["peak"] <= known["high"]).all()


@pytest.mark.parametrize("pixel", [0, 1, 3919, 3920])
def test_peaks_at_the_ends_are_found(pixel):
    values = np.zeros(3921)
    values[pixel] = 1
    table = features("a", values, WAVELENGTH, 0.1)
    assert len(table) == 2
    assert table["share"][0] == pytest.approx(1)
    assert abs(table["peak"][0] / WAVELENGTH[pixel] - 1) < 1e-3


def test_nothing_positive_has_no_features():
    for values in (np.zeros(3921), np.full(3921, -1.0), np.full(3921, np.nan)):
        assert features("a", values, WAVELENGTH, 0.1).empty


def test_summary_over_a_catalogue(tmp_path):
    parts = [
        features("a", bump(6564.6 * 1.1, 150), WAVELENGTH, 0.1),
        features("b", bump(6564.6 * 1.1, 150) + bump(5578.9, 100), WAVELENGTH, 0.1),
        features("c", np.zeros(3921), WAVELENGTH, 0.1),
        features("other", bump(5578.9, 100), WAVELENGTH, 0.1),
    ]
    tables = pd.concat(parts, ignore_index=True)
    summary = feature_summary(tables, {"a": "spike", "b": "spike", "c": "star"})
    of = summary.set_index(["group", "name"])
    assert of.loc[("all", "Hα"), "n"] == 3
    assert of.loc[("all", "Hα"), "n_with"] == 2
    assert of.loc[("all", "Hα"), "n_first"] == 2
    assert of.loc[("spike", "Hα"), "share"] == pytest.approx(0.8, abs=0.05)
    assert of.loc[("spike", "Hα"), "share_error"] == pytest.approx(0.2, abs=0.05)
    assert of.loc[("all", "O I sky 5579"), "n_with"] == 1
    assert "star" not in summary["group"].unique()
    by_group = summary.groupby("group")["share"].sum()
    assert by_group["spike"] == pytest.approx(1)
    assert by_group["all"] == pytest.approx(2 / 3)
    write_table(tmp_path / "features.parquet", tables, FEATURE_COLUMNS)
    write_table(tmp_path / "summary.parquet", summary, SUMMARY_COLUMNS)
    common = feature_summary(tables, {"a": "spike", "b": "spike"}, least_objects=2)
    assert "O I sky 5579" not in set(common["name"])
