"""Figures of contaminants."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from uraniborg.figures.names import kind_name
from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["contaminants"]


# Kinds that a whole spectrum does not show: Angstrom to either side of the largest change.
_ZOOM = {"double_peaked": 130.0, "irregular_lines": 130.0, "spike": 130.0}


def contaminants(table: pd.DataFrame) -> Figure:
    """One spectrum of every kind: observed, noiseless, without the anomaly, and where that lies.

    Args:
        table: The columns of `uraniborg.surveys.contaminant_examples.EXAMPLE_COLUMNS`.
    """

    kinds = list(dict.fromkeys(table["anomaly"]))
    count = -(-len(kinds) // 2)
    figure = Figure(figsize=(TWO_COLUMNS, 1.25 * count + 0.4))
    panels = figure.subplots(count, 2, squeeze=False).T.flatten()
    for axes, kind in zip(panels, kinds, strict=False):
        _panel(axes, kind, table[table["anomaly"] == kind])
    for axes in panels[len(kinds) :]:
        axes.set_visible(False)
    figure.supxlabel("observed wavelength [Å]", fontsize=8)
    figure.supylabel(r"$f_\lambda$ [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _panel(axes: Axes, kind: str, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    wavelength = rows["wavelength"].to_numpy()
    low, high = wavelength[[0, -1]]
    if kind in _ZOOM:
        centre = wavelength[(rows["noiseless"] - rows["without"]).abs().to_numpy().argmax()]
        low, high = max(low, centre - _ZOOM[kind]), min(high, centre + _ZOOM[kind])
    rows = rows[rows["wavelength"].between(low, high)]
    # Lines of the anomaly's edges, so that one of few pixels is seen.
    axes.axvspan(first["low"], first["high"], facecolor=COLORS["line"], alpha=0.2, lw=0,
                 label="90% of the anomaly")  # fmt: skip
    for edge in (first["low"], first["high"]):
        axes.axvline(edge, color=COLORS["line"], lw=0.4)
    for column, color, width, label in (
        ("flux", "data", 0.6 if kind in _ZOOM else 0.3, "observed"),
        ("without", "truth", 0.7, "without the anomaly"),
        ("noiseless", "model", 0.7, "noiseless"),
    ):
        axes.plot(rows["wavelength"], rows[column], color=COLORS[color], lw=width, label=label)
    both = rows[["noiseless", "without"]].to_numpy()
    top = both.max() if kind in _ZOOM else np.quantile(both, 0.998)
    axes.set(xlim=(low, high), ylim=(min(0, np.quantile(both, 0.002)), 1.5 * top))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.text(0.015, 0.94, kind_name(kind), transform=axes.transAxes, va="top", weight="bold")
    redshift = f"$z$ = {first['z']:.3f}"
    if abs(first["z"] - first["z_catalogue"]) > 1e-3:
        redshift += f", catalogued {first['z_catalogue']:.3f}"
    strength = f"strength {first['strength']:.3g} {first['unit']}".rstrip()
    axes.text(0.985, 0.94, f"{redshift}\n{strength}", transform=axes.transAxes, va="top",
              ha="right", fontsize=6.5)  # fmt: skip
