"""Figures of spectra and of how well they are modelled."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from uraniborg.figures.style import COLORS, FLUX_LABEL, ONE_COLUMN, TWO_COLUMNS
from uraniborg.spectra.lines import LINES

__all__ = ["fit_quality", "reconstructions", "training"]


def reconstructions(spectra: pd.DataFrame, objects: pd.DataFrame) -> Figure:
    """Spectra with their model and, below each, the residual in units of the noise.

    Args:
        spectra: The columns of `RECONSTRUCTION_COLUMNS`; panels follow the order of its objects.
        objects: The columns of `object_columns`, for the panels' titles.
    """

    identifiers = list(dict.fromkeys(spectra["object_id"]))
    objects = objects.set_index("object_id")
    columns = min(2, len(identifiers))
    rows = -(-len(identifiers) // columns)
    figure = Figure(figsize=(TWO_COLUMNS, 2.1 * rows + 0.3))
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[3, 1] * rows)
    top = None
    for i, identifier in enumerate(identifiers):
        row, column = divmod(i, columns)
        top = figure.add_subplot(grid[2 * row, column], sharex=top)
        bottom = figure.add_subplot(grid[2 * row + 1, column], sharex=top)
        spectrum = spectra[spectra["object_id"] == identifier]
        _spectrum_panel(top, spectrum)
        _line_marks(top, spectrum, objects.loc[identifier, "z"])
        properties = objects.loc[identifier]
        top.set_title(f"{identifier}  {_kind(properties)}", fontsize=7, pad=3, loc="left")
        top.annotate(
            _measures(properties),
            (0.985, 0.04),
            xycoords="axes fraction",
            fontsize=6,
            ha="right",
            va="bottom",
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        )
        top.tick_params(labelbottom=False)
        _residual_panel(bottom, spectrum)
        if row == rows - 1:
            bottom.set_xlabel("observed vacuum wavelength [Å]")
        if column == 0:
            bottom.set_ylabel("residual/σ", fontsize=6)
        if i == 0:
            handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supylabel(FLUX_LABEL, fontsize=8)
    return figure


def _spectrum_panel(axes: Axes, spectrum: pd.DataFrame) -> None:
    good = np.isfinite(spectrum["sigma"].to_numpy())
    wavelength = spectrum["wavelength"].to_numpy()
    # A gap in the line where pixels are masked; the model is drawn where there are data.
    flux = np.where(good, spectrum["flux"], np.nan)
    model = np.where(_covered(good), spectrum["model"], np.nan)
    axes.plot(wavelength, flux, color=COLORS["data"], lw=0.4, label="data", rasterized=True)
    if np.isfinite(spectrum["truth"]).any():
        truth = np.where(_covered(good), spectrum["truth"], np.nan)
        axes.plot(wavelength, truth, color=COLORS["truth"], lw=1.8, label="truth")
    axes.plot(wavelength, model, color=COLORS["model"], lw=0.5, label="model")
    # The continuum decides the range; the strongest lines are cut.
    low, high = np.nanpercentile(flux, [0.5, 98.5])
    axes.set_ylim(min(0, low), high + 0.4 * (high - min(0, low)))
    axes.set_xlim(wavelength[good][0], wavelength[good][-1])


def _covered(good: np.ndarray) -> np.ndarray:
    """Between the first and the last good pixel."""

    covered = np.zeros_like(good)
    where = np.flatnonzero(good)
    if len(where):
        covered[where[0] : where[-1] + 1] = True
    return covered


def _line_marks(axes: Axes, spectrum: pd.DataFrame, z: float) -> None:
    covered = _covered(np.isfinite(spectrum["sigma"].to_numpy()))
    wavelength = spectrum["wavelength"].to_numpy()[covered]
    last = -np.inf
    for line in LINES:
        position = line.wavelength * (1 + z)
        if not wavelength[0] < position < wavelength[-1]:
            continue
        axes.axvline(position, ymax=0.84, color=COLORS["line"], lw=0.4, ls=":", zorder=0)
        # Neighbouring names would overprint each other at column width.
        if position - last > 0.022 * (wavelength[-1] - wavelength[0]):
            axes.annotate(
                line.name,
                (position, 0.98),
                xycoords=("data", "axes fraction"),
                rotation=90,
                fontsize=5.5,
                ha="center",
                va="top",
                bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5},
            )
            last = position


def _residual_panel(axes: Axes, spectrum: pd.DataFrame) -> None:
    residual = (spectrum["flux"] - spectrum["model"]) / spectrum["sigma"]
    axes.plot(spectrum["wavelength"], residual, color=COLORS["data"], lw=0.3, rasterized=True)
    axes.axhline(0, color=COLORS["model"], lw=0.6)
    axes.set_ylim(-6, 6)
    axes.set_yticks([-4, 0, 4])


def _kind(properties: pd.Series) -> str:
    return (properties["subclass"] or properties["spectype"]).lower()


def _measures(properties: pd.Series) -> str:
    return (
        f"$z$ = {properties['z']:.4f}   S/N = {properties['snr']:.1f}   "
        f"$\\chi^2_\\nu$ = {properties['reduced_chi2']:.2f}"
    )


def fit_quality(objects: pd.DataFrame) -> Figure:
    """Reduced chi-squared: its distribution, and against the signal-to-noise ratio.

    Args:
        objects: Held-out objects with the columns of `object_columns`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.4))
    left, right = figure.subplots(1, 2)
    bins = np.linspace(0.7, 1.5, 41)
    kinds = {"reduced_chi2": ("model", "model"), "truth_reduced_chi2": ("truth", "noiseless truth")}
    for name, (color, label) in kinds.items():
        values = objects[name].dropna()
        if len(values):
            left.hist(
                np.minimum(values, bins[-1]),
                bins,
                histtype="step",
                color=COLORS[color],
                label=f"{label}\nmedian {values.median():.3f}",
            )
    left.axvline(1, color=COLORS["data"], lw=0.6, ls=":")
    left.set_xlabel(r"reduced $\chi^2$ (last bin: and above)")
    left.set_ylabel("held-out objects")
    left.legend(loc="upper right")
    right.plot(objects["snr"], objects["reduced_chi2"], ".", ms=2, color=COLORS["model"])
    right.axhline(1, color=COLORS["data"], lw=0.6, ls=":")
    right.set_ylabel(r"reduced $\chi^2$")
    right.set(xscale="log", yscale="log")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel("median S/N per pixel")
    return figure


def training(history: pd.DataFrame) -> Figure:
    """Loss against epoch.

    Args:
        history: `epoch`, `train_loss` and `valid_loss`.
    """

    figure = Figure(figsize=(ONE_COLUMN, 2.4))
    axes = figure.subplots()
    axes.plot(
        history["epoch"], history["train_loss"], color=COLORS["data"], ls="--", label="training"
    )
    axes.plot(history["epoch"], history["valid_loss"], color=COLORS["model"], label="validation")
    axes.set_xlabel("epoch")
    axes.set_ylabel("fidelity loss per pixel")
    axes.legend()
    return figure
