"""Figures of models whose resolution is higher than that of the data."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["superresolution"]

_CURVES = {
    "truth": ("truth", COLORS["truth"], "-"),
    "default": ("default model", COLORS["reference"], "--"),
    "model": ("super-resolution model", COLORS["model"], "-"),
}
_LINES = (3727.09, 3729.87)


def superresolution(doublets: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """The [O II] doublet of a few galaxies, and its measures in all, beside the truth.

    Args:
        doublets: The columns of `uraniborg.spectra.superresolution.DOUBLET_COLUMNS`.
        curves: The columns of `uraniborg.spectra.superresolution.CURVE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 4.4))
    names = list(curves["object_id"].unique())
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.1, 1))
    panels = np.atleast_1d(top.subplots(1, max(len(names), 1), sharex=True))
    for axes, name in zip(panels, names, strict=False):
        of_galaxy = doublets[doublets["object_id"] == name].iloc[0]
        _spectra(axes, curves[curves["object_id"] == name], of_galaxy)
    if names:
        panels[0].set_ylabel("flux density / continuum")
        handles, labels = panels[0].get_legend_handles_labels()
        top.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    top.supxlabel("rest-frame wavelength [Å]", fontsize=8)

    separation, ratio, width = bottom.subplots(1, 3)
    _against_truth(separation, doublets, "separation", "separation [Å]", (1.8, 4.6), 0.3)
    _against_truth(ratio, doublets, "ratio", "ratio 3727 / 3730", (0.4, 1.5), 0.2, True)
    _against_truth(width, doublets, "dispersion", "line width σ [km/s]", (0, 280), 0.2, True)
    width.legend(loc="lower right", handletextpad=0.2)
    return figure


def _spectra(axes: Axes, curves: pd.DataFrame, galaxy: pd.Series) -> None:
    observed = curves[curves["curve"] == "observed"]
    axes.errorbar(
        observed["wavelength"],
        observed["flux"],
        observed["error"],
        fmt=".",
        ms=3,
        lw=0.6,
        color=COLORS["data"],
        label="observed",
        zorder=0,
    )
    for curve, (label, color, dashes) in _CURVES.items():
        here = curves[curves["curve"] == curve]
        axes.plot(here["wavelength"], here["flux"], color=color, ls=dashes, label=label)
    for line in _LINES:
        axes.axvline(line, color=COLORS["data"], lw=0.4, zorder=-1)
    axes.set_xlim(3718, 3739)
    truth = curves[curves["curve"] == "truth"]
    axes.set_ylim(0, 1.25 * max(truth["flux"].max(), 1.0))
    axes.set_title(
        f"S/N {galaxy['signal_to_noise']:.0f}, σ = {galaxy['gas_dispersion']:.0f} km/s",
        fontsize=7,
    )


def _against_truth(
    axes: Axes,
    doublets: pd.DataFrame,
    quantity: str,
    label: str,
    limits: tuple[float, float],
    tolerance: float,
    relative: bool = False,
) -> None:
    """What two models give against the truth, with the band that counts as right."""

    line = np.array(limits)
    reach = tolerance * line if relative else np.full(2, tolerance)
    axes.fill_between(line, line - reach, line + reach, color=COLORS["data"], alpha=0.25, lw=0)
    axes.plot(line, line, color=COLORS["truth"], lw=0.8)
    truth = doublets[f"truth_{quantity}"]
    for source, marker in (("default", "x"), ("model", "o")):
        name, color, _ = _CURVES[source]
        values = doublets[f"{source}_{quantity}"].clip(*limits)
        axes.plot(truth, values, marker, ms=2, mew=0.5, mfc="none", color=color, label=name)
    axes.set(xlim=limits, ylim=limits)
    axes.set_xlabel(f"true {label}")
    axes.set_ylabel(f"decoded {label}")
