"""Figures of spectra between galaxies and of spectra that no galaxy has."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["generation", "interpolation"]

SAMPLES = {
    "heldout": (COLORS["truth"], "-", "held-out galaxies"),
    "mixture": (COLORS["model"], "-", "generated"),
    "independent": (COLORS["data"], "--", "independent latents (control)"),
}
INDICES = {
    "d4000": "D4000",
    "h_delta": r"H$\delta_A$ [Å]",
    "halpha": r"EW(H$\alpha$) [Å]",
    "oiii": "EW([O III]) [Å]",
}
RESTFRAME = "rest-frame vacuum wavelength [Å]"


def interpolation(steps: pd.DataFrame) -> Figure:
    """Spectra along a path, each beside the real galaxy that is most like it.

    Args:
        steps: The columns of `PATH_COLUMNS`.
    """

    count = steps["step"].nunique()
    figure = Figure(figsize=(TWO_COLUMNS, 0.95 * count + 0.6))
    panels = figure.subplots(count, 1, sharex=True)
    for axes, (step, spectrum) in zip(panels, steps.groupby("step"), strict=True):
        wavelength = spectrum["wavelength"]
        axes.plot(
            wavelength,
            spectrum["neighbour"],
            color=COLORS["data"],
            lw=0.3,
            label="most similar galaxy: data",
            rasterized=True,
        )
        if spectrum["neighbour_truth"].notna().any():
            axes.plot(
                wavelength,
                spectrum["neighbour_truth"],
                color=COLORS["truth"],
                lw=1.6,
                label="its noiseless truth",
            )
        axes.plot(wavelength, spectrum["path"], color=COLORS["model"], lw=0.6, label="path")
        top = np.nanpercentile(spectrum["path"], 98.5)
        axes.set_ylim(0, 1.35 * top)
        fraction = step / max(1, count - 1)
        axes.annotate(
            f"{fraction:.1f}   rms difference {spectrum['difference'].iloc[0]:.3f}",
            (0.99, 0.06),
            xycoords="axes fraction",
            ha="right",
            fontsize=7,
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        )
    panels[-1].set_xlim(wavelength.min(), wavelength.max())
    panels[-1].set_xlabel(RESTFRAME)
    figure.supylabel("flux density / mean", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def generation(indices: pd.DataFrame, spectra: pd.DataFrame, tests: pd.DataFrame) -> Figure:
    """Generated spectra beside those of galaxies, and distributions of their indices.

    Args:
        indices: The columns of `INDEX_COLUMNS`.
        spectra: The columns of `GENERATED_COLUMNS`.
        tests: The columns of `TEST_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 5.4))
    grid = figure.add_gridspec(2, 4, height_ratios=[1.6, 1])
    left = figure.add_subplot(grid[0, :2])
    right = figure.add_subplot(grid[0, 2:], sharex=left, sharey=left)
    _stack(left, spectra[spectra["sample"] == "heldout"], SAMPLES["heldout"][0])
    _stack(right, spectra[spectra["sample"] == "mixture"], SAMPLES["mixture"][0])
    left.set_title("held-out galaxies", loc="left", fontsize=8)
    right.set_title("generated", loc="left", fontsize=8)
    left.set_ylabel("flux density / mean, shifted")
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.set_xlabel(RESTFRAME)
    areas = tests[tests["features"] == "indices"].set_index("sample")["auc"]
    real = indices[indices["sample"] == "heldout"]
    for i, (name, label) in enumerate(INDICES.items()):
        axes = figure.add_subplot(grid[1, i])
        low, high = np.nanpercentile(real[name], [0.5, 99])
        low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
        for sample, (color, line, text) in SAMPLES.items():
            values = indices.loc[indices["sample"] == sample, name].clip(low, high)
            if sample in areas:
                text = f"{text}, AUC {areas[sample]:.2f}"
            bins = np.linspace(low, high, 25)
            axes.hist(values, bins, histtype="step", color=color, ls=line, label=text)
        axes.set_xlabel(label)
        axes.set_xlim(low, high)
        if i == 0:
            axes.set_ylabel("spectra")
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _stack(axes: Axes, spectra: pd.DataFrame, color: str) -> None:
    """Spectra above each other, cut where lines are too strong."""

    for order, spectrum in spectra.groupby("order"):
        flux = np.minimum(spectrum["flux"], np.percentile(spectrum["flux"], 99) + 0.6)
        axes.plot(spectrum["wavelength"], flux + 1.5 * order, color=color, lw=0.5)
    axes.set_xlim(spectra["wavelength"].min(), spectra["wavelength"].max())
