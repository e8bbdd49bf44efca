"""Figures of stars that are catalogued as galaxies, also of few objects."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.outlier_stars import star_evidence, stellar_templates
from uraniborg.figures.style import save, style


@pytest.mark.parametrize("number", [1, 60])
@pytest.mark.parametrize("groups", [("galaxy",), ("galaxy", "star", "star_blend", "quasar")])
def test_evidence_of_few_and_many_objects_is_drawn(number, groups, tmp_path):
    random = np.random.default_rng(0)
    group = np.repeat(groups, number)
    table = pd.DataFrame({"group": group, "snr": random.lognormal(2, 1, len(group))})
    table["star_evidence"] = np.where(group == "star", 1.0, -1.0) * table["snr"] ** 2
    table.loc[0, "star_evidence"] = np.nan
    table["star_verdict"] = np.where(table["star_evidence"] > 7, "star", "galaxy")
    with style():
        figure = star_evidence(table)
        save(figure, tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes()[:5] == b"%PDF-"
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert f"galaxies ({number - 1})" in labels


@pytest.mark.parametrize("number", [2, 30])
def test_templates_of_few_and_many_stars_are_drawn(number, tmp_path):
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "object_id": "b",
            "spectype": np.repeat(["STAR", "GALAXY"], 6 * number),
            "subclass": np.tile(["M", "K"], 6 * number),
            "components": np.tile(np.repeat([0, 1, 2], 2), 2 * number),
            "star_chi2": random.uniform(0, 2, 12 * number),
            "galaxy_chi2": 1.0,
        }
    )
    wavelength = np.linspace(3800, 9200, 400)
    example = pd.DataFrame({"wavelength": wavelength, "flux": 1.0, "galaxy_z": 0.1})
    example.loc[:20, "flux"] = np.nan
    for name in ("star_templates", "galaxy_templates", "star_model"):
        example[name] = 1.1
    example = example.assign(object_id="a", subclass="M", components=2)
    with style():
        figure = stellar_templates(table, example)
        save(figure, tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").read_bytes()[:5] == b"%PDF-"
    assert "fraction of stars called galaxies" in {axes.get_ylabel() for axes in figure.axes}


@pytest.mark.parametrize(("galaxy_chi2", "words"), [(1.0, "a galaxy at some"), (9.0, "none is")])
def test_the_example_is_what_the_title_says(galaxy_chi2, words):
    table = pd.DataFrame({"object_id": ["a", "b"], "components": 2, "star_chi2": 5.0})
    table = table.assign(spectype="STAR", subclass="M", galaxy_chi2=[galaxy_chi2, 9.0])
    example = pd.DataFrame({"wavelength": np.linspace(3800, 9200, 80), "flux": 1.0})
    for name in ("star_templates", "galaxy_templates", "star_model"):
        example[name] = 1.1
    example = example.assign(object_id="a", subclass="M", components=2, galaxy_z=0.1)
    with style():
        figure = stellar_templates(table, example)
    assert words in figure.subfigs[1].get_suptitle()
