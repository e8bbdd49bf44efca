"""Figures of our models beside their peers."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from uraniborg.figures.style import COLORS, ONE_COLUMN
from uraniborg.spectra.peer_training import PEER, compare_trainings

__all__ = ["peer_training"]

_SIDES = {
    PEER: ("spender 0.3", COLORS["data"], "-"),
    "spender_longer": ("spender 0.3, longer", COLORS["data"], "--"),
    "flux": ("ours, flux alone", COLORS["model"], "-"),
    "flux_weighted": ("ours, flux and ivar", COLORS["line"], "--"),
}
_BASELINES = {
    "pca": ("weighted PCA, redshift known", COLORS["reference"], "--"),
    "truth": ("noiseless truth", COLORS["truth"], ":"),
}


def peer_training(trainings: pd.DataFrame) -> Figure:
    """Test loss against CPU time of the peer and ours, a line per seed.

    Args:
        trainings: The columns of `uraniborg.spectra.peer_training.TRAINING_COLUMNS`.
    """

    figure = Figure(figsize=(ONE_COLUMN, 3.1))
    axes = figure.subplots()
    for side, (label, color, dashes) in _SIDES.items():
        rows = trainings[trainings["side"] == side].sort_values("epoch")
        for i, (_, run) in enumerate(rows.groupby("seed")):
            axes.plot(
                run["cpu_time"],
                run["test_loss"],
                color=color,
                ls=dashes,
                label=None if i else label,
            )
    for side, (label, color, dashes) in _BASELINES.items():
        for loss in trainings.loc[trainings["side"] == side, "test_loss"]:
            axes.axhline(loss, color=color, ls=dashes, label=label)
    comparison = compare_trainings(trainings)
    axes.plot(
        [comparison.time, comparison.peer_time],
        [comparison.level] * 2,
        color="black",
        lw=0.6,
        marker="|",
    )
    axes.annotate(
        f"× {comparison.peer_time / comparison.time:.0f}",
        ((comparison.time * comparison.peer_time) ** 0.5, comparison.level),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=7,
    )
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("CPU time [s]")
    axes.set_ylabel("test loss per pixel")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
