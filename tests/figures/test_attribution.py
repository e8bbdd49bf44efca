"""Figures of attributions from tables alone: simulated and real, few objects, missing numbers."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.attribution import (
    comparison,
    feature_shares,
    localisation,
    perturbation,
)
from uraniborg.figures.style import save, style
from uraniborg.spectra.attribution.evaluation import (
    FRACTIONS,
    MEASURED_COLUMNS,
    curve_table,
    localisation_table,
)
from uraniborg.spectra.attribution.features import feature_summary, features
from uraniborg.spectra.attribution.maps import MAP_COLUMNS, SPECTRA_COLUMNS, map_tables
from uraniborg.spectra.attribution.names import TRUE_WINDOW
from uraniborg.tables import read_table, write_table

METHODS = ("inverse_occlusion", "gradient_x_input", "occlusion", "random", TRUE_WINDOW)
WAVELENGTH = np.geomspace(3800, 9200, 1200)


def one_map(center, random):
    bump = np.exp(-0.5 * ((WAVELENGTH / center - 1) / 2e-3) ** 2)
    return bump + 0.05 * random.normal(size=len(WAVELENGTH))


def shown_tables(objects, real):
    random, parts = np.random.default_rng(0), []
    for i in range(objects):
        window = (np.abs(WAVELENGTH / 7221 - 1) < 3e-3) & (not real)
        flux = 5 + np.sin(WAVELENGTH / 900) + 20 * one_map(7221, random)
        flux[:30] = np.nan
        maps = {name: one_map(7221, random) - 0.02 for name in METHODS[:-1]}
        own = map_tables(f"o{i}", "double peaked", 0.1, WAVELENGTH, flux, flux + 1, maps, window)
        parts.append((*own, features(f"o{i}", maps[METHODS[0]], WAVELENGTH, 0.1)))
    return [pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)]


def measured_tables(objects):
    random, rows, steps = np.random.default_rng(1), [], []
    kinds = ("spike", "double_peaked", "arm_jump", "wrong_redshift")
    for i in range(objects):
        known = kinds[i % 4] != "wrong_redshift"
        for rank, method in enumerate(METHODS):
            row = dict.fromkeys((column.name for column in MEASURED_COLUMNS), 0.1)
            row |= {"object_id": f"{i:03d}", "method": method, "anomaly": kinds[i % 4]}
            row |= {"snr": 5.0 + i, "outlier_percentile": 0.9 + 0.1 * (i % 2)}
            row["mass"] = random.uniform() if known else np.nan
            row["mass_uniform"] = 0.01 if known else np.nan
            rows.append(row)
            for curve in ("deletion", "insertion"):
                score = FRACTIONS ** (0.2 * (rank + 1))
                score = score if curve == "insertion" else 1 - score
                part = pd.DataFrame({"fraction": FRACTIONS, "score": score})
                steps.append(part.assign(object_id=f"{i:03d}", method=method, curve=curve))
    return pd.DataFrame(rows), pd.concat(steps, ignore_index=True)


@pytest.mark.parametrize(("objects", "real"), [(1, True), (2, False)])
def test_methods_are_compared_on_spectra(objects, real, tmp_path):
    spectra, maps, named = shown_tables(objects, real)
    write_table(tmp_path / "spectra.parquet", spectra, SPECTRA_COLUMNS)
    write_table(tmp_path / "maps.parquet", maps, MAP_COLUMNS)
    spectra, maps = (read_table(tmp_path / f"{name}.parquet") for name in ("spectra", "maps"))
    assert maps.groupby("method")["attribution"].agg(lambda x: x.abs().max()).eq(1).all()
    with style():
        figure = comparison(spectra, maps, named)
        save(figure, tmp_path / "comparison.pdf")
    assert len(figure.subfigs[0].axes) == len(METHODS)
    labels = [axes.get_ylabel() for axes in figure.subfigs[0].axes[1:]]
    assert labels == ["inverse occlusion", "gradient × input", "occlusion", "random"]
    # The line that the map points at has its name above the spectrum.
    assert "Hα" in [text.get_text() for text in figure.subfigs[0].axes[0].texts]


@pytest.mark.parametrize(("objects", "detected"), [(24, True), (1, False), (1, True)])
def test_measures_of_any_number_of_objects_are_drawn(objects, detected, tmp_path):
    measured, curves = measured_tables(objects)
    table = localisation_table(measured, METHODS[0], draws=5)
    with style():
        figures = {
            "localisation": localisation(table, detected),
            "perturbation": perturbation(curve_table(curves, measured, draws=5), detected),
        }
        for name, figure in figures.items():
            save(figure, tmp_path / f"{name}.pdf")
            assert (tmp_path / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
    ticks = [label.get_text() for label in figures["localisation"].axes[0].get_yticklabels()]
    if objects == 24:
        # Six each of four kinds, two of them local; every second object is detected.
        assert ticks[0] == "local anomalies (6)"
    assert not any("_" in tick for tick in ticks)


@pytest.mark.parametrize("groups", [("spike",), ("spike", "star", "type1_agn")])
def test_features_of_a_catalogue_are_drawn(groups, tmp_path):
    random = np.random.default_rng(2)
    places = (6564.6, 5008.2, 4862.7, 5300.0, 8829.0)
    parts = [
        features(f"{i:02d}", one_map(1.1 * places[i % 5], random), WAVELENGTH, 0.1)
        for i in range(15)
    ]
    known = {f"{i:02d}": groups[i % len(groups)] for i in range(15)}
    with style():
        figure = feature_shares(feature_summary(pd.concat(parts), known))
        save(figure, tmp_path / "features.pdf")
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"Hα", "[O III]", "Hβ"} <= set(rows)
    assert rows[-2:] == ["other features", "in none"]
    columns = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert columns[0] == "all outliers (15)"
    assert len(columns) == len(groups) + 1
