"""Figures of how well known contaminants are found by outlier scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from uraniborg.figures.names import KIND_NAMES
from uraniborg.figures.style import COLORS, TWO_COLUMNS
from uraniborg.spectra.outliers.recovery import IN_THE_INSTRUMENT, OUTLIER_SCORE, TOP
from uraniborg.universe.contaminants import KINDS, NONE

__all__ = ["outlier_ranks", "outlier_recovery", "outlier_scores"]

# Scores that are drawn: label, colour, marker, line (Okabe & Ito 2008).
_SCORES = {
    OUTLIER_SCORE: ("outlier score", COLORS["model"], "o", "-"),
    "negative_log_prob": (r"$\log\,p$ of latents", COLORS["line"], "D", "-."),
    "pca_reduced_chi2": (r"$\chi^2$ of a PCA", COLORS["truth"], "s", "--"),
    "isolation_forest": ("isolation forest", COLORS["reference"], "^", (0, (4, 1, 1, 1, 1, 1))),
    "random": ("random number", COLORS["data"], ".", ":"),
}

_GROUPS = {
    "all": "all contaminants",
    "on_the_sky": "on the sky",
    "in_the_instrument": "in the instrument",
}


def outlier_scores(objects: pd.DataFrame) -> Figure:
    """Distributions of log p and of the outlier score, of contaminants and of ordinary objects.

    Args:
        objects: The columns `uraniborg.spectra.outliers.recovery.OBJECT_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 2.6))
    left, right = figure.subplots(1, 2, sharey=True)
    width = 10.0
    _distribution(left, objects, -objects["negative_log_prob"], -1, lambda x: np.arcsinh(x / width),
                  lambda x: width * np.sinh(x))  # fmt: skip
    left.set_xscale("asinh", linear_width=width)
    low, high = left.get_xlim()
    left.set_xticks([tick for tick in (-1000, -100, -10, 0, 10) if low <= tick <= high])
    left.xaxis.set_minor_locator(NullLocator())
    left.xaxis.set_major_formatter("{x:g}")
    left.set(xlabel=r"$\log\,p$ of the latents [nat]", ylabel="objects per bin")
    _distribution(right, objects, objects[OUTLIER_SCORE].clip(lower=0.1), 1, np.log, np.exp)
    right.set_xscale("log")
    right.xaxis.set_major_formatter("{x:g}")
    right.set(xlabel="outlier score [nat]", yscale="log")
    right.set_ylim(0.6, 2 * right.get_ylim()[1])
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _distribution(
    axes: Axes,
    objects: pd.DataFrame,
    values: pd.Series,
    sign: int,
    scale: np.ufunc,
    unscale: np.ufunc,
) -> None:
    """Histograms in bins of equal width after scaling, outliers at the end that `sign` says."""

    values = values.where(np.isfinite(values))
    if values.notna().sum() == 0:
        return
    low, high = values.min(), values.max()
    edges = unscale(np.linspace(scale(low), scale(high) + 1e-6, 41))
    in_the_instrument = objects["anomaly"].isin(IN_THE_INSTRUMENT)
    ordinary = objects["anomaly"] == NONE
    shown = {
        "ordinary galaxies": (ordinary, {"histtype": "stepfilled", "color": "#cccccc"}),
        "contaminants on the sky": (
            ~ordinary & ~in_the_instrument,
            {"histtype": "step", "color": COLORS["truth"], "lw": 1.3},
        ),
        "in the instrument": (
            in_the_instrument,
            {"histtype": "step", "color": COLORS["model"], "lw": 1.1, "ls": (0, (3, 1))},
        ),
    }
    for label, (here, settings) in shown.items():
        axes.hist(values[here].dropna(), edges, label=f"{label} ({here.sum()})", **settings)
    axes.set_xlim(edges[[0, -1]])
    threshold = (sign * values).quantile(1 - TOP) * sign
    axes.axvline(threshold, color="black", lw=0.8, ls="--", label=f"top {TOP:.0%}")
    text, side = (f"top {TOP:.0%} ", "right") if sign < 0 else (f" top {TOP:.0%}", "left")
    axes.annotate(text, (threshold, 0.97), xycoords=("data", "axes fraction"), va="top", ha=side)


def outlier_ranks(curve: pd.DataFrame) -> Figure:
    """Contaminants found against the rank down to which one looks, by score and by kind.

    Args:
        curve: The columns `uraniborg.spectra.outliers.recovery.CURVE_COLUMNS`.
    """

    kinds = [kind.name for kind in KINDS if (curve["group"] == kind.name).any()]
    rows = max(1, -(-len(kinds) // 2))
    figure = Figure(figsize=(TWO_COLUMNS, 4.4))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    size = curve["rank"].max()
    _by_score(left.subplots(), curve[curve["group"] == "all"], size)
    panels = right.subplots(rows, 2, sharex=True, squeeze=False)
    ours = curve[curve["score"] == OUTLIER_SCORE]
    for axes, kind in zip(panels.T.flatten(), kinds, strict=False):
        _by_kind(axes, ours[ours["group"] == kind], size)
        axes.set_title(KIND_NAMES[kind], loc="left", fontsize=7, pad=2)
    for axes in panels.T.flatten()[len(kinds) :]:
        axes.set_visible(False)
    right.supxlabel("rank by outlier score", fontsize=8)
    right.supylabel("contaminants found", fontsize=8)
    return figure


def _by_score(axes: Axes, curve: pd.DataFrame, size: int) -> None:
    for name, (label, color, _, line) in _SCORES.items():
        here = curve[(curve["score"] == name) & (curve["n"] > 0)]
        axes.plot(here["rank"], here["found"] / here["n"], color=color, ls=line, label=label,
                  lw=1.6 if name == OUTLIER_SCORE else 1.1)  # fmt: skip
    number = curve["n"].max()
    rank = np.unique(curve["rank"])
    axes.plot(rank, np.minimum(rank / max(number, 1), 1), color="black", lw=0.7, label="perfect")
    axes.plot(rank, rank / size, color="black", lw=0.7, ls=":", label="by chance")
    _ranks(axes, size)
    axes.set(ylim=(0, 1.03), xlabel="rank")
    axes.set_ylabel(f"fraction of {number} contaminants found")
    axes.legend(loc="upper left", handlelength=2.8)


def _by_kind(axes: Axes, curve: pd.DataFrame, size: int) -> None:
    number = int(curve["n"].iloc[0])
    axes.fill_between(curve["rank"], curve["found"], color=COLORS["model"], alpha=0.25, lw=0)
    axes.plot(curve["rank"], curve["found"], color=COLORS["model"], lw=1.2)
    axes.plot(curve["rank"], curve["by_chance"], color="black", lw=0.7, ls=":")
    _ranks(axes, size)
    axes.set(ylim=(0, 1.12 * number), yticks=[0, number])
    axes.tick_params(which="both", top=False)


def _ranks(axes: Axes, size: int) -> None:
    axes.axvline(TOP * size, color="black", lw=0.7, ls="--")
    axes.set(xscale="log", xlim=(1, max(size, 2)))


def outlier_recovery(table: pd.DataFrame) -> Figure:
    """AUC by kind, and recall by S/N, of the outlier score and of others.

    Args:
        table: The columns `uraniborg.spectra.outliers.recovery.RECOVERY_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 4.6))
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    everything = np.isneginf(table["snr_low"]) & np.isposinf(table["snr_high"])
    _areas(left, table[everything])
    _recall(right, table[(table["group"] == "all") & ~everything])
    lines = [
        Line2D([], [], color=color, marker=marker, ls="", ms=4, label=label)
        for label, color, marker, _ in _SCORES.values()
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines))
    return figure


def _areas(axes: Axes, table: pd.DataFrame) -> None:
    labels = {**_GROUPS, **KIND_NAMES}
    numbers = table.drop_duplicates("group").set_index("group")["n"]
    groups = [group for group in labels if group in numbers.index]
    # A gap between groups and kinds.
    place = {group: i + (0.6 if group in KIND_NAMES else 0) for i, group in enumerate(groups)}
    # The control is drawn of groups only: of few objects, it may be anywhere.
    drawn = table[(table["score"] != "random") | table["group"].isin(_GROUPS)]
    for i, (name, (_, color, marker, _)) in enumerate(_SCORES.items()):
        here = drawn[(drawn["score"] == name) & drawn["group"].isin(groups)]
        offset = 0.16 * (i - (len(_SCORES) - 1) / 2)
        y = here["group"].map(place).astype(float) + offset
        above = 3 if name == OUTLIER_SCORE else 2
        axes.errorbar(here["auc"], y, xerr=_up_to_one(here, "auc"), color=color, marker=marker,
                      ms=3.2, ls="", elinewidth=0.6, zorder=above)  # fmt: skip
    for group in groups[::2]:
        axes.axhspan(place[group] - 0.5, place[group] + 0.5, color="#f2f2f2", lw=0, zorder=0)
    axes.axvline(0.5, color="black", lw=0.6, ls=":")
    axes.axvline(1, color="black", lw=0.4)
    ticks = [f"{labels[group]} ({numbers[group]})" for group in groups]
    axes.set_yticks(list(place.values()), ticks)
    axes.tick_params(axis="y", length=0)
    if groups:
        axes.set_ylim(place[groups[-1]] + 0.6, -0.6)
    axes.set(xlim=(min([0.4, *drawn["auc"] - 0.03]), 1.02), xlabel="area under the ROC curve")


def _recall(axes: Axes, table: pd.DataFrame) -> None:
    bins = table.drop_duplicates(["snr_low", "snr_high"]).sort_values("snr_low")
    place = {low: i for i, low in enumerate(bins["snr_low"])}
    for i, (name, (_, color, marker, line)) in enumerate(_SCORES.items()):
        here = table[table["score"] == name].sort_values("snr_low")
        offset = 0.09 * (i - (len(_SCORES) - 1) / 2)
        x = here["snr_low"].map(place).astype(float) + offset
        axes.errorbar(x, here["recall"], _up_to_one(here, "recall"), color=color, marker=marker,
                      ms=3.5, ls=line, lw=0.8, elinewidth=0.6)  # fmt: skip
    ticks = [
        f"{_interval(row.snr_low, row.snr_high)}\n({row.n})" for row in bins.itertuples(index=False)
    ]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlim=(-0.5, max(len(ticks), 1) - 0.5), ylim=(-0.02, 1.02))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="median S/N per pixel (contaminants)")
    axes.set_ylabel(f"fraction in the catalogue's top {TOP:.0%}")


def _interval(low: float, high: float) -> str:
    if np.isneginf(low):
        return f"< {high:g}"
    return f"> {low:g}" if np.isposinf(high) else f"{low:g}-{high:g}"


def _up_to_one(table: pd.DataFrame, name: str) -> Sequence[np.ndarray]:
    """Errors to either side that do not leave the range from 0 to 1, shape (2, N)."""

    value, error = table[name].to_numpy(), table[f"{name}_error"].fillna(0).to_numpy()
    return np.clip([np.minimum(error, value), np.minimum(error, 1 - value)], 0, None)
