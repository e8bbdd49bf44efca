"""Figures that hold the simulated sky against independent codes and real data."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from uraniborg.figures.style import COLORS, TWO_COLUMNS

__all__ = ["dusty_photometry", "k_corrections", "sky_noise", "stellar_populations"]


def sky_noise(table: pd.DataFrame) -> Figure:
    """Statistics of the noise of real and simulated sky fibres.

    Args:
        table: The columns of `uraniborg.instruments.noise_check.CHECK_COLUMNS`.
    """

    labels = {
        "sigma": "median $\\sigma$\n[$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]",
        "std": r"standard deviation of $\chi$",
        "q99.7": r"99.7% quantile of $|\chi|$",
        "lag1": r"autocorrelation of $\chi$ at lag 1",
    }
    figure = Figure(figsize=(TWO_COLUMNS, 3.6))
    panels = figure.subplots(2, 2, sharex=True).flat
    table = table[table["lines"] != "both"]
    regions = ["blue", "green", "red"]
    for axes, (statistic, label) in zip(panels, labels.items(), strict=True):
        for lines, offset in (("off", -0.12), ("on", 0.12)):
            rows = table[(table["statistic"] == statistic) & (table["lines"] == lines)]
            rows = rows.set_index("region").loc[regions]
            x = np.arange(len(regions)) + offset
            filled = {"mfc": None if lines == "on" else "white"}
            axes.errorbar(
                x,
                rows["real"],
                rows["error"],
                fmt="o",
                ms=4,
                color=COLORS["truth"],
                label=f"real, {lines} sky lines",
                **filled,
            )
            axes.plot(
                x + 0.06,
                rows["simulated"],
                "x" if lines == "off" else "P",
                ms=5,
                color=COLORS["model"],
                label=f"simulated, {lines} sky lines",
            )
        axes.set_ylabel(label, fontsize=7)
        axes.set_xticks(range(len(regions)), regions)
        axes.set_xlim(-0.5, len(regions) - 0.5)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = sorted(handles)
    figure.legend([handles[label] for label in labels], labels, loc="outside upper center", ncols=4)
    figure.supxlabel("third of the wavelength range", fontsize=8)
    return figure


def stellar_populations(differences: pd.DataFrame, examples: pd.DataFrame) -> Figure:
    """Composite spectra of ours and of bagpipes, and how much they differ.

    Args:
        differences: The columns of `uraniborg.universe.comparison.DIFFERENCE_COLUMNS`.
        examples: The columns of `uraniborg.universe.comparison.EXAMPLE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 3.4))
    grid = figure.add_gridspec(2, 2, width_ratios=[3, 2], height_ratios=[3, 1])
    spectra = figure.add_subplot(grid[0, 0])
    residual = figure.add_subplot(grid[1, 0], sharex=spectra)
    bands = figure.add_subplot(grid[:, 1])
    for number, (_, example) in enumerate(examples.groupby("galaxy")):
        wavelength = example["wavelength"]
        scale = example["bagpipes"].median() / 3**number
        labels = {"bagpipes": "bagpipes", "ours": "Uraniborg"} if number == 0 else {}
        spectra.plot(
            wavelength,
            example["bagpipes"] / scale,
            color=COLORS["truth"],
            lw=1.4,
            label=labels.get("bagpipes"),
        )
        spectra.plot(
            wavelength,
            example["ours"] / scale,
            color=COLORS["model"],
            lw=0.5,
            label=labels.get("ours"),
        )
        difference = 100 * (example["ours"] / example["bagpipes"] - 1)
        residual.plot(wavelength, difference, color=COLORS["data"], lw=0.4)
    spectra.set(yscale="log", ylim=(0.15, 600))
    spectra.set_ylabel(r"$L_\lambda$ [arbitrary, offset]")
    spectra.tick_params(labelbottom=False)
    spectra.legend(loc="upper right", ncols=2)
    residual.axhline(0, color=COLORS["model"], lw=0.6)
    residual.set(ylim=(-5, 5))
    residual.set_xlabel("wavelength in air [Å]")
    residual.set_ylabel("difference [%]")

    names = ["spectrum", *(c for c in differences.columns if c in _BANDS)]
    values = [100 * differences[name].abs() for name in names]
    bands.boxplot(
        values,
        orientation="horizontal",
        tick_labels=["3500–9000 Å", *names[1:]],
        whis=(5, 95),
        showfliers=False,
        medianprops={"color": COLORS["model"]},
    )
    bands.axvline(1, color=COLORS["reference"], lw=0.8, ls="--", label="criterion, spectrum")
    bands.axvline(2, color=COLORS["reference"], lw=0.8, ls=":", label="criterion, bands")
    bands.set(xscale="log", xlim=(0.01, 5))
    bands.invert_yaxis()
    bands.set_xlabel("|Uraniborg / bagpipes − 1| [%]")
    bands.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=6)
    return figure


_BANDS = ("u", "g", "r", "i", "z", "J", "H", "K", "W1")


def dusty_photometry(differences: pd.DataFrame) -> Figure:
    """Magnitudes of galaxies with dust, nebulae and redshift less those of bagpipes.

    Args:
        differences: The columns of `uraniborg.universe.comparison.PHOTOMETRY_DIFFERENCE_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 4.6))
    panels = figure.subplots(5, 2, sharex="col", sharey=True)
    abscissae = {"A_V": "$A_V$ [mag]", "z": "redshift"}
    for row, band in zip(panels, "ugriz", strict=True):
        points = differences[differences["band"] == band]
        shown = points["difference"].clip(-0.97 * _SHOWN, 0.97 * _SHOWN)
        for axes, x in zip(row, abscissae, strict=True):
            axes.axhspan(-0.03, 0.03, color=COLORS["reference"], alpha=0.15, lw=0)
            axes.axhline(0, color=COLORS["truth"], lw=0.6)
            axes.plot(points[x], shown, ".", ms=3, color=COLORS["model"])
        row[0].set_ylabel(f"$\\Delta {band}$ [mag]")
        median = points["difference"].abs().median()
        text = f"median $|\\Delta {band}|$ = {1000 * median:.1f} mmag"
        row[1].text(0.98, 0.93, text, transform=row[1].transAxes, ha="right", va="top", fontsize=7)
    panels[0, 0].set_ylim(-_SHOWN, _SHOWN)
    for axes, label in zip(panels[-1], abscissae.values(), strict=True):
        axes.set_xlabel(label)
    figure.supylabel("Uraniborg − bagpipes", fontsize=8)
    return figure


def k_corrections(corrections: pd.DataFrame) -> Figure:
    """K-corrections of spectra and those that kcorrect infers from their photometry.

    Args:
        corrections: The columns of `uraniborg.universe.kcorrections.CORRECTION_COLUMNS`.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 3.0))
    grid = figure.add_gridspec(2, 5, height_ratios=[3, 2])
    corrections = corrections[corrections["band_shift"] == 0]
    upper = lower = None
    for column, band in enumerate("ugriz"):
        upper = figure.add_subplot(grid[0, column], sharey=upper)
        lower = figure.add_subplot(grid[1, column], sharex=upper, sharey=lower)
        points = corrections[corrections["band"] == band]
        for name, color, label in (
            ("kcorrect", COLORS["truth"], "kcorrect"),
            ("exact", COLORS["model"], "Uraniborg"),
        ):
            upper.plot(points["z"], points[name], ".", ms=1.5, color=color, label=label)
        upper.text(0.06, 0.93, f"${band}$", transform=upper.transAxes, va="top")
        upper.tick_params(labelbottom=False, labelleft=column == 0)
        difference = points["exact"] - points["kcorrect"]
        if band in "gri":
            lower.axhspan(-0.05, 0.05, color=COLORS["reference"], alpha=0.15, lw=0)
        lower.axhline(0, color=COLORS["truth"], lw=0.6)
        shown = difference.clip(-0.97 * _SHOWN_K, 0.97 * _SHOWN_K)
        lower.plot(points["z"], shown, ".", ms=1.5, color=COLORS["model"])
        scatter = 1.4826 * (difference - difference.median()).abs().median()
        text = f"$\\sigma$ = {scatter:.3f}"
        lower.text(0.94, 0.95, text, transform=lower.transAxes, ha="right", va="top", fontsize=7)
        lower.tick_params(labelleft=column == 0)
        lower.set_ylim(-_SHOWN_K, _SHOWN_K)
        if column == 0:
            upper.set_ylabel("K-correction [mag]")
            lower.set_ylabel("difference [mag]")
    handles, labels = upper.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, markerscale=4)
    figure.supxlabel("redshift", fontsize=8)
    return figure


_SHOWN, _SHOWN_K = 0.06, 0.2
"""Largest differences in mag within the frames of figures; larger ones are drawn at the edge."""
