"""Figure of what a model of simulated galaxies makes of real ones."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["real_galaxies"]

_PANELS = (
    ("restframe", "narrow", "rest-frame vacuum wavelength [Å]"),
    ("restframe", "broad", "rest-frame vacuum wavelength [Å]"),
    ("observed", "narrow", "observed vacuum wavelength [Å]"),
)
_NAMED = 9


def real_galaxies(objects: pd.DataFrame, stack: pd.DataFrame, features: pd.DataFrame) -> Figure:
    """Reduced chi-squared by class before and after adaptation, and stacked residuals.

    Args:
        objects: The columns of `uraniborg.spectra.real_galaxies.ADAPTED_COLUMNS`.
        stack: The columns of `uraniborg.spectra.real_galaxies.STACK_COLUMNS`.
        features: The columns of `uraniborg.spectra.coherent_residuals.FEATURE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 7.6))
    top, *panels = figure.subplots(4, height_ratios=[1.5, 1.1, 1, 1])
    _by_class(top, objects)
    for axes, (frame, scale, label) in zip(panels, _PANELS, strict=True):
        chosen = stack[(stack["frame"] == frame) & (stack["scale"] == scale)]
        named = features[(features["frame"] == frame) & (features["scale"] == scale)]
        _stack_panel(axes, chosen, named)
        axes.set_xlabel(label)
        axes.set_ylabel(f"residual/σ, {scale}")
    panels[0].legend(loc="lower left", ncols=2)
    return figure


def _by_class(axes: Axes, objects: pd.DataFrame) -> None:
    """One column per galaxy, classes side by side, medians over a galaxy's spectra."""

    classes = objects.groupby("galaxy")["subclass"].agg(lambda names: names.mode().iloc[0])
    table = objects.groupby("galaxy")[["before", "after", "shuffled", "simulated"]].median()
    table["class"] = classes.str.lower().replace("", "no subclass")
    table["visits"] = objects.groupby("galaxy").size()
    # Classes by how well they are modelled, galaxies within them as well.
    order = table.groupby("class")["before"].median().rank(method="first")
    table = table.assign(rank=table["class"].map(order)).sort_values(["rank", "before"])
    position = np.arange(len(table)) + table["rank"].to_numpy() - 1
    axes.vlines(position, table["after"], table["before"], color=COLORS["data"], lw=1)
    for name, marker, color, label in (
        ("shuffled", "x", COLORS["data"], "adapted to shuffled residuals (control)"),
        ("before", "o", COLORS["truth"], "trained on simulations alone"),
        ("after", "o", COLORS["model"], "adapted to all other galaxies"),
        ("simulated", "_", COLORS["reference"], "simulated galaxies of this S/N, errors as SDSS'"),
    ):
        axes.plot(position, table[name], marker, ms=5, mew=1.2, color=color, label=label)
    for name, members in table.assign(position=position).groupby("class", sort=False):
        axes.annotate(
            f"{name}\n{members['before'].median():.2f} → {members['after'].median():.2f}",
            (members["position"].mean(), 0),
            (0, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=6.5,
            ha="center",
            va="top",
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20])
    axes.set_ylim(None, 6 * table["before"].max())
    axes.set_xticks([])
    axes.set_xlim(-0.8, position[-1] + 0.8)
    axes.set_ylabel(r"reduced $\chi^2$ of each galaxy")
    axes.legend(loc="upper left", ncols=2)


def _stack_panel(axes: Axes, stack: pd.DataFrame, features: pd.DataFrame) -> None:
    # Means of less than half of the galaxies say little about what they have in common.
    stack = stack[stack["galaxies"] >= stack["galaxies"].max() / 2]
    x, error = stack["wavelength"], 2 * stack["error"]
    axes.fill_between(x, -error, error, color=COLORS["data"], alpha=0.4, lw=0, label="±2 errors")
    axes.plot(x, stack["before"], color=COLORS["truth"], lw=0.6, label="before adaptation")
    axes.plot(x, stack["after"], color=COLORS["model"], lw=0.6, label="after")
    axes.axhline(0, color="black", lw=0.4)
    limit = 2.2 * np.nanmax(np.abs(stack["before"]))
    axes.set_ylim(-limit, limit)
    axes.set_xlim(x.min(), x.max())
    drawn: list[float] = []
    for row in features.head(_NAMED).itertuples():
        near = [w for w in drawn if abs(w - row.wavelength) < 0.02 * (x.max() - x.min())]
        drawn.append(row.wavelength)
        upward = row.residual > 0
        axes.annotate(
            row.name or f"{row.wavelength:.0f} Å",
            (row.wavelength, row.residual),
            (12 * len(near), 9 if upward else -9),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "shrinkB": 1},
            fontsize=5.5,
            rotation=90,
            ha="center",
            va="bottom" if upward else "top",
            annotation_clip=True,
        )
