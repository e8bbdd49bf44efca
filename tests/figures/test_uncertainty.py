import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.style import save, style
from uraniborg.figures.uncertainty import noise_suppression, uncertainties


def curves(z):
    rng = np.random.default_rng(1)
    wavelength = np.linspace(3800, 9300, 600)
    truth = 10 + np.exp(-0.5 * ((wavelength / (1 + z) - 6564.6) / 10) ** 2)
    spectrum = {
        "flux": np.where(rng.random(600) > 0.05, truth + rng.normal(size=600), np.nan),
        "noise": np.ones(600),
        "model": truth + 0.1,
        "sigma": np.full(600, 0.1),
        "truth": truth,
    }
    parts = [
        pd.DataFrame({"panel": "spectrum", "series": name, "x": wavelength, "y": values})
        for name, values in spectrum.items()
    ]
    x = np.linspace(0.1, 0.9, 5)
    for panel in ("pulls", "coverage", "snr"):
        for series in ("latents", "continuum", "lines"):
            parts.append(pd.DataFrame({"panel": panel, "series": series, "x": x, "y": x}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("z", "line"), [(0.1, 6564.6), (0.45, 5008.2)])
def test_the_enlarged_window_has_lines_that_are_covered(tmp_path, z, line):
    with style():
        figure = uncertainties(curves(z), z, "a galaxy")
        enlarged = figure.subfigs[1].axes[0]
        low, high = enlarged.get_xlim()
        assert low < line * (1 + z) < high < 9300
        save(figure, tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("limit", [None, 0.25])
def test_noise_suppression_shows_the_limit_if_there_is_one(limit):
    rng = np.random.default_rng(2)
    columns = ("model", "principal_components", "predicted", "incoherent")
    table = pd.DataFrame({name: rng.uniform(0.1, 0.4, 30) for name in columns})
    table["snr"] = rng.lognormal(2.5, 0.5, 30)
    with style():
        axes = noise_suppression(table, limit).axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert ("limit of the claim" in labels) == (limit is not None)
    assert {"model", "weighted PCA"} <= set(labels)
