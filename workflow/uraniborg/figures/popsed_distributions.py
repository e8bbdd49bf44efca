"""Distributions of a population from photometry with their uncertainty, beside the truth."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from uraniborg.figures.style import COLORS, ONE_COLUMN, TWO_COLUMNS
from uraniborg.population.popsed.tables import MASS_FUNCTION

__all__ = ["main_sequence", "mass_function", "redshift_distribution"]

_MASS = r"log $M_\star$ [M$_\odot$]"
_AXES = {
    "z": ("redshift", "galaxies per unit of $z$"),
    "stellar_mass": (_MASS, "galaxies per dex"),
    MASS_FUNCTION: (_MASS, r"log $\phi / n(>10^{9.6}\,M_\odot)$ [dex$^{-1}$]"),
}
# What else a distribution can be compared with (Okabe & Ito 2008).
_OTHERS = {
    "prior": ("prior, after selection", {"color": "black", "ls": ":", "lw": 0.8}),
    "null": ("null, no photometry", {"color": COLORS["reference"], "ls": "--", "lw": 0.9}),
    "neighbours": ("supervised neighbours", {"color": "#cc79a7", "ls": "-.", "lw": 0.9}),
}
_TRUTH = {"color": COLORS["truth"], "lw": 1.1}
# Decades of a mass function that are shown.
_DECADES = 6


def redshift_distribution(bands: pd.DataFrame, survey: str = "") -> Figure:
    """Distributions of redshift and stellar mass of selected galaxies, and how far off they are.

    Args:
        bands: The columns `uraniborg.population.popsed.tables.BAND_COLUMNS`. Where no truth is
            known, the lower panel shows differences from the recovered median.
        survey: Name for the title.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 3.6))
    quantities = [name for name in ("z", "stellar_mass") if (bands["quantity"] == name).any()]
    panels = figure.subplots(2, max(len(quantities), 1), sharex="col", squeeze=False,
                             height_ratios=[2.2, 1])  # fmt: skip
    for (upper, lower), quantity in zip(panels.T, quantities, strict=False):
        rows = _rows(bands, quantity)
        _distribution(upper, lower, rows, quantity)
        upper.set_ylim(bottom=0)
    simulated = bands.loc[bands["quantity"] != "z", "truth"].notna().any()
    _legend(figure, bands[bands["quantity"].isin(quantities)],
            "truth" if simulated else "spectroscopic redshifts", survey, columns=4)  # fmt: skip
    return figure


def mass_function(bands: pd.DataFrame, survey: str = "") -> Figure:
    """The mass function of all galaxies, selected or not.

    Args:
        bands: The columns `uraniborg.population.popsed.tables.BAND_COLUMNS`.
        survey: Name for the title.
    """

    figure = Figure(figsize=(ONE_COLUMN, 3.6))
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[2.4, 1])
    rows = _rows(bands, MASS_FUNCTION)
    _distribution(upper, lower, rows, MASS_FUNCTION)
    # Neither the steep end nor bands of masses that are hardly seen leave room for the rest.
    lines = rows[["median", "truth"]].to_numpy()
    if np.isfinite(lines).any():
        top = np.nanmax(lines) + 0.5
        upper.set_ylim(max(np.nanmin(lines) - 0.5, top - _DECADES), top)
    _legend(figure, rows, "truth", survey, columns=3)
    return figure


def _rows(bands: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The bins of one quantity in order, with NaN where a logarithm is of nothing."""

    rows = bands[bands["quantity"] == quantity].sort_values("low")
    numbers = rows.select_dtypes("number")
    return rows.assign(**numbers.where(np.isfinite(numbers)))


def _distribution(upper: Axes, lower: Axes, rows: pd.DataFrame, quantity: str) -> None:
    """The distribution above, and its difference from the truth below."""

    x, y = _AXES[quantity]
    lower.set_xlabel(x)
    upper.set_ylabel(y)
    if rows.empty:
        return
    known = rows["truth"].notna().any()
    reference = rows["truth"] if known else rows["median"]
    lower.set_ylabel("difference\nfrom truth" if known else "difference\nfrom median")
    for axes, zero in ((upper, 0.0), (lower, reference)):
        _bands(axes, rows, zero)
    edges = np.append(rows["low"], rows["high"].iloc[-1])
    if known:
        upper.stairs(rows["truth"], edges, baseline=None, **_TRUTH)
    lower.axhline(0, **_TRUTH if known else {"color": COLORS["model"], "lw": 0.9})
    # Others far away would hide the residuals.
    low, high = lower.get_ylim()
    largest = 1.6 * max(abs(low), abs(high))
    middle = (rows["low"] + rows["high"]) / 2
    for name, (_, look) in _OTHERS.items():
        if rows[name].notna().any():
            upper.plot(middle, rows[name], **look)
            lower.plot(middle, rows[name] - reference, **look)
    lower.set(xlim=edges[[0, -1]], ylim=(-largest, largest))
    lower.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))


def _bands(axes: Axes, rows: pd.DataFrame, zero: pd.Series | float) -> None:
    """Intervals of 95 and 68%, and the median, as differences from `zero`."""

    edges = np.append(rows["low"], rows["high"].iloc[-1])
    for level, alpha in ((95, 0.22), (68, 0.4)):
        low, high = ((rows[f"{end}_{level}"] - zero).to_numpy() for end in ("low", "high"))
        axes.stairs(high, edges, baseline=low, fill=True, color=COLORS["model"], alpha=alpha, lw=0)
    axes.stairs(rows["median"] - zero, edges, baseline=None, color=COLORS["model"], lw=0.9)


def _legend(figure: Figure, rows: pd.DataFrame, truth: str, survey: str, columns: int) -> None:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLORS["model"], label="recovered"),
        Patch(color=COLORS["model"], alpha=0.55, lw=0, label="68%"),
        Patch(color=COLORS["model"], alpha=0.25, lw=0, label="95%"),
    ]
    if rows["truth"].notna().any():
        handles.insert(0, Line2D([], [], label=truth, **_TRUTH))
    handles += [
        Line2D([], [], label=label, **look)
        for name, (label, look) in _OTHERS.items()
        if rows[name].notna().any()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns,
                  title=survey or None, columnspacing=1.2, handlelength=1.8)  # fmt: skip


_SEQUENCES = {
    "prior": ("prior", {"color": "black", "ls": ":", "lw": 0.8, "marker": ""}),
    "published": (
        "published",
        {"color": COLORS["reference"], "ls": "--", "marker": "s", "ms": 2.5, "lw": 0.9},
    ),
    "recovered": ("recovered", {"color": COLORS["model"], "marker": "o", "ms": 3, "lw": 1.1}),
    "truth": ("truth", {"color": COLORS["truth"], "marker": "D", "ms": 2.5, "lw": 1.1}),
}
# Sources that have their scatter drawn as an area; others have its ends as thin lines.
_AREA = "recovered"


def main_sequence(table: pd.DataFrame, survey: str = "") -> Figure:
    """Star-formation rate against stellar mass of star-forming galaxies at z < 0.1, by source.

    Args:
        table: The columns `uraniborg.population.popsed.tables.SEQUENCE_COLUMNS`.
        survey: Name for the title.
    """

    figure = Figure(figsize=(ONE_COLUMN, 3.2))
    axes = figure.subplots()
    handles = []
    for source, (label, look) in _SEQUENCES.items():
        rows = table[table["source"] == source].sort_values("stellar_mass")
        if rows["log_sfr"].notna().sum() == 0:
            continue
        axes.plot(rows["stellar_mass"], rows["log_sfr"], **look)
        if source == _AREA:
            axes.fill_between(rows["stellar_mass"], rows["low"], rows["high"], lw=0, zorder=0,
                              color=look["color"], alpha=0.25)  # fmt: skip
        elif source == "truth":
            for end in ("low", "high"):
                axes.plot(rows["stellar_mass"], rows[end], color=look["color"], lw=0.8, ls="--")
        handles.append(Line2D([], [], label=f"{label}: {_fit(rows.iloc[0])}", **look))
    axes.set(xlabel=_MASS, ylabel=r"log SFR [M$_\odot$ yr$^{-1}$]")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.09 * len(handles) * (high - low))
    title = f"{survey} $z < 0.1$: slope, scatter [dex]".strip()
    axes.legend(handles=handles[::-1], loc="upper left", handlelength=2.2, title=title,
                alignment="left")  # fmt: skip
    return figure


def _fit(row: pd.Series) -> str:
    """Slope and scatter, with errors where they are known."""

    parts = []
    for name in ("slope", "scatter"):
        error = row[f"{name}_error"]
        known = f" ± {error:.2f}" if np.isfinite(error) else ""
        parts.append(f"{row[name]:.2f}{known}")
    return ", ".join(parts)
