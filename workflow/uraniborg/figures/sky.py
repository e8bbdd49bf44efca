"""Figures that hold simulated catalogues against real ones."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from uraniborg.figures.style import COLORS, TWO_COLUMNS
from uraniborg.population.samples import FEATURES

__all__ = ["colours", "comparison", "distributions"]

_LABELS = {
    "u_g": "$u-g$",
    "g_r": "$g-r$",
    "r_i": "$r-i$",
    "i_z": "$i-z$",
    "z": "redshift",
    "r": "$r$ [mag]",
}

_CONTROLS = (COLORS["truth"], COLORS["reference"], COLORS["line"])
"""Colours of the samples that are meant to fail."""


def colours(objects: pd.DataFrame) -> Figure:
    """Every pair of colours and redshift: real galaxies as points under contours of simulated ones.

    Contours hold 50% and 90% of the simulated galaxies; panels on the diagonal have each
    quantity alone.

    Args:
        objects: The columns of `uraniborg.population.samples.OBJECT_COLUMNS` of one catalogue,
            samples `real` and `simulated`.
    """

    real, simulated = (objects[objects["sample"] == name] for name in ("real", "simulated"))
    limits = {name: _limits(real[name]) for name in FEATURES}
    figure = Figure(figsize=(TWO_COLUMNS, TWO_COLUMNS))
    size = len(FEATURES)
    panels = figure.subplots(size, size)
    for row, y in enumerate(FEATURES):
        for column, x in enumerate(FEATURES):
            axes = panels[row, column]
            if column > row:
                axes.remove()
                continue
            axes.set_xlim(limits[x])
            if column == row:
                _histogram(axes, x, limits[x], {"real": real, "simulated": simulated})
                axes.yaxis.set_major_locator(NullLocator())
            else:
                axes.plot(
                    real[x],
                    real[y],
                    ".",
                    ms=1.2,
                    mew=0,
                    color=COLORS["data"],
                    alpha=0.6,
                    rasterized=True,
                )
                _contours(axes, simulated[x], simulated[y], limits[x], limits[y])
                axes.set_ylim(limits[y])
                axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
            axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
            if row == size - 1:
                axes.set_xlabel(_LABELS[x])
            else:
                axes.xaxis.set_major_formatter(NullFormatter())
            if column == 0 and row > 0:
                axes.set_ylabel(_LABELS[y])
            else:
                axes.yaxis.set_major_formatter(NullFormatter())
    figure.align_ylabels()
    handles = [
        Line2D([], [], ls="", marker="o", ms=4, color=COLORS["data"], label="real"),
        Line2D([], [], color=COLORS["model"], label="simulated (50%, 90%)"),
    ]
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(0.97, 0.97),
        title=f"{_name(objects)}: {len(real):,} real, {len(simulated):,} simulated",
        title_fontsize=8,
    )
    return figure


def distributions(objects: pd.DataFrame) -> Figure:
    """Distributions of redshift, magnitude and colours of real and simulated samples and controls.

    Curves that coincide with the simulated sample's lie under it, as do those of a control that
    only reassigns redshifts.

    Args:
        objects: The columns of `uraniborg.population.samples.OBJECT_COLUMNS` of one catalogue.
    """

    samples = dict(list(objects.groupby("sample", sort=False)))
    samples = {name: samples[name] for name in sorted(samples, key=_rank)}
    figure = Figure(figsize=(TWO_COLUMNS, 3.7))
    panels = figure.subplots(2, 3).flat
    for axes, name in zip(panels, ("z", "r", *FEATURES[:4]), strict=True):
        limits = _limits(samples["real"][name])
        _histogram(axes, name, limits, samples)
        axes.set_xlim(limits)
        axes.set_xlabel(_LABELS[name])
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_locator(NullLocator())
    figure.supylabel("galaxies per unit, normalised", fontsize=8)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), title=_name(objects)
    )
    return figure


def comparison(summary: pd.DataFrame, floors: float = 5.0, auc: float = 0.85) -> Figure:
    """Distances of samples in units of the floor, and how well a classifier tells them apart.

    Args:
        summary: The columns of `uraniborg.population.samples.SUMMARY_COLUMNS` of one catalogue.
        floors: Criterion of the distance, in floors.
        auc: Criterion of the area under the curve.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 0.3 * len(summary) + 1.4))
    left, right = figure.subplots(1, 2, sharey=True)
    spread = (summary["floor_spread"] / summary["floor"]).iloc[0]
    left.axvspan(1 - spread, 1 + spread, color=COLORS["data"], alpha=0.4, lw=0)
    left.axvline(1, color=COLORS["data"], label="real against real")
    left.axvline(floors, color="black", ls="--", lw=0.8, label=f"criterion: at most {floors:g}")
    right.axvline(0.5, color=COLORS["data"], label="alike")
    right.axvline(auc, color="black", ls="--", lw=0.8, label=f"criterion: at most {auc:g}")
    y = np.arange(len(summary))
    numbers = (
        (left, summary["ratio"], summary["distance_error"] / summary["floor"]),
        (right, summary["auc"], summary["auc_error"]),
    )
    for axes, values, errors in numbers:
        for at, name, value, error in zip(y, summary["sample"], values, errors, strict=True):
            axes.errorbar(value, at, xerr=error, fmt="o", ms=4, color=_color(name))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        axes.yaxis.set_tick_params(length=0)
    left.set(xscale="log", xlim=(0.5, 2 * max(floors, summary["ratio"].max())))
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set_xlabel("sliced Wasserstein distance / floor")
    right.set_xlim(0.45, 1.02)
    right.set_xlabel("area under the curve of a classifier")
    left.set_yticks(y, list(summary["sample"]))
    left.set_ylim(len(summary) - 0.5, -0.5)
    figure.suptitle(f"{_name(summary)}, {summary['n'].iloc[0]:,} galaxies each", fontsize=8)
    return figure


def _rank(sample: str) -> int:
    """Real first, then simulated, then controls."""

    return {"real": 0, "simulated": 1}.get(sample, 2)


def _color(sample: str) -> str:
    known = {"real": COLORS["data"], "fitting half": COLORS["data"], "simulated": COLORS["model"]}
    return known.get(sample, COLORS["truth"])


def _name(table: pd.DataFrame) -> str:
    return table["catalogue"].iloc[0].replace("_", " ")


def _limits(values: pd.Series) -> tuple[float, float]:
    """All but the outermost of the real galaxies, with a margin."""

    low, high = np.nanpercentile(values, [0.3, 99.7])
    margin = 0.1 * (high - low)
    return low - margin, high + margin


def _histogram(
    axes: Axes, name: str, limits: tuple[float, float], samples: dict[str, pd.DataFrame]
) -> None:
    """Normalised by all objects, also those outside the limits."""

    edges = np.linspace(*limits, 41)
    controls = cycle(_CONTROLS)
    for sample, table in samples.items():
        values = table[name].dropna()
        density = np.histogram(values, edges)[0] / max(len(values), 1) / np.diff(edges)
        if sample == "real":
            axes.stairs(density, edges, fill=True, color=COLORS["data"], alpha=0.5, label=sample)
        elif sample == "simulated":
            axes.stairs(density, edges, color=COLORS["model"], lw=1.1, label=sample, zorder=3)
        else:
            axes.stairs(density, edges, color=next(controls), ls="--", label=sample)
    axes.set_ylim(bottom=0)


def _contours(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
) -> None:
    """Lines that enclose 90% and 50% of the objects, smoothed by a Gaussian of 1.5 pixels."""

    finite = x.notna() & y.notna()
    counts, x_edges, y_edges = np.histogram2d(
        x[finite], y[finite], bins=50, range=(x_limits, y_limits)
    )
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    density = counts
    for axis in (0, 1):
        density = np.apply_along_axis(np.convolve, axis, density, kernel / kernel.sum(), "same")
    ordered = np.sort(density, axis=None)[::-1]
    enclosed = np.cumsum(ordered) / max(finite.sum(), 1)
    # A sample far from the real one may have too few objects in the panel for a line.
    levels = [ordered[enclosed >= share][0] for share in (0.9, 0.5) if enclosed[-1] > share]
    if levels:
        axes.contour(
            (x_edges[:-1] + x_edges[1:]) / 2,
            (y_edges[:-1] + y_edges[1:]) / 2,
            density.T,
            levels=levels,
            colors=COLORS["model"],
            linewidths=(0.7, 1.2)[-len(levels) :],
        )
