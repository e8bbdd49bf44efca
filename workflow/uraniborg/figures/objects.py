"""Figures of simulated stars and quasars beside real ones."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["stars_quasars"]


def stars_quasars(table: pd.DataFrame) -> Figure:
    """Stars from O to M and white dwarfs, a composite of quasars, and broad absorption.

    Args:
        table: The columns of `uraniborg.universe.object_check.EXAMPLE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 6.2))
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.1])
    stars = figure.add_subplot(grid[:, 0])
    quasars, absorption = (figure.add_subplot(grid[row, 1]) for row in range(2))

    rows = table[table["panel"] == "stars"]
    names = list(dict.fromkeys(rows["name"]))
    lowest, reddest = 0.0, np.inf
    for name in names:
        part = rows[rows["name"] == name]
        log_flux = np.log10(part["flux"])
        # Each spectrum sits below the one before, by as much as both need.
        end = log_flux[part["wavelength"] > 8700].median()
        shift = lowest - 0.12 - log_flux[part["wavelength"] > 4500].max()
        shift = min(shift, reddest - 0.28 - end)
        for source, color, width in (("real", "data", 1.4), ("simulated", "model", 0.5)):
            one = part["source"] == source
            stars.plot(part["wavelength"][one], log_flux[one] + shift, color=COLORS[color],
                       lw=width)  # fmt: skip
        reddest = shift + end
        stars.text(9300, reddest, name, fontsize=6, va="center")
        lowest = shift + log_flux[part["wavelength"] > 4500].quantile(0.25)
    stars.set(xlim=(3700, 9250), xlabel="wavelength [Å]")
    stars.set_ylabel(r"$\log_{10} f_\lambda$ + offset")
    stars.plot([], [], color=COLORS["data"], lw=1.4, label="real template")
    stars.plot([], [], color=COLORS["model"], label="Uraniborg")
    stars.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    stars.set_yticks([])

    rows = table[table["panel"] == "quasars"]
    for source, name in rows[["source", "name"]].drop_duplicates().itertuples(index=False):
        part = rows[(rows["name"] == name) & (rows["source"] == source)]
        real = source == "real"
        color = COLORS["model"] if not real else COLORS["data"] if "SDSS" in name else "black"
        quasars.plot(part["wavelength"], part["flux"], color=color, lw=1.2 if real else 0.7,
                     label=name)  # fmt: skip
    quasars.set(xscale="log", yscale="log", xlim=(1150, 7000))
    _ticks(quasars, (1200, 1500, 2000, 3000, 4000, 5000, 6500))
    quasars.set_ylabel(r"$f_\lambda$ [arbitrary]")
    quasars.legend(loc="upper right")

    rows = table[table["panel"] == "absorption"]
    for number, (name, part) in enumerate(rows.groupby("name", sort=False)):
        shift = 3.0**-number
        absorption.plot(part["wavelength"], part["flux"] * shift, color=COLORS["model"], lw=0.5)
        level = part["flux"][part["wavelength"].between(2100, 2250)].median()
        absorption.text(2170, level * shift * 1.25, name, fontsize=6, ha="center")
    absorption.set(xscale="log", yscale="log", xlim=(1050, 3300), ylim=(0.02, 9))
    _ticks(absorption, (1200, 1500, 1800, 2200, 2700, 3200))
    absorption.set_xlabel("rest wavelength [Å]")
    absorption.set_ylabel(r"$f_\lambda$ [arbitrary, offset]")
    return figure


def _ticks(axes: Axes, ticks: tuple[float, ...]) -> None:
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
