"""What many galaxies have in common that a model lacks: stacks of residuals, and their features."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.ndimage import uniform_filter1d

from uraniborg.spectra.lines import Line, name_of
from uraniborg.tables import Column

__all__ = ["FEATURE_COLUMNS", "Stack", "coherent_features", "smoothed", "stack"]

FEATURE_COLUMNS = (
    Column("frame", pa.string(), "", "restframe or observed"),
    Column("scale", pa.string(), "", "narrow (5 pixels, less its surroundings) or broad (201)"),
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength in this frame"),
    Column("name", pa.string(), "", "Line or band within reach, empty if there is none"),
    Column("residual", pa.float64(), "", "Mean of (data - model) / error over galaxies"),
    Column("significance", pa.float64(), "", "The same over its bootstrap error"),
    Column("relative", pa.float64(), "%", "Mean of (data - model) / model"),
    Column("galaxies", pa.int64(), "", "Galaxies that contribute"),
)
"""Columns of the table of `coherent_features`."""

LARGEST = 10.0
"""Residuals are clipped at so many errors: no single galaxy shall make a feature."""

_REACH = 0.002
"""Largest distance of a feature from the line it is named after, as a fraction of wavelength."""

NARROW, BROAD = 5, 201
"""Pixels over which residuals are averaged: a line, and what surrounds it."""


class Stack(NamedTuple):
    """A mean over galaxies in each of P pixels.

    Attributes:
        mean: Shape (P,); NaN where there is no galaxy.
        error: Its standard error by bootstrap over galaxies, shape (P,).
        galaxies: How many contribute, shape (P,).
    """

    mean: np.ndarray
    error: np.ndarray
    galaxies: np.ndarray


def smoothed(values: np.ndarray, good: np.ndarray, scale: str) -> np.ndarray:
    """Averages over good pixels at a scale, shape (N, P).

    Args:
        values: Shape (N, P).
        good: Pixels that count, shape (N, P).
        scale: `narrow` averages 5 pixels and subtracts the average of 201, `broad` is the latter.
    """

    broad = _average(values, good, BROAD)
    return broad if scale == "broad" else _average(values, good, NARROW) - broad


def _average(values: np.ndarray, good: np.ndarray, pixels: int) -> np.ndarray:
    weight = uniform_filter1d(good.astype(float), pixels, axis=1, mode="constant")
    total = uniform_filter1d(np.where(good, values, 0.0), pixels, axis=1, mode="constant")
    return total / np.maximum(weight, 0.5 / pixels)


def stack(
    values: np.ndarray, good: np.ndarray, galaxies: np.ndarray, draws: int = 400, seed: int = 1
) -> Stack:
    """The mean over galaxies, each of them the mean over its spectra.

    Args:
        values: Of each spectrum, shape (N, P).
        good: Pixels that count, shape (N, P).
        galaxies: Which galaxy each spectrum is of, shape (N,).
        draws: Bootstrap samples of galaxies.
        seed: Of the samples.
    """

    member = (galaxies == np.unique(galaxies)[:, None]).astype(float)
    seen = member @ good
    mean = member @ np.where(good, values, 0.0) / np.maximum(seen, 1)
    seen = (seen > 0).astype(float)
    number = len(member)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(number, np.full(number, 1 / number), size=draws).astype(float)
    totals = counts @ seen
    samples = np.where(totals > 0, counts @ (mean * seen) / np.maximum(totals, 1), np.nan)
    total = seen.sum(0)
    with np.errstate(invalid="ignore"):
        average = (mean * seen).sum(0) / np.where(total > 0, total, np.nan)
    return Stack(average, _spread(samples), total.astype(int))


def _spread(samples: np.ndarray) -> np.ndarray:
    """Standard deviation over samples that are not NaN, NaN where there are none."""

    count = np.isfinite(samples).sum(0)
    values = np.where(np.isfinite(samples), samples, 0.0)
    mean = values.sum(0) / np.maximum(count, 1)
    square = (values**2).sum(0) / np.maximum(count, 1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.where(count > 1, spread, np.nan)


def coherent_features(
    frame: str,
    wavelength: np.ndarray,
    chi: np.ndarray,
    relative: np.ndarray,
    good: np.ndarray,
    galaxies: np.ndarray,
    lines: tuple[Line, ...],
    count: int = 12,
    threshold: float = 4.0,
) -> pd.DataFrame:
    """The largest residuals that galaxies have in common, narrow ones and broad ones.

    Args:
        frame: What the table calls it.
        wavelength: In Angstrom, shape (P,).
        chi: (data - model) / error of each spectrum, shape (N, P).
        relative: (data - model) / model of each, shape (N, P).
        good: Pixels that count, shape (N, P).
        galaxies: Which galaxy each spectrum is of, shape (N,).
        lines: What narrow features may be named.
        count: Features of each scale at most.
        threshold: Smallest significance.

    Returns:
        The columns of `FEATURE_COLUMNS`, largest residual first.
    """

    rows = []
    clipped = np.clip(chi, -LARGEST, LARGEST)
    enough = len(np.unique(galaxies)) // 2
    for scale, apart, named in (("narrow", 0.005, lines), ("broad", 0.04, ())):
        values = stack(smoothed(clipped, good, scale), good, galaxies)
        fraction = stack(smoothed(relative, good, scale), good, galaxies).mean
        significance = values.mean / np.where(values.error > 0, values.error, np.nan)
        passing = (np.abs(significance) >= threshold) & (values.galaxies >= enough)
        free = passing.copy()
        chosen: list[int] = []
        for pixel in np.argsort(-np.abs(np.nan_to_num(values.mean)), kind="stable"):
            if free[pixel] and len(chosen) < count:
                chosen.append(int(pixel))
                free &= np.abs(wavelength / wavelength[pixel] - 1) > apart
        rows += [
            {
                "frame": frame,
                "scale": scale,
                "wavelength": wavelength[pixel],
                "name": name_of(wavelength[pixel], named, _REACH),
                "residual": values.mean[pixel],
                "significance": significance[pixel],
                "relative": 100 * fraction[pixel],
                "galaxies": values.galaxies[pixel],
            }
            for pixel in chosen
        ]
    return pd.DataFrame(rows, columns=[column.name for column in FEATURE_COLUMNS])
