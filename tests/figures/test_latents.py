"""Figures of the latent space: they draw what they are given, also where something is missing."""

import numpy as np
import pandas as pd

from uraniborg.figures.attention import attention
from uraniborg.figures.generation import generation, interpolation
from uraniborg.figures.latents import LABELS, latent_dimension, latent_probes, latent_space
from uraniborg.figures.style import save, style


def drawn(figure, path):
    with style():
        save(figure, path)
    return path.read_bytes()


def fits(excess):
    rows = [("model", "latent_02", 2), ("model", "default", 4), ("truth", "", 0)]
    rows += [("components", name, size) for _, name, size in rows[:2]]
    table = pd.DataFrame(rows, columns=["method", "variant", "latents"])
    table["reduced_chi2"] = [1.2, 1.0, 0.99, 1.6, 1.2]
    return table.assign(reduced_chi2_error=0.01, excess_chi2=excess, excess_chi2_error=0.01)


def test_dimension_has_a_line_per_method_and_the_noise(tmp_path):
    figure = latent_dimension(fits([0.2, 0.03, 0.0, 0.7, 0.2]), "default")
    left, _ = figure.axes
    labels = {text.get_text() for text in left.get_legend().get_texts()}
    assert labels == {"weighted PCA", "model", "trained in full", "noiseless truth"}
    assert drawn(figure, tmp_path / "a.pdf")
    # Real data have no truth.
    assert drawn(latent_dimension(fits(np.nan), "default"), tmp_path / "b.pdf")


def test_space_has_a_panel_per_parameter(tmp_path):
    random = np.random.default_rng(0)
    galaxies = pd.DataFrame(random.normal(size=(30, 2)), columns=["direction_0", "direction_1"])
    figure = latent_space(galaxies.assign(**{name: random.normal(size=30) for name in LABELS}))
    assert sum(len(axes.collections[0].get_offsets()) == 30 for axes in figure.axes[:6]) == 6
    assert drawn(figure, tmp_path / "a.pdf")


def test_probes_have_a_bar_per_parameter_and_input(tmp_path):
    kinds = ("latents", "both", "brightness and z")
    rows = [(name, kind, 0.5) for name in LABELS for kind in kinds]
    probes = pd.DataFrame(rows, columns=["target", "inputs", "r2"])
    probes = probes.assign(error=0.02, control=0.0, control_error=0.01)
    modes = pd.DataFrame({"direction": range(3), "ratio": [100.0, 9.0, 1.0]})
    figure = latent_probes(probes, modes)
    assert len(figure.axes[0].patches) == 3 * len(LABELS)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [10, 3, 1])
    assert drawn(figure, tmp_path / "a.pdf")


def path(truth):
    wavelength = np.linspace(3800, 7000, 50)
    parts = [
        pd.DataFrame({"step": step, "wavelength": wavelength, "difference": 0.1})
        for step in range(3)
    ]
    return pd.concat(parts).assign(path=1.0, neighbour=1.1, neighbour_truth=truth)


def test_interpolation_has_a_panel_per_step_and_the_truth_where_known(tmp_path):
    for truth, lines in ((1.05, 3), (np.nan, 2)):
        figure = interpolation(path(truth))
        assert [len(axes.lines) for axes in figure.axes] == [lines] * 3
        assert drawn(figure, tmp_path / f"{lines}.pdf")


def test_generation_shows_spectra_and_indices_of_both(tmp_path):
    random = np.random.default_rng(0)
    names = ("heldout", "mixture", "independent")
    columns = ["d4000", "h_delta", "halpha", "oiii"]
    indices = pd.concat(
        pd.DataFrame(random.normal(size=(40, 4)), columns=columns).assign(sample=name)
        for name in names
    )
    spectra = pd.concat(
        pd.DataFrame(
            {"wavelength": np.linspace(3800, 7000, 50), "flux": 1.0, "order": order}
        ).assign(sample=name)
        for name in names
        for order in range(2)
    )
    tests = pd.DataFrame({"sample": names[1:], "features": "indices", "auc": [0.55, 0.9]})
    figure = generation(indices, spectra, tests)
    assert len(figure.axes) == 6
    assert [len(axes.lines) for axes in figure.axes[:2]] == [2, 2]
    assert all(len(axes.patches) == 3 for axes in figure.axes[2:])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "generated, AUC 0.55" in texts
    assert drawn(figure, tmp_path / "a.pdf")


def test_attention_has_a_panel_per_feature(tmp_path):
    wavelength = np.linspace(3500, 8000, 60)
    curves = pd.concat(
        pd.DataFrame({"wavelength": wavelength, "value": 1.0, "curve": curve, "feature": feature})
        for curve in ("mean", "untrained", "spectrum", "g1", "g2")
        for feature in ("Hα", "D4000")
    )
    enhancements = pd.DataFrame({"feature": ["Hα", "D4000"], "low": 6555.0, "high": 6575.0})
    enhancements = enhancements.assign(
        enhancement=5.0, enhancement_error=0.1, untrained=1.0, shuffled=1.1
    )
    figure = attention(curves, enhancements)
    assert len(figure.axes) == 2
    assert drawn(figure, tmp_path / "a.pdf")
