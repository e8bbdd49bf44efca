"""The figure that shows how exact the simulation is."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["accuracy"]

_OURS = {"color": COLORS["model"], "ls": "none", "marker": "o", "ms": 2, "mew": 0}
_CONTROL = {"color": COLORS["data"], "ls": "none", "marker": "o", "ms": 2, "mew": 0}
_LIMIT = {"color": COLORS["truth"], "ls": "--", "lw": 0.8}


def accuracy(table: pd.DataFrame) -> Figure:
    """Errors of gradients, resampling and band fluxes, each with its control and its limit.

    Args:
        table: The columns of `uraniborg.instruments.accuracy.ACCURACY_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.5))
    panels = figure.subplots(1, 3)
    of = dict(tuple(table.groupby("check")))
    _gradients(panels[0], of["gradient"])
    _resampling(panels[1], of["resampling"])
    _flat_source(panels[2], of["flat source"])
    for axes in panels:
        axes.set_yscale("log")
        axes.tick_params(axis="y", which="minor", left=False, right=False)
    return figure


def _errors(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """|value - expected| and |control - expected|."""

    expected = table["expected"].to_numpy()
    return tuple(np.abs(table[name].to_numpy() - expected) for name in ("value", "control"))


def _gradients(axes: Axes, table: pd.DataFrame) -> None:
    size = table["expected"].abs()
    ours, control = (error / size for error in _errors(table))
    raster = {"rasterized": True, "alpha": 0.3}
    axes.plot(size, control, **{**_CONTROL, "ms": 1}, **raster)
    axes.plot(size, ours, **{**_OURS, "ms": 1}, **raster)
    # Rounding leaves gradients that are next to nothing undecided.
    smallest = 1e-5
    axes.plot([smallest, 30], [1e-3, 1e-3], **_LIMIT)
    axes.plot([1e-8, smallest], [1e-3 * smallest / 1e-8, 1e-3], **_LIMIT)
    axes.plot([], [], **_CONTROL, label="another galaxy's gradient")
    axes.plot([], [], **_OURS, label="its own gradient")
    axes.set_xscale("log")
    axes.set(xlim=(1e-8, 30), ylim=(1e-14, 1e13))
    axes.set_xticks(10.0 ** np.arange(-7, 2, 2))
    axes.set_yticks(10.0 ** np.arange(-12, 13, 6))
    axes.set_xlabel("|finite difference| [mag per unit]")
    axes.set_ylabel("relative difference")
    axes.legend(loc="upper right", handletextpad=0)


def _resampling(axes: Axes, table: pd.DataFrame) -> None:
    ours, control = (error / table["expected"].to_numpy() for error in _errors(table))
    names = table["subject"].unique()
    cases = [(name, case) for name in names for case in ("lines", "stars")]
    for x, (name, case) in enumerate(cases):
        rows = ((table["subject"] == name) & (table["case"] == case)).to_numpy()
        spread = x + np.linspace(-0.3, 0.3, rows.sum())
        # An error of exactly nothing is drawn at the lower end.
        axes.plot(spread, control[rows].clip(3e-12), **_CONTROL)
        axes.plot(spread, ours[rows].clip(3e-12), **_OURS)
    axes.axhline(1e-6, **_LIMIT)
    axes.plot([], [], **_CONTROL, label="linear interpolation")
    axes.plot([], [], **_OURS, label="exact integrals")
    axes.set_xticks(range(len(cases)), [f"{name}\n{case}" for name, case in cases])
    axes.tick_params(axis="x", which="both", top=False, bottom=False, labelsize=6)
    axes.set_ylim(2e-12, 300)
    axes.set_ylabel("relative change of energy")
    axes.legend(loc="upper right", handletextpad=0)


def _flat_source(axes: Axes, table: pd.DataFrame) -> None:
    ours, control = _errors(table)
    errors = pd.DataFrame({"band": table["subject"], "ours": ours, "control": control})
    worst = errors.groupby("band", sort=False).max()
    x = np.arange(len(worst))
    axes.plot(x, worst["control"], **_CONTROL, label="by mean wavelength")
    axes.plot(x, worst["ours"], **_OURS, label="by photons")
    axes.axhline(1e-4, **_LIMIT)
    photometers = worst.index.str.split("_").str[0]
    first = np.flatnonzero(photometers != np.roll(photometers, 1))
    ends = np.append(first, len(worst))
    for edge in first[1:]:
        axes.axvline(edge - 0.5, color=COLORS["data"], lw=0.3)
    axes.set_xticks((ends[:-1] + ends[1:] - 1) / 2, photometers[first], rotation=90)
    axes.tick_params(axis="x", which="both", top=False, bottom=False, labelsize=6)
    axes.set_ylim(5e-8, 10)
    axes.set_ylabel("|magnitude of a flat source| [mag]")
    axes.legend(loc="upper right", handletextpad=0)
