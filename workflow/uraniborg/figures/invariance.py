"""Figures of latents that ought not to depend on redshift."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, withStroke

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["redshift_invariance", "redshift_track"]

# Colour and marker of variants in their order (Okabe & Ito 2008).
_STYLES = (
    (COLORS["truth"], "s"),
    ("#e69f00", "^"),
    ("#cc79a7", "v"),
    (COLORS["model"], "o"),
    (COLORS["line"], "D"),
    (COLORS["reference"], "P"),
    ("#8c6d00", "X"),
    ("#000000", "*"),
)
_CONTROL = "#555555"
# Label and line of controls.
_CONTROLS = {"untrained": ("{}, untrained", "-."), "shuffled": ("another object", ":")}
_COLOR_MAP = "viridis"


def redshift_invariance(displacements: pd.DataFrame, wrong_redshifts: pd.DataFrame) -> Figure:
    """How far latents move with redshift, and when the given redshift is wrong.

    Encoders that are not given the redshift have a panel of their own. Those that know it are also
    in the panel of wrong redshifts, on the same axis. There is no panel without encoders.

    Args:
        displacements: The columns of `invariance_check.DISPLACEMENT_COLUMNS`.
        wrong_redshifts: Those of `WRONG_REDSHIFT_COLUMNS`.
    """

    styles = dict(zip(displacements["variant"].unique(), _cycled(), strict=False))
    knows_z = displacements["knows_z"].astype(bool)
    kinds = {
        "encoders without $z$": displacements[~knows_z],
        "encoders that know $z$": displacements[knows_z],
    }
    kinds = {title: table for title, table in kinds.items() if len(table)}
    figure = Figure(figsize=(TWO_COLUMNS, 3.3))
    panels = figure.subplots(1, len(kinds) + (not wrong_redshifts.empty), squeeze=False)[0]
    for axes, (title, table) in zip(panels, kinds.items(), strict=False):
        for (name, case), curve in table.groupby(["variant", "case"], sort=False):
            _curve(axes, curve, "z", name, case, styles[name])
        axes.set(title=title, xlabel="moved to $z$")
        _limits_of_medians([axes], table["median"])
    handles, labels = _legend(panels[: len(kinds)])
    if (displacements["case"] == "reobserved").any():
        handles.append(Line2D([], [], color=_CONTROL, ls="--"))
        labels.append("noise stays at the detector")
    if not wrong_redshifts.empty:
        last = panels[-1]
        for name, curve in wrong_redshifts.groupby("variant", sort=False):
            _curve(last, curve, "error", name, "wrong", styles[name])
        last.set(title="given a wrong $z$", xlabel=r"$|\Delta z|/(1+z)$", xscale="log")
        # The same axis as that of the moves of these encoders.
        shared = pd.concat([wrong_redshifts["median"], kinds[title]["median"]])
        _limits_of_medians(panels[-2:], shared)
        last.tick_params(labelleft=False)
    for axes in panels:
        axes.axhline(1, color="black", lw=0.6)
    panels[0].set_ylabel("latent moved / distance to\nthe tenth neighbour, $d_{10}$")
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
    return figure


def _cycled() -> list[tuple[str, str]]:
    return [*_STYLES] * 3


def _legend(panels: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """What the panels have in their legends."""

    handles, labels = [], []
    for axes in panels:
        for entries, more in zip((handles, labels), axes.get_legend_handles_labels(), strict=True):
            entries += more
    return handles, labels


def _limits_of_medians(panels: Iterable[Axes], median: pd.Series) -> None:
    """Room for the medians is enough: single objects hardly move, or very far."""

    moving = median[median > 0]
    for axes in panels:
        axes.set_yscale("log")
        if len(moving):
            axes.set_ylim(0.6 * moving.min(), 2 * max(1, moving.max()))


def _curve(
    axes: Axes, curve: pd.DataFrame, x: str, name: str, case: str, style: tuple[str, str]
) -> None:
    color, marker = style
    if case in _CONTROLS:
        label, line = _CONTROLS[case]
        label = label.format(_words(name))
        axes.plot(curve[x], curve["median"], color=_CONTROL, ls=line, lw=1.1, label=label)
    elif case == "reobserved":
        axes.plot(curve[x], curve["median"], color=color, ls="--")
    elif case == "estimated":
        settings = {"ls": "", "marker": "*", "ms": 6, "mfc": "white", "mew": 0.7, "color": color}
        label = f"{_words(name)}, $z$ estimated"
        axes.plot(curve[x], curve["median"], label=label, **settings)
    else:
        settings = {"marker": marker, "ms": 3, "ls": "-", "color": color}
        axes.plot(curve[x], curve["median"], label=_words(name), **settings)
        axes.fill_between(curve[x], curve["low"], curve["high"], color=color, alpha=0.1, lw=0)


def redshift_track(positions: pd.DataFrame, probes: pd.DataFrame) -> Figure:
    """Latent spaces of two variants coloured by redshift, with galaxies moved through them.

    Args:
        positions: The columns of `invariance_check.POSITION_COLUMNS`.
        probes: Those of `REDSHIFT_PROBE_COLUMNS`.
    """

    names = positions["variant"].unique()
    figure = Figure(figsize=(TWO_COLUMNS, 5.6))
    panels = figure.subplots(2, len(names), sharex="col", sharey="col", squeeze=False)
    scale = Normalize(0, positions["z"].max())
    for column, name in zip(panels.T, names, strict=True):
        here = positions[positions["variant"] == name]
        r2 = probes[probes["variant"] == name].groupby("sample")["r2"].max()
        for axes, sample in zip(column, ("observed", "moved"), strict=True):
            cloud = here[here["sample"] == sample]
            points = axes.scatter(cloud["axis_0"], cloud["axis_1"], c=cloud["z"], s=4, lw=0,
                                  cmap=_COLOR_MAP, norm=scale, rasterized=True)  # fmt: skip
            text = f"$z$ from latents: $R^2 = {r2[sample]:.2f}$"
            paper = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
            axes.annotate(text, (0.03, 0.03), xycoords="axes fraction", fontsize=7, bbox=paper)
        _tracks(column[0], here[here["sample"] == "track"], scale)
        _limits(column[0], here)
        column[0].set_title(_words(name))
        column[1].set_xlabel("first principal axis [$d_{10}$]")
    for axes, text in zip(panels[:, 0], ("as observed", "moved to random $z$"), strict=True):
        axes.set_ylabel(f"{text}\nsecond principal axis [$d_{{10}}$]")
    figure.colorbar(points, ax=panels, label="redshift of the spectrum", aspect=40)
    return figure


def _words(variant: str) -> str:
    return variant.replace("_", " ")


def _tracks(axes: Axes, tracks: pd.DataFrame, scale: Normalize) -> None:
    outline = [withStroke(linewidth=3.2, foreground="black"), Normal()]
    for _, track in tracks.groupby("object_id"):
        way = track.sort_values("z")[["axis_0", "axis_1", "z"]].to_numpy()
        pieces = np.stack([way[:-1, :2], way[1:, :2]], axis=1)
        lines = LineCollection(pieces, cmap=_COLOR_MAP, norm=scale, lw=1.8, capstyle="round")
        lines.set_array(way[:-1, 2])
        lines.set_path_effects(outline)
        axes.add_collection(lines)
        axes.plot(*way[0, :2], "o", ms=5, mfc="white", mec="black", mew=0.8)


def _limits(axes: Axes, positions: pd.DataFrame) -> None:
    """Most of the cloud and all of the tracks: single objects far off would hide the others."""

    tracks = positions[positions["sample"] == "track"]
    for name, set_limits in (("axis_0", axes.set_xlim), ("axis_1", axes.set_ylim)):
        low, high = np.percentile(positions[name], [1, 99])
        low, high = min(low, *tracks[name]), max(high, *tracks[name])
        margin = 0.08 * (high - low)
        set_limits(low - 1.5 * margin, high + margin)
