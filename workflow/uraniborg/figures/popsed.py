"""How far a fit of a population can be trusted: its convergence and its choices."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from uraniborg.figures.style import COLORS, TWO_COLUMNS
from uraniborg.population.popsed.tables import (
    ABLATION_KINDS,
    DEFAULT,
    PUBLISHED,
)

__all__ = ["ablation", "convergence"]

_FITS = {
    DEFAULT: {"color": COLORS["model"], "ls": "-", "lw": 1.2},
    PUBLISHED: {"color": COLORS["truth"], "ls": "--", "lw": 1.2},
}
_FIT_NAMES = {DEFAULT: "default", PUBLISHED: "published recipe"}
# Colours and markers of whatever has no fixed ones (Okabe & Ito 2008).
_COLORS = (COLORS["model"], COLORS["truth"], COLORS["reference"], "#cc79a7", COLORS["line"])
_MARKERS = ("o", "s", "D", "^", "v")
_FLOOR = {"color": COLORS["data"], "lw": 0.8}
# Share of an axis that the number beside a point takes.
_ROOM = 0.13
# From the largest to the smallest value, what needs a logarithmic axis.
_WIDE = 5.0


def convergence(fits: pd.DataFrame, lcurve: pd.DataFrame, survey: str = "") -> Figure:
    """Distance to the data as galaxies are drawn, and against the divergence from the prior.

    Args:
        fits: The columns `uraniborg.population.popsed.tables.CONVERGENCE_COLUMNS`.
        lcurve: `LCURVE_COLUMNS`.
        survey: Name for the title.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.7))
    left, right = figure.subplots(1, 2)
    _progress(left, fits)
    _lcurve(right, lcurve)
    for axes in (left, right):
        axes.set_yscale("log")
        _decimal(axes.yaxis)
        axes.set_ylabel("distance to the photometry")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2,
                    borderaxespad=0.2)  # fmt: skip
    if survey:
        figure.suptitle(survey, fontsize=8)
    return figure


def _progress(axes: Axes, fits: pd.DataFrame) -> None:
    others = cycle(_COLORS[2:])
    for label, fit in fits.groupby("label", sort=False):
        look = _FITS.get(label) or {"color": next(others), "ls": "-.", "lw": 0.9}
        fit = fit.sort_values("step")
        axes.plot(fit["drawn"] / 1e6, fit["distance"], label=_FIT_NAMES.get(label, label), **look)
    _floor(axes, fits["floor"].median(), fits["floor_spread"].median())
    axes.set(xlabel="million galaxies drawn", xlim=(0, None))


def _lcurve(axes: Axes, lcurve: pd.DataFrame) -> None:
    rows = lcurve.sort_values("weight")
    _floor(axes, rows["floor"].median(), rows["floor_spread"].median())
    axes.plot(rows["divergence"], rows["distance"], "o-", color=COLORS["model"], ms=3.5, lw=0.7)
    chosen = rows[rows["chosen"]]
    axes.plot(chosen["divergence"], chosen["distance"], "o", ms=9, mfc="none", mew=1.2,
              color=COLORS["truth"], label="chosen weight")  # fmt: skip
    # Weights that would cover the one before are not written, but the chosen one always is.
    room = _ROOM * np.ptp(rows["divergence"]) if len(rows) else 0.0
    taken = list(chosen["divergence"])
    for row in rows.itertuples():
        near = any(abs(row.divergence - other) < room for other in taken)
        if row.chosen or not near:
            taken.append(row.divergence)
            axes.annotate(f"{row.weight:g}", (row.divergence, row.distance), (4, 6),
                          textcoords="offset points", fontsize=6.5)  # fmt: skip
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel("divergence from the prior [nat]")


def _floor(axes: Axes, floor: float, spread: float) -> None:
    """The distance of data against data, and by how much it scatters."""

    if not np.isfinite(floor):
        return
    if np.isfinite(spread):
        # On a logarithmic axis, what is not above nothing has no place.
        lowest = max(floor - spread, 0.1 * floor)
        axes.axhspan(lowest, floor + spread, color=COLORS["data"], alpha=0.3, lw=0)
    axes.axhline(floor, label="floor: data against data", **_FLOOR)


def _decimal(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, more of them where it is short."""

    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    ticks = (1, 2, 5) if decades < 1.2 else (1, 3) if decades < 2.2 else (1,)
    axis.set_major_locator(FixedLocator([t * 10.0**p for p in range(-12, 13) for t in ticks]))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


# Panels of the ablation: label of the axis.
_MEASURES = {
    "w1_z": "W1 in $z$",
    "w1_mass": r"W1 in log $M_\star$ [dex]",
    "ratio": "distance / floor",
}


def ablation(
    table: pd.DataFrame,
    survey: str = "",
    target_z: float | None = None,
    target_mass: float | None = None,
) -> Figure:
    """What each choice is worth: distances to the truth and to the data.

    Args:
        table: The columns `uraniborg.population.popsed.tables.ABLATION_COLUMNS`. Measures that no
            row has, as masses of real galaxies, are left out. The row of kind `recipe` that is
            called `default` is marked through all others.
        survey: Name for the title.
        target_z: W1 in redshift that should be reached.
        target_mass: The same of the stellar mass, dex.
    """

    table = table.assign(ratio=table["distance"] / table["floor"])
    measures = [name for name in _MEASURES if table[name].notna().any()]
    kinds = [kind for kind in ABLATION_KINDS if (table["kind"] == kind).any()]
    # Each kind has a heading, which takes a row.
    places, ticks, headings = {}, [], []
    for kind in kinds:
        headings.append(len(ticks))
        ticks.append(kind)
        for i in table.index[table["kind"] == kind]:
            places[i] = len(ticks)
            ticks.append(_FIT_NAMES.get(table["label"][i], table["label"][i]))
    figure = Figure(figsize=(TWO_COLUMNS, 0.8 + 0.17 * max(len(ticks), 4)))
    panels = figure.subplots(1, max(len(measures), 1), sharey=True, squeeze=False)[0]
    shown = table.loc[list(places)].assign(place=list(places.values()))
    for axes, name in zip(panels, measures, strict=False):
        _measure(axes, shown, name)
        for heading in headings[1:]:
            axes.axhline(heading - 0.5, color=COLORS["data"], lw=0.4)
    targets = {"w1_z": target_z, "w1_mass": target_mass, "ratio": 1.0}
    for axes, name in zip(panels, measures, strict=False):
        if targets.get(name) is not None:
            axes.axvline(targets[name], color="black", ls="--", lw=0.8)
            axes.annotate("floor" if name == "ratio" else "target", (targets[name], 1), (0, 1),
                          xycoords=("data", "axes fraction"), textcoords="offset points",
                          ha="center", va="bottom", fontsize=6.5)  # fmt: skip
    panels[0].set_yticks(range(len(ticks)), ticks)
    for i, tick in enumerate(panels[0].get_yticklabels()):
        tick.set_weight("bold" if i in headings else "normal")
    panels[0].set_ylim(max(len(ticks), 1) - 0.5, -0.5)
    if survey:
        figure.suptitle(survey, fontsize=8)
    return figure


def _measure(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """One measure of all variants."""

    errors = rows[f"{name}_error"].fillna(0) if f"{name}_error" in rows else 0 * rows["place"]
    # Nothing below a tenth of the value: its logarithm would stretch the axis.
    lower = np.minimum(errors, 0.9 * rows[name])
    for kind, part in rows.groupby("kind"):
        color = COLORS["truth"] if kind == "control" else COLORS["model"]
        sides = [lower[part.index], errors[part.index]]
        axes.errorbar(part[name], part["place"], xerr=sides, color=color, ls="", elinewidth=0.8,
                      marker="s" if kind == "control" else "o", ms=3.5)  # fmt: skip
    own = rows[(rows["kind"] == "recipe") & (rows["label"] == DEFAULT)]
    for value in own[name].dropna():
        axes.axvline(value, color=COLORS["model"], lw=0.7, ls=":", zorder=0)
    if rows[name].max() > _WIDE * rows[name].min():
        axes.set_xscale("log")
        _decimal(axes.xaxis)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(_MEASURES[name])
    axes.tick_params(axis="y", which="both", length=0)
