"""Populations of galaxies found from photometry: their parameters, and the photometry itself."""

from itertools import combinations, pairwise
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["corner", "photometry"]

_LABELS = {
    "z": "redshift",
    "stellar_mass": r"log $M_\star$ [M$_\odot$]",
    "log_ssfr": r"log sSFR [yr$^{-1}$]",
    "log_metallicity": r"log $Z_\star$ [Z$_\odot$]",
    "A_V": r"$A_V$ [mag]",
}
# What is drawn as lines over the recovered population, the last on top.
_LINES = {
    "prior": {"color": "black", "lw": 0.7, "ls": ":"},
    "published": {"color": COLORS["reference"], "lw": 1.1, "ls": "--"},
    "truth": {"color": COLORS["truth"], "lw": 1.2, "ls": "-"},
}
_LEVELS = (0.95, 0.68)
# Bins of an axis, and the width in bins by which densities are smoothed.
_BINS = 30
_SMOOTH = 1.2
# Galaxies below which there is no density to draw.
_LEAST = 30
# Members from which their scatter can be drawn.
_LEAST_MEMBERS = 3
# Panels of a row of magnitudes and colours.
_COLUMNS = 5


def corner(population: pd.DataFrame, survey: str = "") -> Figure:
    """Recovered and true populations by pairs of parameters, with 68% and 95% of the galaxies.

    Args:
        population: The columns `uraniborg.population.popsed.tables.POPULATION_COLUMNS`. Values
            that are not finite are left out, and so are parameters of sources without any.
        survey: Name for the title.
    """

    names = list(_LABELS)
    columns = population[names].astype(float)
    population = population.assign(**columns.where(np.isfinite(columns)))
    sources = dict(tuple(population.groupby("source")))
    recovered = sources.get("recovered", population.iloc[:0])
    lines = {name: sources[name] for name in _LINES if name in sources}
    # The prior may be much wider than what is of interest.
    limits = _limits(population[population["source"] != "prior"][names])
    figure = Figure(figsize=(TWO_COLUMNS, 0.98 * TWO_COLUMNS))
    panels = figure.subplots(len(names), len(names), sharex="col")
    for (i, row), (j, column) in combinations(enumerate(names), 2):
        panels[i, j].set_visible(False)
        axes = panels[j, i]
        edges = [np.linspace(*limits[name], _BINS + 1) for name in (row, column)]
        _filled(axes, recovered[[row, column]], edges)
        for source, galaxies in lines.items():
            levels = _LEVELS[:1] if source == "prior" else _LEVELS
            _contours(axes, galaxies[[row, column]], edges, levels, _LINES[source])
        axes.set(xlim=limits[row], ylim=limits[column])
    for i, name in enumerate(names):
        _marginal(panels[i, i], recovered, lines, name, limits[name])
        panels[-1, i].set_xlabel(_LABELS[name])
        panels[-1, i].xaxis.set_major_locator(MaxNLocator(4, prune="both"))
        for j in range(i):
            panels[i, j].yaxis.set_major_locator(MaxNLocator(4, prune="both"))
            panels[i, j].tick_params(labelleft=j == 0)
        if i:
            panels[i, 0].set_ylabel(_LABELS[name])
    figure.align_ylabels(panels[1:, 0])
    known = lines.get("truth", population.iloc[:0])[names].notna().any()
    handles = [
        Patch(color=COLORS["model"], alpha=0.55, lw=0, label="recovered from photometry"),
        *(
            Line2D([], [], label=_source_name(source, known), **_LINES[source])
            for source in reversed(lines)
        ),
    ]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.97, 0.96), fontsize=8,
                  title=survey or None, title_fontsize=9)  # fmt: skip
    return figure


def _source_name(source: str, known: pd.Series) -> str:
    if source == "truth" and known["z"] and known.sum() == 1:
        return "spectroscopic redshifts"
    names = {"prior": "prior, after selection", "published": "published recipe"}
    return names.get(source, source)


def _limits(values: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The range of each column without its outermost values."""

    limits = {}
    for name, column in values.items():
        known = column.dropna()
        low, high = np.percentile(known, [0.4, 99.6]) if len(known) else (0.0, 1.0)
        margin = 0.08 * (high - low) or 0.5
        limits[name] = (low - margin, high + margin)
    return limits


class _Density(NamedTuple):
    """Galaxies in cells, shape (rows of y, columns of x)."""

    share: np.ndarray
    smooth: np.ndarray

    @classmethod
    def of(cls, values: pd.DataFrame, edges: list[np.ndarray]) -> Self | None:
        """The density of two columns; None of too few galaxies."""

        known = values.dropna().to_numpy()
        if len(known) < _LEAST:
            return None
        share = np.histogram2d(known[:, 1], known[:, 0], bins=edges[::-1])[0] / len(known)
        bins = np.arange(_BINS)
        kernel = np.exp(-0.5 * ((bins[:, None] - bins) / _SMOOTH) ** 2)
        return cls(share, kernel @ share @ kernel)

    def thresholds(self, levels: tuple[float, ...]) -> list[float]:
        """Smooth densities above which are these fractions of the galaxies, ascending.

        It is the galaxies themselves that are counted: smoothing makes populations wider.
        """

        order = np.argsort(self.smooth, axis=None)[::-1]
        places = np.searchsorted(np.cumsum(self.share.ravel()[order]), levels)
        return sorted({float(self.smooth.ravel()[order[place]]) for place in places
                       if place < order.size})  # fmt: skip


def _middles(edges: list[np.ndarray]) -> list[np.ndarray]:
    return [(edge[:-1] + edge[1:]) / 2 for edge in edges]


def _contours(
    axes: Axes,
    values: pd.DataFrame,
    edges: list[np.ndarray],
    levels: tuple[float, ...],
    look: dict[str, object],
) -> None:
    density = _Density.of(values, edges)
    if density and (thresholds := density.thresholds(levels)):
        axes.contour(*_middles(edges), density.smooth, thresholds, colors=look["color"],
                     linewidths=look["lw"], linestyles=look["ls"])  # fmt: skip


def _filled(axes: Axes, values: pd.DataFrame, edges: list[np.ndarray]) -> None:
    density = _Density.of(values, edges)
    if density and (thresholds := density.thresholds(_LEVELS)):
        shades = [to_rgba(COLORS["model"], alpha) for alpha in (0.25, 0.55)][-len(thresholds) :]
        axes.contourf(*_middles(edges), density.smooth, [*thresholds, 2 * density.smooth.max()],
                      colors=shades)  # fmt: skip


def _marginal(
    axes: Axes,
    recovered: pd.DataFrame,
    lines: dict[str, pd.DataFrame],
    name: str,
    limits: tuple[float, float],
) -> None:
    """The distribution of one parameter, with the scatter between members of the ensemble."""

    edges = np.linspace(*limits, _BINS + 1)
    histogram = _histogram(recovered[name], edges)
    if histogram is not None:
        axes.stairs(histogram, edges, fill=True, color=COLORS["model"], alpha=0.3, lw=0)
        axes.stairs(histogram, edges, color=COLORS["model"], lw=0.8)
    members = [
        _histogram(values, edges)
        for member, values in recovered.groupby("member")[name]
        if member >= 0
    ]
    members = [member for member in members if member is not None]
    if len(members) >= _LEAST_MEMBERS:
        low, high = np.percentile(members, [16, 84], axis=0)
        axes.stairs(high, edges, baseline=low, fill=True, color=COLORS["model"], alpha=0.45, lw=0)
    for source, galaxies in lines.items():
        values = _histogram(galaxies[name], edges)
        if values is not None:
            axes.stairs(values, edges, **_LINES[source])
    axes.set(xlim=limits, yticks=[], ylim=(0, 1.05 * axes.get_ylim()[1]))


def _histogram(values: pd.Series, edges: np.ndarray) -> np.ndarray | None:
    """The density in bins, normalised to all galaxies, also those outside; None of too few."""

    known = values.dropna().to_numpy()
    if len(known) < _LEAST:
        return None
    return np.histogram(known, edges)[0] / len(known) / np.diff(edges)


def photometry(table: pd.DataFrame, survey: str = "") -> Figure:
    """Observed and recovered magnitudes and colours, and pairs of adjacent colours.

    Args:
        table: The columns `uraniborg.population.popsed.tables.PHOTOMETRY_COLUMNS`.
        survey: Name for the title.
    """

    names = list(dict.fromkeys(table["feature"]))
    wide = table.pivot_table("value", ["source", "galaxy"], "feature", "first")
    wide = wide.reindex(columns=names).astype(float)
    wide = wide.where(np.isfinite(wide))
    observed, recovered = (
        wide[wide.index.get_level_values("source") == source]
        for source in ("observed", "recovered")
    )
    limits = _limits(wide)
    pairs = list(pairwise(name for name in names if " - " in name))[:2]
    rows = max(-(-len(names) // _COLUMNS), 1)
    figure = Figure(figsize=(TWO_COLUMNS, 1.5 * rows + 2.1))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.5 * rows, 2.1])
    panels = upper.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, name in zip(panels, names, strict=False):
        edges = np.linspace(*limits[name], _BINS + 1)
        for values, look in (
            (recovered, {"fill": True, "color": COLORS["model"], "alpha": 0.45, "lw": 0}),
            (observed, _LINES["truth"]),
        ):
            histogram = _histogram(values[name], edges)
            if histogram is not None:
                axes.stairs(histogram, edges, **look)
        axes.set(xlim=limits[name], xlabel=f"{_feature(name)} [mag]", yticks=[])
        axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    for axes in panels[: len(names) : _COLUMNS]:
        axes.set_ylabel("galaxies per mag")
    planes = lower.subplots(1, len(pairs) + 1, squeeze=False)[0]
    for axes, (x, y) in zip(planes, pairs, strict=False):
        edges = [np.linspace(*limits[name], _BINS + 1) for name in (x, y)]
        _filled(axes, recovered[[x, y]], edges)
        _contours(axes, observed[[x, y]], edges, _LEVELS, {**_LINES["truth"], "lw": 1.0})
        axes.set(xlim=limits[x], ylim=limits[y])
        axes.set(xlabel=f"{_feature(x)} [mag]", ylabel=f"{_feature(y)} [mag]")
    for axes in (*panels[len(names) :], planes[-1]):
        axes.axis("off")
    handles = [
        Line2D([], [], label=f"observed ({len(observed):,})", **_LINES["truth"]),
        Patch(color=COLORS["model"], alpha=0.5, lw=0, label=f"recovered ({len(recovered):,})"),
    ]
    planes[-1].legend(handles=handles, loc="center", title=survey or None, fontsize=8)
    return figure


def _feature(name: str) -> str:
    """A band or colour as mathematics: `u - g` is a difference, not a word."""

    return " − ".join(rf"${band}$" for band in name.split(" - "))
