"""The figure of what an encoder attends to."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS
from uraniborg.spectra.lines import LINES

__all__ = ["attention"]

_NAMED = ("mean", "untrained", "spectrum")


def attention(curves: pd.DataFrame, enhancements: pd.DataFrame) -> Figure:
    """Attribution of each feature over the rest-frame spectrum, one panel per feature.

    Args:
        curves: The columns of `CURVE_COLUMNS`.
        enhancements: The columns of `ENHANCEMENT_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 1.55 * len(enhancements) + 0.6))
    panels = figure.subplots(len(enhancements), 1, sharex=True, squeeze=False)[:, 0]
    for axes, row in zip(panels, enhancements.itertuples(), strict=True):
        here = dict(iter(curves[curves["feature"] == row.feature].groupby("curve")))
        top = 1.25 * max(2.0, np.nanmax(here["mean"]["value"]))
        spectrum = here["spectrum"]
        # Behind the curves, in a scale of its own.
        scaled = spectrum["value"] / np.percentile(spectrum["value"], 99) * 0.6 * top
        axes.fill_between(
            spectrum["wavelength"], scaled, color="#e4e4e4", lw=0, label="median decoded spectrum"
        )
        axes.axvspan(row.low, row.high, color=COLORS["reference"], alpha=0.35, lw=0)
        label = "galaxies"
        for name, curve in here.items():
            if name not in _NAMED:
                axes.plot(
                    curve["wavelength"], curve["value"], color=COLORS["line"], lw=0.4, label=label
                )
                label = None
        for name, style, label in (
            ("untrained", {"color": COLORS["truth"], "ls": "--"}, "untrained (control)"),
            ("mean", {"color": COLORS["model"], "lw": 1.4}, "mean"),
        ):
            axes.plot(here[name]["wavelength"], here[name]["value"], label=label, **style)
        for line in LINES:
            axes.axvline(line.wavelength, ymax=0.04, color="black", lw=0.5)
        axes.set_ylim(0, top)
        axes.annotate(
            f"{row.feature}: {row.enhancement:.1f} ± {row.enhancement_error:.1f} at the feature, "
            f"untrained {row.untrained:.1f}, other galaxy's redshift {row.shuffled:.1f}",
            (0.01, 0.95),
            xycoords="axes fraction",
            va="top",
            fontsize=7,
        )
    panels[-1].set_xlim(3500, 8000)
    panels[-1].set_xlabel("rest-frame vacuum wavelength [Å]")
    figure.supylabel("attribution / even attribution", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure
