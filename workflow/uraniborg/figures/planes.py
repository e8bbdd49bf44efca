"""Simulated and real galaxies on two planes of their spectra."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, ONE_COLUMN
from uraniborg.universe.loci import demarcation, star_forming_sequence

__all__ = ["planes"]

_KINDS = {
    "star-forming": (COLORS["model"], "star-forming"),
    "quiescent": (COLORS["reference"], "quiescent"),
    "agn": (COLORS["truth"], "AGN-dominated"),
}


def planes(table: pd.DataFrame, tracks: pd.DataFrame) -> Figure:
    """The BPT plane, and the plane of 4000 A break and H-delta, with published curves.

    Args:
        table: The columns of `uraniborg.universe.planes.PLANE_COLUMNS`.
        tracks: The columns of `uraniborg.universe.planes.TRACK_COLUMNS`.
    """

    figure = Figure(figsize=(ONE_COLUMN, 5.6))
    upper, lower = figure.subplots(2)
    _bpt(upper, table[table["plane"] == "bpt"])
    _indices(lower, table[table["plane"] == "indices"], tracks)
    return figure


def _bpt(axes: Axes, table: pd.DataFrame) -> None:
    real = table[table["sample"] == "real"]
    axes.plot(real["x"], real["y"], ".", ms=2.5, mew=0, color=COLORS["data"], label="RESOLVE")
    simulated = table[table["sample"] == "simulated"]
    for kind in ("star-forming", "agn"):
        _points(axes, simulated, kind)
    x = np.linspace(-1.6, 0.44, 400)
    left = x[x < -0.28]
    axes.plot(left, star_forming_sequence(left), "k-", lw=1.2, label="Kewley+13, star-forming")
    for kind, dashes, name in (
        ("observed", "--", "Kauffmann+03"),
        ("theoretical", ":", "Kewley+01"),
    ):
        y = demarcation(x, kind)
        axes.plot(x[y > -1.4], y[y > -1.4], f"k{dashes}", lw=0.8, label=name)
    axes.set(xlim=(-1.5, 0.5), ylim=(-1.3, 1.3))
    axes.set_xlabel(r"log [N II] 6583 / H$\alpha$")
    axes.set_ylabel(r"log [O III] 5007 / H$\beta$")
    axes.legend(loc="lower left", fontsize=6, markerscale=2, handlelength=1.6)


def _indices(axes: Axes, table: pd.DataFrame, tracks: pd.DataFrame) -> None:
    simulated = table[table["sample"] == "simulated"]
    for kind in _KINDS:
        _points(axes, simulated, kind)
    solar = tracks[tracks["log_metallicity"] == 0]
    for track, dashes, name in (
        ("continuous", "-", "continuous, $Z_\\odot$"),
        ("burst", "--", "burst, $Z_\\odot$"),
    ):
        line = solar[solar["track"] == track].sort_values("parameter")
        axes.plot(line["d4000"], line["h_delta"], f"k{dashes}", lw=1, label=name)
    real = table[table["sample"] == "real"]
    axes.errorbar(
        real["x"],
        real["y"],
        real["y_error"],
        real["x_error"],
        fmt="s",
        ms=3,
        lw=0.6,
        color="black",
        mfc=COLORS["data"],
        mew=0.6,
        label="SDSS",
    )
    axes.set(xlim=(0.9, 2.3), ylim=(-5, 11))
    axes.set_xlabel("4000 Å break")
    axes.set_ylabel(r"H$\delta_{\rm A}$ [Å]")
    axes.legend(loc="upper right", fontsize=6, markerscale=1.5, handlelength=1.6)


def _points(axes: Axes, table: pd.DataFrame, kind: str) -> None:
    rows = table[table["kind"] == kind]
    color, label = _KINDS[kind]
    axes.plot(rows["x"], rows["y"], ".", ms=3, mew=0, alpha=0.7, color=color, label=label)
