"""Figures of the instruments: what the simulated telescopes can do."""

import pandas as pd
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, ONE_COLUMN

__all__ = ["spectrographs"]

_SPECTROGRAPHS = {
    "desi": ("DESI (bright)", COLORS["truth"]),
    "sdss": ("SDSS", COLORS["data"]),
    "boss": ("BOSS", COLORS["model"]),
}


def spectrographs(table: pd.DataFrame) -> Figure:
    """Noise of an empty fibre and resolving power of the spectrographs, by wavelength.

    Args:
        table: The columns of `uraniborg.instruments.spectrograph_curves.CURVE_COLUMNS`.
    """

    figure = Figure(figsize=(ONE_COLUMN, 3.8))
    noise, resolution = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for name, (label, color) in _SPECTROGRAPHS.items():
        rows = table[table["instrument"] == name]
        if rows.empty:
            continue
        noise.plot(rows["wavelength"], rows["sigma"], color=color, lw=0.5, label=label)
        resolution.plot(rows["wavelength"], rows["resolution"], color=color)
    noise.set(yscale="log", ylim=(0.1, 20))
    noise.set_ylabel(
        "$\\sigma$ of 1 Å of an empty fibre\n[$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]"
    )
    for line in noise.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3).get_lines():
        line.set_linewidth(1.5)
    resolution.set_ylabel("resolving power")
    resolution.set_xlabel("observed wavelength in vacuum [Å]")
    resolution.set_ylim(0)
    figure.align_ylabels()
    return figure
