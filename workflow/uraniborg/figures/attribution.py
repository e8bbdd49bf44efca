"""Figures of attributions: methods compared on spectra, how well they find what is anomalous, and
what makes outliers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, PercentFormatter

from uraniborg.figures.names import kind_name
from uraniborg.figures.style import COLORS, FLUX_LABEL, ONE_COLUMN, TWO_COLUMNS
from uraniborg.spectra.attribution.names import (
    CATEGORIES,
    ELSEWHERE,
    EXTENDED_KINDS,
    GROUPS,
    LOCAL_KINDS,
    TRUE_WINDOW,
)

__all__ = ["comparison", "feature_shares", "localisation", "perturbation", "strip"]

_METHODS = {
    "imo": "inverse occlusion",
    "inverse_occlusion": "inverse occlusion",
    "gradient_x_input": "gradient × input",
    TRUE_WINDOW: "truth",
}
_NAMES = {
    "all": "all contaminants",
    "local": "local anomalies",
    "extended": "extended anomalies",
    "whole": "whole spectra",
}
# Colours, markers and lines of methods (Okabe & Ito 2008).
_LOOKS = {
    "consensus": (COLORS["model"], "o", "-"),
    "contributions": (COLORS["model"], "o", "-"),
    "inverse_occlusion": (COLORS["truth"], "s", "--"),
    "occlusion": ("#e69f00", "^", "-."),
    "feature_ablation": (COLORS["reference"], "D", (0, (4, 1, 1, 1, 1, 1))),
    "gradient_x_input": ("#cc79a7", "v", (0, (6, 2))),
    "integrated_gradients": (COLORS["line"], "P", (0, (2, 1))),
    "expected_gradients": ("#882255", "X", (0, (5, 1, 1, 1))),
    "residual": ("#999933", "<", (0, (1, 1))),
}
_UNKNOWN = ("#444444", "*", "-")
_CONTROLS = {"random": (COLORS["data"], ".", ":"), TRUE_WINDOW: ("black", "|", "-")}
# Bins of wavelength that strips are drawn in: as many as can be told apart.
_BINS = 900
# Least share that is drawn on logarithmic axes.
_LEAST = 3e-4
# Pixels by which spectra are smoothed to find their range.
_SMOOTH = 7
# Most features that the summary has rows for.
_ROWS = 16


def comparison(spectra: pd.DataFrame, maps: pd.DataFrame, features: pd.DataFrame) -> Figure:
    """Spectra with what is truly anomalous, and below each what every method attributes to it.

    Args:
        spectra: The columns `uraniborg.spectra.attribution.maps.SPECTRA_COLUMNS` of a few objects.
        maps: `MAP_COLUMNS` of the same.
        features: `uraniborg.spectra.attribution.features.FEATURE_COLUMNS`, whose names are written
            above the spectrum.
    """

    names = list(dict.fromkeys(spectra["object_id"]))
    if not names:
        return _nothing()
    methods = list(dict.fromkeys(maps["method"]))
    strips = 0.26 * len(methods)
    figure = Figure(figsize=(TWO_COLUMNS, len(names) * (1.9 + strips) + 0.3))
    blocks = figure.subfigures(len(names), 1, squeeze=False)[:, 0]
    for block, name in zip(blocks, names, strict=True):
        heights = [1.5 / 0.26, *[1] * len(methods)]
        axes = block.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        shown = spectra[spectra["object_id"] == name]
        _above(axes[0], shown, features[features["object_id"] == name])
        own = maps[maps["object_id"] == name]
        for i, (panel, method) in enumerate(zip(axes[1:], methods, strict=True)):
            _window(panel, shown)
            strip(panel, own[own["method"] == method])
            panel.set_ylabel(_method(method), rotation=0, ha="right", va="center", fontsize=6.5,
                             weight="normal" if i else "bold")  # fmt: skip
        axes[-1].tick_params(labelbottom=True)
    blocks[-1].supxlabel("observed vacuum wavelength [Å]", fontsize=8)
    return figure


def _above(axes: Axes, spectrum: pd.DataFrame, features: pd.DataFrame) -> None:
    """The spectrum, with its window and the names of features."""

    _window(axes, spectrum)
    wavelength, flux = spectrum["wavelength"], spectrum["flux"]
    axes.plot(wavelength, flux, color="#777777", lw=0.4, rasterized=True, label="outlier")
    axes.plot(wavelength, spectrum["ordinary"], color=COLORS["reference"], lw=0.8,
              label="ordinary ones in its place, mean", rasterized=True)  # fmt: skip
    seen = flux.rolling(_SMOOTH, center=True, min_periods=1).median()
    if seen.notna().any():
        low, high = np.nanquantile(seen, [0.002, 0.998])
        margin = 0.08 * (high - low) or 1.0
        axes.set_ylim(min(low, 0) - margin, high + 4 * margin)
        covered = wavelength[flux.notna()]
        axes.set_xlim(covered.min(), covered.max())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel(FLUX_LABEL.replace(" [", "\n["), fontsize=6.5)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.08), ncols=2, fontsize=6.5,
                handlelength=1.2, borderaxespad=0.2)  # fmt: skip
    axes.set_title(spectrum["title"].iloc[0], loc="left", fontsize=7.5, pad=14)
    left, right = axes.get_xlim()
    taken: list[float] = []
    for _, row in features[features["name"] != ELSEWHERE].iterrows():
        # Names that would cover those of larger features are left out.
        place = (row["peak"] - left) / (right - left)
        size = 0.006 * len(row["name"]) + 0.02
        if not 0 <= place <= 1 or any(abs(place - other) < size + 0.03 for other in taken):
            continue
        taken.append(place)
        axes.annotate(row["name"], (place, 1.02), xycoords="axes fraction", ha="center",
                      fontsize=6, va="bottom", color=COLORS["model"])  # fmt: skip
        axes.plot([place, place], [0.96, 1.01], transform=axes.transAxes, lw=0.7,
                  color=COLORS["model"], clip_on=False)  # fmt: skip


def strip(axes: Axes, own: pd.DataFrame) -> None:
    """One map: what makes the outlier stranger upwards, what makes it less so downwards.

    Args:
        axes: Where to.
        own: The columns `uraniborg.spectra.attribution.maps.MAP_COLUMNS` of one map.
    """

    values, wavelength = own["attribution"].fillna(0), own["wavelength"].to_numpy()
    # The extremes of each bin are drawn, because peaks of one pixel would vanish.
    bins = np.linspace(0, _BINS, len(own), endpoint=False).astype(int)
    where = pd.Series(wavelength).groupby(bins).mean()
    values = pd.Series(values.to_numpy()).groupby(bins)
    axes.fill_between(where, values.max().clip(lower=0), color=COLORS["model"], lw=0, step="mid")
    axes.fill_between(where, values.min().clip(upper=0), color=COLORS["truth"], lw=0, step="mid")
    axes.set(ylim=(-1.05, 1.05) if values.min().min() < -0.5 else (-0.55, 1.05), yticks=[])
    axes.axhline(0, color="black", lw=0.3)
    axes.tick_params(labelbottom=False)


def _window(axes: Axes, spectrum: pd.DataFrame) -> None:
    """Shades the true window, no part of it too thin to be seen."""

    window, wavelength = spectrum["window"].to_numpy(), spectrum["wavelength"].to_numpy()
    edges = np.flatnonzero(np.diff(np.pad(window.astype(int), 1)))
    least = np.ptp(wavelength) / 700
    for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
        wider = max(0.0, least - (wavelength[last] - wavelength[first])) / 2
        axes.axvspan(wavelength[first] - wider, wavelength[last] + wider, color="#f5d48f", lw=0,
                     zorder=0)  # fmt: skip


def localisation(table: pd.DataFrame, detected: bool = True) -> Figure:
    """How much of each method's attribution is in the true window, and whether its largest is.

    Args:
        table: The columns `uraniborg.spectra.attribution.evaluation.LOCALISATION_COLUMNS`.
        detected: Only objects that the attributed score detects, or all.
    """

    table = table[table["detected"] == detected]
    methods = [name for name in dict.fromkeys(table["method"]) if name != TRUE_WINDOW]
    everything = np.isneginf(table["snr_low"]) & np.isposinf(table["snr_high"])
    known = table[everything & (table["n_window"] > 0)]
    order = ("local", *LOCAL_KINDS, "extended", *EXTENDED_KINDS, "whole")
    groups = [group for group in order if (known["group"] == group).any()]
    figure = Figure(figsize=(TWO_COLUMNS, 0.9 + 0.36 * max(len(groups), 4) + 0.11 * len(methods)))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    _by_group(left, known, groups, methods, "mass")
    _by_group(middle, known, groups, methods, "pointing")
    numbers = known.drop_duplicates("group").set_index("group")["n_window"]
    left.set_yticks(range(len(groups)), [f"{_name(name)} ({numbers[name]})" for name in groups])
    for label, name in zip(left.get_yticklabels(), groups, strict=True):
        label.set_weight("bold" if name in GROUPS else "normal")
    middle.set_yticks(range(len(groups)), [""] * len(groups))
    left.set(xscale="log", xlim=(_LEAST, 1.3), xlabel="attribution inside the window")
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    left.set_xticks([1e-3, 1e-2, 1e-1, 1], ["0.1%", "1%", "10%", "100%"])
    middle.set(xlim=(-0.03, 1.03), xlabel="largest one inside or next to it")
    middle.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _by_snr(right, table[(table["group"] == "local") & ~everything], methods)
    handles = [_handle(name) for name in methods]
    uniform = Line2D([], [], color="black", marker="|", ls="", ms=7, label="uniform (expected)")
    figure.legend(handles=[*handles, uniform], loc="outside upper center", ncols=4)
    return figure


def _by_group(
    axes: Axes, table: pd.DataFrame, groups: Sequence[str], methods: Sequence[str], measure: str
) -> None:
    place = {name: i for i, name in enumerate(groups)}
    for i, method in enumerate(methods):
        color, marker, _ = _look(method)
        here = table[(table["method"] == method) & table["group"].isin(groups)]
        y = here["group"].map(place).astype(float) + _offset(i, len(methods), 0.78)
        axes.errorbar(here[measure].clip(lower=_LEAST), y, xerr=here[f"{measure}_error"].fillna(0),
                      color=color, marker=marker, ms=3.2, ls="", elinewidth=0.6)  # fmt: skip
    one = table[table["method"] == methods[0]] if methods else table
    one = one[one["group"].isin(groups)]
    axes.plot(one[f"{measure}_uniform"], one["group"].map(place), "|", color="black", ms=22,
              mew=0.8, zorder=1)  # fmt: skip
    for name in groups[::2]:
        axes.axhspan(place[name] - 0.5, place[name] + 0.5, color="#f2f2f2", lw=0, zorder=0)
    axes.set_ylim(max(len(groups), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _by_snr(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Of local anomalies."""

    table = table[table["n_window"] > 0]
    bins = table.drop_duplicates("snr_low").sort_values("snr_low")
    place = {low: i for i, low in enumerate(bins["snr_low"])}
    for i, method in enumerate(methods):
        color, marker, line = _look(method)
        here = table[table["method"] == method].sort_values("snr_low")
        x = here["snr_low"].map(place).astype(float) + _offset(i, len(methods), 0.5)
        mass, error = here["mass"].clip(lower=_LEAST), here["mass_error"].fillna(0)
        axes.errorbar(x, mass, error, color=color, marker=marker, ms=3.2, ls=line, lw=0.8,
                      elinewidth=0.6)  # fmt: skip
    ticks = [
        f"{_interval(row.snr_low, row.snr_high)}\n({row.n_window})"
        for row in bins.itertuples(index=False)
    ]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlim=(-0.5, max(len(ticks), 1) - 0.5), yscale="log", xlabel="median S/N per pixel")
    axes.set_ylim(3e-3, 1.3)
    axes.set_yticks([1e-2, 1e-1, 1], ["1%", "10%", "100%"])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.plot(range(len(bins)), bins["mass_uniform"], "_", color="black", ms=22, zorder=1)
    axes.set_ylabel("attribution inside, local anomalies")


def perturbation(table: pd.DataFrame, detected: bool = True) -> Figure:
    """Mean deletion and insertion curves of every method, of all anomalies and of local ones.

    Args:
        table: The columns `uraniborg.spectra.attribution.evaluation.CURVE_COLUMNS`.
        detected: Only objects that the attributed score detects, or all.
    """

    table = table[table["detected"] == detected]
    methods = list(dict.fromkeys(table["method"]))
    groups = [group for group in ("all", "local") if (table["group"] == group).any()] or ["all"]
    figure = Figure(figsize=(TWO_COLUMNS, 0.7 + 2.1 * len(groups)))
    panels = figure.subplots(len(groups), 2, sharex=True, sharey=True, squeeze=False)
    for row, group in zip(panels, groups, strict=True):
        for axes, curve in zip(row, ("deletion", "insertion"), strict=True):
            here = table[(table["group"] == group) & (table["curve"] == curve)]
            number = int(here["n"].max()) if len(here) else 0
            for method in methods:
                _curve(axes, here[here["method"] == method], method, methods)
            axes.set_title(f"{curve}, {_name(group)} ({number})", loc="left", fontsize=7.5)
            # Equal steps on this axis are those at which the score was taken.
            axes.set_xscale("function", functions=(np.cbrt, lambda x: x**3))
            axes.set(xlim=(0, 1), ylim=(-0.02, 1.05))
            axes.xaxis.set_major_locator(FixedLocator([1e-3, 0.01, 0.05, 0.2, 0.5, 1]))
            axes.xaxis.set_minor_locator(FixedLocator([]))
            axes.set_xticklabels(["0.1%", "1%", "5%", "20%", "50%", "100%"])
        row[0].set_ylabel("score")
    panels[-1, 0].set_xlabel("pixels replaced by ordinary ones")
    panels[-1, 1].set_xlabel("pixels replaced by the outlier's")
    handles = [_handle(name) for name in methods]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, handlelength=2.8)
    return figure


def _curve(axes: Axes, table: pd.DataFrame, method: str, methods: Sequence[str]) -> None:
    color, _, line = _look(method)
    table = table.sort_values("fraction")
    first = method == methods[0]
    axes.plot(table["fraction"], table["score"], color=color, ls=line, lw=1.6 if first else 1.0,
              zorder=3 if first else 2)  # fmt: skip
    error = table["score_error"].fillna(0)
    axes.fill_between(table["fraction"], table["score"] - error, table["score"] + error,
                      color=color, alpha=0.15, lw=0)  # fmt: skip


def feature_shares(table: pd.DataFrame) -> Figure:
    """Which features make outliers: mean share of the attribution by feature and group.

    Args:
        table: The columns `uraniborg.spectra.attribution.features.SUMMARY_COLUMNS`.
    """

    groups = list(dict.fromkeys(table["group"]))
    if not groups:
        return _nothing()
    named = table[table["name"] != ELSEWHERE]
    # The largest of any group, by category and then by share.
    largest = named.groupby(["category", "name"])["share"].max().nlargest(_ROWS).reset_index()
    largest["order"] = largest["category"].map({name: i for i, name in enumerate(CATEGORIES)})
    largest = largest.sort_values(["order", "share"], ascending=[True, False])
    rows = [*largest[["category", "name"]].itertuples(index=False, name=None)]
    shares = np.zeros((len(rows) + 2, len(groups)))
    place = {row: i for i, row in enumerate(rows)} | {(ELSEWHERE, ELSEWHERE): len(rows) + 1}
    for each in table.itertuples():
        # What is in no row of its own is in that of others.
        row = place.get((each.category, each.name), len(rows))
        shares[row, groups.index(each.group)] += each.share
    figure = Figure(figsize=(min(TWO_COLUMNS, 2.2 + 0.42 * len(groups)), 1.2 + 0.19 * len(shares)))
    axes = figure.subplots()
    top = max(0.05, shares[:-1].max(initial=0.05))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.005:
            axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=6,
                      color="white" if share > 0.6 * top else "black")  # fmt: skip
    numbers = table.drop_duplicates("group").set_index("group")["n"]
    names = {"all": "all outliers", "": "unknown"}
    labels = [f"{names.get(name, _name(name))} ({numbers[name]})" for name in groups]
    axes.set_xticks(range(len(groups)), labels, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(shares)), [*(name for _, name in rows), "other features", "in none"])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    categories = [category for category, _ in rows]
    for i in range(1, len(shares)):
        if i >= len(rows) or categories[i] != categories[i - 1]:
            axes.axhline(i - 0.5, color="#888888", lw=0.6)
    axes.set_xlabel("mean share of the\npositive attribution [%]" if len(groups) < 5 else
                    "mean share of the positive attribution [%]")  # fmt: skip
    return figure


def _nothing() -> Figure:
    """For a survey of which no object can be explained."""

    figure = Figure(figsize=(ONE_COLUMN, 1.0))
    figure.text(0.5, 0.5, "no object has a score to explain", ha="center", va="center")
    return figure


def _look(method: str) -> tuple:
    """Colour, marker and line."""

    return (_LOOKS | _CONTROLS).get(method, _UNKNOWN)


def _handle(method: str) -> Line2D:
    color, marker, line = _look(method)
    return Line2D([], [], color=color, marker=marker, ls=line, ms=3.5, label=_method(method))


def _method(name: str) -> str:
    return _METHODS.get(name, name.replace("_", " "))


def _name(group: str) -> str:
    return _NAMES.get(group) or kind_name(group)


def _offset(i: int, number: int, width: float) -> float:
    return width * ((i + 0.5) / number - 0.5)


def _interval(low: float, high: float) -> str:
    if np.isneginf(low):
        return f"< {high:g}"
    return f"> {low:g}" if np.isposinf(high) else f"{low:g}–{high:g}"
