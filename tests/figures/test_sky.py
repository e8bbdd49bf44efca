"""Figures of samples: they draw what they are given, also where there is little of it."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.sky import colours, comparison, distributions
from uraniborg.figures.style import save, style
from uraniborg.population.samples import SUMMARY_COLUMNS, objects


def sample(name, seed, n=300, offset=0.0):
    random = np.random.default_rng(seed)
    magnitudes = random.normal([20, 18, 17, 16.5, 16.2], 0.3, (n, 5)) + offset * np.arange(5)
    flux = 10 ** (0.4 * (22.5 - magnitudes))
    columns = {f"sdss_{band}_flux": flux[:, i] for i, band in enumerate("ugriz")}
    columns |= {f"sdss_{band}_ivar": 1.0 for band in "ugriz"}
    photometry = pd.DataFrame({"z": 0.1 + 0.02 * random.random(n), **columns})
    return objects(photometry, "toy_survey", name)


def summary(ratios):
    table = pd.DataFrame({"sample": list(ratios), "ratio": list(ratios.values())})
    rest = {c.name: 0.1 for c in SUMMARY_COLUMNS if c.name not in table}
    return table.assign(**{**rest, "catalogue": "toy_survey", "n": 300, "auc": 0.6})


@pytest.fixture
def tables():
    return pd.concat(
        [sample("no dust", 2), sample("simulated", 1), sample("real", 0, n=400)], ignore_index=True
    )


def drawn(figure, path):
    with style():
        save(figure, path)
    return path.read_bytes()


def test_every_pair_of_features_has_a_panel_with_points_and_contours(tables, tmp_path):
    figure = colours(tables)
    assert len(figure.axes) == 15
    pairs = [axes for axes in figure.axes if axes.lines]
    assert len(pairs) == 10
    assert all(len(axes.lines[0].get_xdata()) == 400 for axes in pairs)
    assert all(axes.collections for axes in pairs)
    assert drawn(figure, tmp_path / "a.pdf") == drawn(colours(tables), tmp_path / "b.pdf")


def test_a_simulation_far_from_the_real_galaxies_leaves_panels_without_contours(tmp_path):
    figure = colours(pd.concat([sample("real", 0), sample("simulated", 1, offset=50.0)]))
    assert drawn(figure, tmp_path / "far.png")


def test_missing_colours_are_not_drawn(tmp_path):
    incomplete = sample("simulated", 1)
    incomplete.loc[:100, "u_g"] = np.nan
    table = pd.concat([sample("real", 0), incomplete])
    assert drawn(colours(table), tmp_path / "colours.png")
    assert drawn(distributions(table), tmp_path / "distributions.png")


def test_distributions_show_all_samples_real_first(tables):
    figure = distributions(tables)
    _, labels = figure.axes[0].get_legend_handles_labels()
    assert labels == ["real", "simulated", "no dust"]
    assert len(figure.axes) == 6


def test_comparisons_show_every_sample_and_the_criteria(tmp_path):
    ratios = {"fitting half": 1.0, "simulated": 3.0, "no dust": 40.0}
    figure = comparison(summary(ratios))
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(ratios)
    assert [c.lines[0].get_xdata()[0] for c in left.containers] == list(ratios.values())
    assert left.get_xlim()[1] > 40
    assert [line.get_xdata()[0] for line in left.lines[:2]] == [1, 5]
    assert [line.get_xdata()[0] for line in right.lines[:2]] == [0.5, 0.85]
    assert drawn(figure, tmp_path / "comparison.pdf")
