"""Figures of the latent space: how many latents are needed and what they know."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["latent_dimension", "latent_probes", "latent_space"]

LABELS = {
    "log_stellar_mass": r"log $M_\star$ [M$_\odot$]",
    "log_sfr": r"log SFR [M$_\odot$ yr$^{-1}$]",
    "log_ssfr": r"log sSFR [yr$^{-1}$]",
    "log_metallicity": r"log $Z_\star$ [Z$_\odot$]",
    "A_V": r"$A_V$ [mag]",
    "age": "mean age [Gyr]",
    "log_dispersion": r"log $\sigma_\star$ [km s$^{-1}$]",
}


def latent_dimension(fits: pd.DataFrame, default: str) -> Figure:
    """Median reduced chi-squared and excess over the truth against the number of latents.

    Args:
        fits: The columns of `DIMENSION_COLUMNS`.
        default: Variant that was trained for longer; it has an open symbol.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.5))
    left, right = figure.subplots(1, 2)
    methods = {"components": ("reference", "s", "weighted PCA"), "model": ("model", "o", "model")}
    for axes, name in ((left, "reduced_chi2"), (right, "excess_chi2")):
        for method, (color, marker, label) in methods.items():
            here = fits[fits["method"] == method].sort_values("latents")
            axes.errorbar(
                here["latents"],
                here[name],
                here[f"{name}_error"],
                fmt=f"{marker}-",
                ms=3.5,
                color=COLORS[color],
                label=label,
            )
        longer = fits[(fits["method"] == "model") & (fits["variant"] == default)]
        axes.plot(
            longer["latents"],
            longer[name],
            "o",
            ms=7,
            mfc="none",
            color=COLORS["model"],
            label="trained in full",
        )
        axes.set_xlabel("latents or components")
        axes.set_yscale("log")
        axes.set_xticks(sorted(set(fits["latents"]) - {0}))
    floor = fits[fits["method"] == "truth"]["reduced_chi2"].iloc[0]
    if np.isfinite(floor):
        left.axhline(floor, color=COLORS["data"], ls="--", label="noiseless truth")
    for axes, ticks in ((left, (1, 1.1, 1.2, 1.3, 1.5, 2)), (right, (1, 2, 3, 5, 7))):
        axes.yaxis.set_major_locator(LogLocator(subs=ticks))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    left.set_ylabel(r"median reduced $\chi^2$ against data")
    right.set_ylabel(r"median $\langle (m-t)^2 / \sigma^2 \rangle$ against truth")
    left.legend(loc="upper right")
    return figure


def latent_space(galaxies: pd.DataFrame) -> Figure:
    """The latent space along the two directions that are measured best, once per parameter.

    Args:
        galaxies: The columns of `SPACE_COLUMNS`.
    """

    shown = [name for name in LABELS if name != "log_sfr"]
    figure = Figure(figsize=(TWO_COLUMNS, 4.2))
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    # Single galaxies far off would shrink all others to a dot.
    limits = {}
    for name in ("direction_0", "direction_1"):
        low, high = np.percentile(galaxies[name], [0.5, 99.5])
        limits[name] = (low - 0.1 * (high - low), high + 0.1 * (high - low))
    for axes, name in zip(panels.flat, shown, strict=True):
        low, high = np.percentile(galaxies[name], [2, 98])
        points = axes.scatter(
            galaxies["direction_0"],
            galaxies["direction_1"],
            c=galaxies[name],
            s=3,
            lw=0,
            cmap="viridis",
            vmin=low,
            vmax=high,
            rasterized=True,
        )
        bar = figure.colorbar(points, ax=axes, location="top", aspect=30, extend="both")
        bar.set_label(LABELS[name])
        axes.set(xlim=limits["direction_0"], ylim=limits["direction_1"])
    figure.supxlabel("direction measured best [its noise]", fontsize=8)
    figure.supylabel("second direction [its noise]", fontsize=8)
    return figure


def latent_probes(probes: pd.DataFrame, modes: pd.DataFrame) -> Figure:
    """What linear probes tell of each parameter, and how well each direction is measured.

    Args:
        probes: The columns of `PROBE_COLUMNS`.
        modes: The columns of `MODE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.7))
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    _bars(left, probes)
    right.semilogy(modes["direction"] + 1, np.sqrt(modes["ratio"]), "o-", ms=3.5, color="#0072b2")
    right.axhline(1, color=COLORS["data"], ls="--")
    right.annotate("noise alone", (1, 1.08), fontsize=7, color="#666666")
    right.set_xticks(modes["direction"] + 1)
    right.set_xlabel("direction of the latent space")
    right.set_ylabel("spread of galaxies / noise")
    return figure


def _bars(axes: Axes, probes: pd.DataFrame) -> None:
    kinds = {
        "latents": (COLORS["model"], "latents"),
        "both": (COLORS["line"], "latents, brightness, z"),
        "brightness and z": (COLORS["data"], "brightness, z"),
    }
    names = list(LABELS)
    place = np.arange(len(names))
    width = 0.2
    for i, (inputs, (color, label)) in enumerate(kinds.items()):
        here = probes[probes["inputs"] == inputs].set_index("target").loc[names]
        axes.bar(
            place + (i - 1.5) * width,
            here["r2"].clip(lower=-0.15),
            width,
            yerr=here["error"],
            color=color,
            error_kw={"lw": 0.6},
            label=label,
        )
    control = probes[probes["inputs"] == "latents"].set_index("target").loc[names]
    axes.errorbar(
        place + 1.5 * width,
        control["control"],
        control["control_error"],
        fmt="x",
        ms=3,
        lw=0.6,
        color=COLORS["truth"],
        label="latents, targets shuffled",
    )
    axes.axhline(0, color="black", lw=0.5)
    axes.set_xticks(place, [LABELS[name].split(" [")[0] for name in names], fontsize=6.5)
    axes.set_ylim(-0.2, 1.25)
    axes.set_ylabel(r"$R^2$ of a linear probe, test galaxies")
    axes.legend(loc="upper center", ncols=2)
