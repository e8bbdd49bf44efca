"""Figures of uncertainties held against the truth, and of the noise that a model leaves."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from uraniborg.figures.style import COLORS, FLUX_LABEL, ONE_COLUMN, TWO_COLUMNS

__all__ = ["noise_suppression", "uncertainties"]

_STYLES = {
    "latents": {"color": COLORS["model"], "ls": "-"},
    "continuum": {"color": COLORS["reference"], "ls": "-"},
    "lines": {"color": COLORS["truth"], "ls": "-"},
    "latents, inverse variances alone": {"color": COLORS["model"], "ls": ":"},
    "pixels, errors of the data": {"color": "black", "ls": "--"},
    "pixels, errors of others": {"color": "black", "ls": ":"},
}
# Rest-frame windows in Angstrom, of which the first that is covered is enlarged: from H alpha to
# [S II], or H beta and [O III].
_WINDOWS = ((6480.0, 6780.0), (4800.0, 5060.0))


def uncertainties(curves: pd.DataFrame, z: float, name: str) -> Figure:
    """Pulls, coverage against nominal and against S/N, and a spectrum with band and truth.

    Args:
        curves: The columns of `CURVE_COLUMNS` of `uraniborg.spectra.uncertainty_check`.
        z: Redshift of the spectrum.
        name: Its identifier.
    """

    figure = Figure(figsize=(TWO_COLUMNS, 4.9))
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.2, 1])
    pulls, coverage, by_snr = top.subplots(1, 3)
    _pulls(pulls, curves.query("panel == 'pulls'"))
    _coverage(coverage, curves.query("panel == 'coverage'"))
    _by_snr(by_snr, curves.query("panel == 'snr'"))
    handles, labels = coverage.get_legend_handles_labels()
    top.legend(handles, labels, loc="outside upper center", ncols=3)
    enlarged, whole = bottom.subplots(1, 2, width_ratios=[1, 1.4])
    spectrum = curves.query("panel == 'spectrum'").pivot_table(
        index="x", columns="series", values="y", dropna=False
    )
    _spectrum(enlarged, spectrum, z)
    _error(whole, spectrum, name)
    return figure


def _pulls(axes: Axes, curves: pd.DataFrame) -> None:
    x = np.linspace(-5, 5, 201)
    normal = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    axes.fill_between(x, normal, color=COLORS["data"], alpha=0.4, lw=0)
    for series, curve in curves.groupby("series", sort=False):
        axes.step(curve["x"], curve["y"], where="mid", lw=0.9, **_STYLES[series])
    axes.set(xlim=(-5, 5), ylim=(1e-3, 0.7), yscale="log")
    axes.set_xlabel("error / its standard deviation")
    axes.set_ylabel("density")
    axes.annotate(
        "grey: unit\nnormal", (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=6
    )


def _coverage(axes: Axes, curves: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=COLORS["data"], lw=2.5, alpha=0.5)
    for series, curve in curves.groupby("series", sort=False):
        marker = "o" if _STYLES[series]["ls"] == "-" else None
        label = series if marker else f"{series} (control)"
        axes.plot(curve["x"], curve["y"], marker=marker, ms=2, label=label, **_STYLES[series])
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("nominal coverage")
    axes.set_ylabel("errors within the interval")


def _by_snr(axes: Axes, curves: pd.DataFrame) -> None:
    axes.axhspan(0.60, 0.76, color=COLORS["data"], alpha=0.3, lw=0)
    axes.axhline(0.68, color=COLORS["data"], lw=0.6)
    for series, curve in curves.groupby("series", sort=False):
        marker = "o" if _STYLES[series]["ls"] == "-" else None
        axes.plot(curve["x"], curve["y"], marker=marker, ms=2, **_STYLES[series])
    axes.set(ylim=(0.3, 1.02), xscale="log")
    _plain_ticks(axes)
    axes.set_xlabel("median S/N per pixel")
    axes.set_ylabel("errors within 68% intervals")


def _spectrum(axes: Axes, spectrum: pd.DataFrame, z: float) -> None:
    emitted = spectrum.index.to_numpy() / (1 + z)
    covered = emitted[np.isfinite(spectrum["flux"])]
    low, high = next((w for w in _WINDOWS if w[1] < covered[-1]), _WINDOWS[-1])
    part = spectrum[(emitted > low) & (emitted < high)]
    axes.plot(part.index, part["flux"], color=COLORS["data"], lw=0.5, label="data")
    axes.plot(part.index, part["truth"], color=COLORS["truth"], lw=1.2, label="truth")
    axes.plot(part.index, part["model"], color=COLORS["model"], lw=0.7, label="model, 1σ and 2σ")
    for width in (1, 2):
        low, high = (part["model"] + sign * width * part["sigma"] for sign in (-1, 1))
        axes.fill_between(part.index, low, high, color=COLORS["model"], alpha=0.25, lw=0)
    # Room for the legend above the data.
    lowest, highest = np.nanmin(part["flux"]), np.nanmax(part["flux"])
    axes.set_ylim(lowest - 0.05 * (highest - lowest), highest + 0.45 * (highest - lowest))
    axes.set_xlim(part.index[0], part.index[-1])
    axes.set_xlabel("observed vacuum wavelength [Å]")
    axes.set_ylabel(FLUX_LABEL, fontsize=7)
    axes.legend(loc="upper left", fontsize=6)


def _error(axes: Axes, spectrum: pd.DataFrame, name: str) -> None:
    wavelength, sigma = spectrum.index, spectrum["sigma"]
    noise = spectrum["noise"].rolling(25, center=True, min_periods=1).median()
    axes.plot(wavelength, noise, color=COLORS["data"], lw=0.8, label="±1σ of the data")
    axes.plot(wavelength, -noise, color=COLORS["data"], lw=0.8)
    for width in (1, 2):
        label = "±1σ, ±2σ of the model" if width == 1 else None
        low, high = -width * sigma, width * sigma
        axes.fill_between(
            wavelength, low, high, color=COLORS["model"], alpha=0.25, lw=0, label=label
        )
    error = spectrum["model"] - spectrum["truth"]
    axes.plot(wavelength, error, color=COLORS["truth"], lw=0.5, label="model − truth")
    limit = 2.2 * np.nanquantile(noise, 0.5)
    good = wavelength[np.isfinite(sigma)]
    axes.set(ylim=(-limit, limit), xlim=(good[0], good[-1]))
    axes.set_xlabel("observed vacuum wavelength [Å]")
    axes.set_ylabel(FLUX_LABEL, fontsize=7)
    axes.set_title(f"{name}  at the sample's median S/N", fontsize=7, loc="left", pad=3)
    axes.legend(loc="upper right", fontsize=6, ncols=3, columnspacing=1)


def noise_suppression(suppression: pd.DataFrame, limit: float | None = None) -> Figure:
    """What is left of the noise against S/N, with principal components and expectations beside.

    Args:
        suppression: The columns of `SUPPRESSION_COLUMNS` of `uraniborg.spectra.uncertainty_check`.
        limit: Largest value at the median S/N that meets the claim.
    """

    figure = Figure(figsize=(ONE_COLUMN, 3.3))
    axes = figure.subplots()
    snr = suppression["snr"].to_numpy()
    axes.plot(snr, suppression["model"], ".", ms=1.5, color=COLORS["data"], rasterized=True)
    curves = {
        "principal_components": ("weighted PCA", COLORS["reference"], "s-"),
        "model": ("model", COLORS["model"], "o-"),
        "predicted": ("predicted by the errors", COLORS["line"], "--"),
        "incoherent": (r"$\sqrt{\mathrm{parameters/pixels}}$", "black", ":"),
    }
    bins = np.array_split(np.argsort(snr, kind="stable"), min(8, len(snr)))
    for column, (label, color, marks) in curves.items():
        medians = [suppression.iloc[rows][["snr", column]].median() for rows in bins]
        axes.plot(*np.transpose(medians), marks, ms=3, color=color, label=label)
    axes.axvline(np.median(snr), color=COLORS["data"], lw=0.6, ls="-.", zorder=0)
    axes.annotate(
        "median S/N",
        (np.median(snr), 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        fontsize=6,
        ha="right",
        va="bottom",
    )
    if limit is not None:
        axes.plot(
            np.median(snr) * np.array([0.75, 1.33]),
            [limit, limit],
            color=COLORS["truth"],
            lw=1.5,
            label="limit of the claim",
        )
    axes.set(xscale="log", yscale="log", ylim=(0.03, 3))
    axes.set_xlim(np.quantile(snr, 0.005), np.quantile(snr, 0.998))
    _plain_ticks(axes)
    axes.set_xlabel("median S/N per pixel")
    axes.set_ylabel("rms(model − truth) / rms(noise)")
    axes.legend(loc="upper left", fontsize=6, ncols=2, columnspacing=1)
    return figure


def _plain_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
