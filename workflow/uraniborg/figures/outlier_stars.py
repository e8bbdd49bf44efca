"""Figures of stars that are catalogued as galaxies: how they are found, why they are mistaken."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, FLUX_LABEL, TWO_COLUMNS
from uraniborg.spectra.outliers.misclassification import AUTOENCODER, misclassification
from uraniborg.spectra.outliers.star_recovery import LEAST_SNR, purity
from uraniborg.spectra.outliers.verdicts import PREVALENCE

__all__ = ["star_evidence", "stellar_templates"]

# Groups of objects: label, colour, marker, size.
_GROUPS = {
    "galaxy": ("galaxies", COLORS["data"], ".", 1.5),
    "other": ("other contaminants", COLORS["line"], "x", 3),
    "star_blend": ("star + galaxy in one fibre", COLORS["reference"], "D", 2.6),
    "star": ("stars", COLORS["truth"], "*", 4),
}
# Evidence is drawn linearly up to this and logarithmically beyond.
_LINEAR = 10.0
# What is fainter is drawn at the edge.
_LEAST_DRAWN = 0.3
_LIMITS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
_PREVALENCES = {0.01: ("1%", "-"), 0.001: ("0.1%", "--")}


def star_evidence(table: pd.DataFrame) -> Figure:
    """Evidence of a star against S/N, and completeness and purity against S/N.

    Args:
        table: The columns of `uraniborg.spectra.outliers.star_recovery.RECOVERY_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 3.0))
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    _scatter(left, table[table["star_evidence"].notna()])
    _rates(right, table)
    return figure


def _scatter(axes: Axes, table: pd.DataFrame) -> None:
    table = table.assign(snr=table["snr"].clip(lower=_LEAST_DRAWN))
    group = table["group"].where(table["group"].isin(_GROUPS), "other")
    verdict = table["star_verdict"] != "none"
    for name, (label, color, mark, size) in _GROUPS.items():
        here = group == name
        settings = {"ls": "", "marker": mark, "ms": size, "mew": 0.6, "color": color}
        settings["rasterized"] = name == "galaxy"
        certain, none = table[here & verdict], table[here & ~verdict]
        axes.plot(certain["snr"], certain["star_evidence"], label=f"{label} ({here.sum()})",
                  **settings)  # fmt: skip
        axes.plot(none["snr"], none["star_evidence"], **settings, alpha=0.35)
    threshold = -np.log(PREVALENCE / (1 - PREVALENCE))
    axes.axhline(threshold, color="black", lw=0.7)
    axes.axvline(LEAST_SNR, color=COLORS["data"], lw=0.7, ls=":")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=_LINEAR)
    axes.set_yticks([-1e4, -1e3, -1e2, 0, 1e2, 1e3, 1e4])
    shown = [*table["star_evidence"], -10 * _LINEAR, 10 * _LINEAR]
    # Room for the legend below.
    axes.set_ylim(60 * min(shown), 2.5 * max(shown))
    axes.set(xlabel="median S/N per pixel", ylabel="ln evidence of a star over a galaxy")
    axes.legend(loc="lower left", handletextpad=0.2, fontsize=6.5, title="pale: no verdict",
                title_fontsize=6.5, alignment="left")  # fmt: skip


def _rates(axes: Axes, table: pd.DataFrame) -> None:
    limits = [limit for limit in _LIMITS if _stars(table, limit) > 0]
    found = [
        [
            purity(part["group"] == "star", part["star_verdict"] == "star", prevalence)
            for prevalence in _PREVALENCES
        ]
        for part in (table[table["snr"] > limit] for limit in limits)
    ]
    curves = [(f"purity if {label} are stars", COLORS["model"], line, "s")
              for label, line in _PREVALENCES.values()]  # fmt: skip
    lowest = 0.88
    for i, (label, color, line, mark) in enumerate(curves):
        rates = np.array([each[i].purity for each in found])
        _with_errors(axes, np.array(limits) * (1 + 0.05 * i), rates, label, color, line, mark)
        lowest = min([lowest, *rates[:, 1:2].ravel()]) if found else lowest
    if found:
        rates = np.array([each[0].completeness for each in found])
        _with_errors(
            axes, np.array(limits) * 0.95, rates, "completeness", COLORS["truth"], "-", "*"
        )
        lowest = min(lowest, rates[:, 1].min())
        # Few are above a high S/N, where errors are large: there is room on the other side.
        axes.legend(loc="lower left")
    axes.axhline(0.9, color="black", lw=0.7)
    axes.axvline(LEAST_SNR, color=COLORS["data"], lw=0.7, ls=":")
    axes.set(xscale="log", ylim=(max(0.0, min(lowest - 0.02, 0.5)), 1.01))
    axes.set_xticks(_LIMITS, [f"{limit:g}" for limit in _LIMITS])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="median S/N per pixel above", ylabel="rate")


def _stars(table: pd.DataFrame, limit: float) -> int:
    return int(((table["group"] == "star") & (table["snr"] > limit)).sum())


def _with_errors(
    axes: Axes, x: np.ndarray, rates: np.ndarray, label: str, color: str, line: str, mark: str
) -> None:
    """Draws rates (N, 3): value, and the ends of its interval."""

    if not len(rates):
        return
    value, low, high = rates.T
    errors = np.clip([value - low, high - value], 0, None)
    axes.errorbar(x, value, errors, color=color, ls=line, marker=mark, ms=3.5, label=label,
                  elinewidth=0.7)  # fmt: skip


_TYPES = {
    "M": (COLORS["truth"], "o"),
    "K": ("#e69f00", "s"),
    "G": (COLORS["reference"], "^"),
    "F": (COLORS["model"], "v"),
    "A": (COLORS["line"], "D"),
    "WD": ("#cc79a7", "P"),
}
# What the example is.
_BEATEN = "a star that a galaxy at some redshift fits better"
_UNBEATEN = "a star; none is fitted better by a galaxy"
# Types with fewer stars are part of the total only.
_FEWEST = 5


def stellar_templates(table: pd.DataFrame, example: pd.DataFrame) -> Figure:
    """Stars that are called galaxies against the number of templates of stars, and an example.

    Args:
        table: The columns of `uraniborg.spectra.outliers.stellar_templates.TEMPLATE_COLUMNS`.
        example: Those of `EXAMPLE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 3.1))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.35])
    _misclassified(left.subplots(), misclassification(table))
    top, bottom = right.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    _example(top, bottom, example)
    first = example.iloc[0]
    chosen = table["object_id"] == first["object_id"]
    chosen &= table["components"] == first["components"]
    beaten = (table["galaxy_chi2"] < table["star_chi2"])[chosen].any()
    right.suptitle(_BEATEN if beaten else _UNBEATEN, fontsize=8)
    return figure


def _misclassified(axes: Axes, rates: pd.DataFrame) -> None:
    number = rates["components"]
    stars = rates[(rates["spectype"] == "STAR") & (rates["n"] >= _FEWEST)]
    shown = {"all": ("black", None), **_TYPES}
    for name, (color, mark) in shown.items():
        of_type = stars[stars["subclass"] == name]
        curve = of_type[of_type["components"] != AUTOENCODER]
        if curve.empty:
            continue
        width, label = (1.6, "all stars") if name == "all" else (0.8, name)
        label = f"{label} ({curve['n'].iloc[0]})"
        axes.errorbar(curve["components"], curve["fraction"], curve["error"], color=color, lw=width,
                      marker=mark, ms=3, elinewidth=0.6, label=label)  # fmt: skip
    model = stars[(stars["subclass"] == "all") & (stars["components"] == AUTOENCODER)]
    right = number.max() + 1.5
    if len(model):
        axes.errorbar([right], model["fraction"], model["error"], color="black", marker="*", ms=6)
    ticks = [k for k in (1, 2, 4, 6, 8, 10) if k <= number.max()]
    axes.set_xticks([*ticks, right], [*map(str, ticks), "star\nmodel"])
    axes.set(xlim=(0.5, right + 0.8), ylim=(-0.03, 1.03))
    axes.set(xlabel="templates of stars", ylabel="fraction of stars called galaxies")
    if axes.containers:
        axes.legend(loc="upper right")


def _example(top: Axes, bottom: Axes, example: pd.DataFrame) -> None:
    first = example.iloc[0]
    fits = {
        "star_templates": (f"{first['components']} templates of stars", COLORS["model"]),
        "galaxy_templates": (f"galaxies at z = {first['galaxy_z']:.3f}", COLORS["truth"]),
        "star_model": ("star model", COLORS["reference"]),
    }
    # Means over a few pixels: lines stay, noise does not hide the curves.
    names = ["wavelength", "flux", *fits]
    binned = example[names].groupby(np.arange(len(example)) // 8).mean().dropna()
    top.plot(binned["wavelength"], binned["flux"], color=COLORS["data"], lw=1.6, label="observed")
    for name, (label, color) in fits.items():
        top.plot(binned["wavelength"], binned[name], color=color, lw=0.7, label=label)
        residual = (binned["flux"] - binned[name]) / binned["star_model"].median()
        bottom.plot(binned["wavelength"], residual, color=color, lw=0.6)
    bottom.axhline(0, color="black", lw=0.5)
    bottom.set(xlabel="wavelength [Å]", ylabel="residual / median")
    top.set_ylabel(FLUX_LABEL)
    kind = "white dwarf" if first["subclass"] == "WD" else f"{first['subclass']} star"
    top.legend(title=f"{kind} {first['object_id']}", title_fontsize=7, loc="best")
