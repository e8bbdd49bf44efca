"""Figures of estimated redshifts and of what wrong ones do."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from uraniborg.figures.style import COLORS, TWO_COLUMNS
from uraniborg.spectra.redshift_quality import (
    CATASTROPHIC,
    SUCCESS,
    in_snr_bins,
    relative_error,
    scatter,
)

__all__ = ["redshifts", "wrong_redshift"]

ERROR_LABEL = r"$|\Delta z|/(1+z)$"


def redshifts(found: pd.DataFrame, likelihoods: pd.DataFrame) -> Figure:
    """Estimated against true redshifts, failures against S/N, likelihoods, and accuracy by lines.

    Args:
        found: The columns of `uraniborg.spectra.redshift_recovery.RECOVERY_COLUMNS`.
        likelihoods: Those of `LIKELIHOOD_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 5.4))
    parts = figure.subfigures(2, 2, height_ratios=[1.15, 1])
    usual = found["anomaly"] == "none"
    _comparison(parts[0, 0], found[found["search"] == "everywhere"])
    _likelihoods(parts[0, 1], likelihoods)
    _failures(parts[1, 0].subplots(), found[(found["search"] == "degraded") & usual])
    kinds = found["search"].isin(["degraded", "everywhere"])
    _accuracy(parts[1, 1].subplots(), found[kinds & usual])
    return figure


def _comparison(part: SubFigure, found: pd.DataFrame) -> None:
    top, bottom = part.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    usual = found["anomaly"] == "none"
    marks = {
        "galaxies": (usual, ".", COLORS["model"], 2.5),
        "with an anomaly": (~usual, "x", COLORS["truth"], 4),
    }
    error = relative_error(found)
    for label, (here, mark, color, size) in marks.items():
        if here.any():
            settings = {"ms": size, "mew": 0.8, "color": color, "ls": "", "marker": mark}
            label = f"{label} ({here.sum()})"
            top.plot(found["z_true"][here], found["z"][here], label=label, **settings)
            # What is far off is drawn at the edge.
            limited = (1e4 * error[here]).clip(-2.4, 2.4)
            bottom.plot(found["z_true"][here], limited, **settings)
    highest = max(found["z"].max(), found.loc[usual, "z_true"].max()) * 1.05
    top.plot([0, highest], [0, highest], color=COLORS["data"], lw=0.6, zorder=0)
    top.set(ylabel="estimated $z$", ylim=(-0.01, highest), xlim=(-0.01, highest))
    text = f"no start, $\\sigma$ = {scatter(error[usual]):.1e}"
    top.annotate(text, (0.97, 0.05), xycoords="axes fraction", ha="right", fontsize=7)
    top.legend(loc="upper left", handletextpad=0.2)
    bottom.axhline(0, color=COLORS["data"], lw=0.6, zorder=0)
    bottom.set(xlabel="true $z$", ylim=(-2.6, 2.6))
    bottom.set_ylabel(r"$10^4\,\Delta z/(1+z)$")
    part.align_ylabels()


def _likelihoods(part: SubFigure, likelihoods: pd.DataFrame) -> None:
    levels = sorted(likelihoods["snr"].unique(), reverse=True)
    panels = np.atleast_1d(part.subplots(len(levels), 1, sharex=True))
    for axes, snr in zip(panels, levels, strict=True):
        curve = likelihoods[likelihoods["snr"] == snr]
        axes.axvline(curve["z_true"].iloc[0], color=COLORS["truth"], lw=2.2, alpha=0.5)
        axes.plot(curve["z"], curve["delta_chi2"], color=COLORS["model"], lw=0.5)
        low, high = curve["z"].min(), curve["z"].max()
        axes.set(xlim=(low, high), ylim=(curve["delta_chi2"].quantile(0.995) * 1.05, 0))
        axes.margins(y=0.02)
        axes.set_ylim(top=-0.08 * axes.get_ylim()[0])
        axes.annotate(
            f"S/N = {snr:.1f}",
            (0.97, 0.85),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=7,
        )
    panels[-1].set_xlabel("$z$")
    part.supylabel(r"$-2\,\Delta\ln L(z)$", fontsize=8)


def _failures(axes: Axes, degraded: pd.DataFrame) -> None:
    bins = in_snr_bins(degraded, np.geomspace(0.4, 20, 16))
    curves = {
        "catastrophic": ("catastrophic (> 1000 km/s)", "truth", "o-"),
        "warned": ("with a warning", "data", "s--"),
        "unwarned_catastrophic": ("catastrophic, no warning", "model", "^-"),
    }
    for column, (label, color, line) in curves.items():
        if len(bins):
            error = np.sqrt(bins[column] * (1 - bins[column]) / bins["n"])
            axes.errorbar(
                bins["snr"], bins[column], error, fmt=line, ms=3, color=COLORS[color], label=label
            )
    axes.set(xscale="log", xlabel="median S/N per pixel", ylabel="fraction, no start")
    axes.set_ylim(-0.03, 1)
    _plain_ticks(axes)
    if len(bins):
        axes.legend()


def _accuracy(axes: Axes, found: pd.DataFrame) -> None:
    width = found["halpha_width"]
    kinds = {
        r"EW(H$\alpha$+[N II]) < 5 Å": (width < 5, "truth", "s-"),
        "5 to 30 Å": ((width >= 5) & (width < 30), "reference", "^-"),
        "> 30 Å": (width >= 30, "model", "o-"),
    }
    for label, (here, color, line) in kinds.items():
        bins = in_snr_bins(found[here], np.geomspace(0.4, 60, 12))
        if len(bins):
            axes.plot(bins["snr"], bins["scatter"], line, ms=3, color=COLORS[color], label=label)
    axes.axhline(SUCCESS, color=COLORS["data"], lw=0.8, ls="--")
    axes.annotate(
        "what counts as found",
        (0.98, SUCCESS),
        xycoords=("axes fraction", "data"),
        fontsize=6,
        ha="right",
        va="bottom",
    )
    axes.set(xscale="log", yscale="log", xlabel="median S/N per pixel")
    axes.set_ylabel(r"1.48 MAD of $\Delta z/(1+z)$")
    axes.set_ylim(top=1.6e-3)
    _plain_ticks(axes)
    if len(axes.lines) > 1:
        axes.legend(loc="lower left")


def _plain_ticks(axes: Axes) -> None:
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50) if _inside(axes, tick)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _inside(axes: Axes, x: float) -> bool:
    low, high = axes.get_xlim()
    return low <= x <= high


def wrong_redshift(table: pd.DataFrame) -> Figure:
    """Reduced chi-squared and the distance that latents move against the redshift's error.

    Args:
        table: The columns of `uraniborg.spectra.redshift_recovery.WRONG_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.6))
    panels = figure.subplots(1, 2, sharex=True)
    width = table["halpha_width"]
    kinds = {
        "all": (width.notna() | width.isna(), "model", "-"),
        r"EW(H$\alpha$+[N II]) < 5 Å": (width < 5, "truth", "--"),
        "> 30 Å": (width >= 30, "reference", ":"),
    }
    right = table[table["offset"] == 0]
    for axes, column in zip(panels, ("reduced_chi2", "displacement"), strict=True):
        for label, (here, color, line) in kinds.items():
            wrong = table[here & (table["offset"] != 0)]
            if wrong.empty:
                continue
            groups = wrong.groupby(wrong["offset"].abs())[column]
            axes.plot(groups.median(), color=COLORS[color], ls=line, label=label)
            if label == "all":
                low, high = groups.quantile(0.16), groups.quantile(0.84)
                axes.fill_between(low.index, low, high, color=COLORS[color], alpha=0.15, lw=0)
        axes.axvline(CATASTROPHIC, color=COLORS["data"], lw=0.6, ls=":")
        axes.set(xscale="log", yscale="log", xlabel=rf"wrong by {ERROR_LABEL}")
    panels[0].axhline(right["reduced_chi2"].median(), color=COLORS["data"], lw=0.8)
    panels[0].set_ylabel(r"reduced $\chi^2$")
    panels[0].set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    panels[0].set_yticks([], minor=True)
    panels[0].legend(loc="upper left")
    panels[1].axhline(1, color=COLORS["data"], lw=0.8)
    panels[1].set_ylabel("latent moved / distance to\nthe tenth neighbour")
    return figure
