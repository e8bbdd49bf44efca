"""The [O II] doublet: two Gaussians fitted to spectra, and its signal-to-noise ratio in data."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from uraniborg.grids import WavelengthGrid

__all__ = ["OII", "Doublet", "fit_doublet", "has_two_peaks", "line_signal_to_noise"]

OII = (3727.09, 3729.87)
"""Rest-frame vacuum wavelengths in Angstrom."""

_C = 299792.458
# Angstrom: what is fitted, and where the continuum beside it is measured.
_WINDOW = (3712.0, 3745.0)
_LINE, _SIDES = (3717.0, 3740.0), ((3690.0, 3712.0), (3745.0, 3767.0))


class Doublet(NamedTuple):
    """Two Gaussians of one width on a straight continuum.

    Attributes:
        separation: Distance of their centres in Angstrom.
        ratio: Flux of the bluer over that of the redder.
        flux: Sum of their fluxes, in units of the spectrum times Angstrom.
        dispersion: Their standard deviation in km/s.
    """

    separation: float
    ratio: float
    flux: float
    dispersion: float


def fit_doublet(wavelength: np.ndarray, flux: np.ndarray) -> Doublet:
    """Least squares with free centres, width and fluxes; the continuum is free as well.

    Args:
        wavelength: Rest-frame wavelengths of pixels in Angstrom, shape (M,).
        flux: Mean flux densities, shape (M,).

    Returns:
        NaN throughout if either line is fitted with no flux.
    """

    near = (wavelength > _WINDOW[0]) & (wavelength < _WINDOW[1])
    x, y = wavelength[near], flux[near] / np.abs(flux[near]).max()
    middle = np.sqrt(x[1:] * x[:-1])
    edges = np.r_[2 * x[0] - middle[0], middle, 2 * x[-1] - middle[-1]]
    width = np.diff(edges)

    def components(p: np.ndarray) -> np.ndarray:
        centres = p[0] + p[1] * np.array([-0.5, 0.5])
        cumulative = ndtr((edges[:, None] - centres) / p[2])
        straight = np.stack([np.ones_like(x), (x - p[0]) / 10], axis=1)
        return np.concatenate([np.diff(cumulative, axis=0) / width[:, None], straight], axis=1)

    def amplitudes(p: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(components(p), y, rcond=None)[0]

    def residual(p: np.ndarray) -> np.ndarray:
        return components(p) @ amplitudes(p) - y

    centre, distance = sum(OII) / 2, OII[1] - OII[0]
    fits = [
        least_squares(
            residual,
            (centre, distance, sigma),
            bounds=((centre - 2, 0.5, 0.2), (centre + 2, 8, 6)),
        )
        for sigma in (0.8, 2.0)
    ]
    best = min(fits, key=lambda fit: fit.cost)
    blue, red = amplitudes(best.x)[:2]
    if blue <= 0 or red <= 0:
        return Doublet(np.nan, np.nan, np.nan, np.nan)
    scale = np.abs(flux[near]).max()
    return Doublet(best.x[1], blue / red, (blue + red) * scale, best.x[2] / best.x[0] * _C)


def has_two_peaks(wavelength: np.ndarray, flux: np.ndarray) -> bool:
    """Whether there is a minimum between the two lines.

    Args:
        wavelength: Rest-frame wavelengths of pixels in Angstrom, shape (M,).
        flux: Mean flux densities, shape (M,).
    """

    y = flux[(wavelength > OII[0] - 1) & (wavelength < OII[1] + 1)]
    lowest = 1 + int(np.argmin(y[1:-1])) if len(y) > 2 else 0
    return bool(y[:lowest].max(initial=-np.inf) > y[lowest] < y[lowest + 1 :].max(initial=-np.inf))


def line_signal_to_noise(
    flux: np.ndarray, ivar: np.ndarray, z: np.ndarray, grid: WavelengthGrid
) -> np.ndarray:
    """Signal-to-noise ratio of the doublet in observed spectra, shape (N,).

    Flux above the mean continuum on either side, summed over 23 Angstrom; NaN where a fifth of the
    pixels or more are missing.

    Args:
        flux: Observed spectra, shape (N, L).
        ivar: Their inverse variance, 0 where masked, shape (N, L).
        z: Redshifts, shape (N,).
        grid: Their grid.
    """

    rest = grid.wavelength / (1 + z[:, None])
    good = ivar > 0
    variance = np.divide(1, ivar, out=np.zeros_like(ivar), where=good)
    inside = _within(rest, _LINE) & good
    beside = (_within(rest, _SIDES[0]) | _within(rest, _SIDES[1])) & good
    share = np.minimum(
        inside.sum(1) / _pixels(grid, _LINE), beside.sum(1) / sum(_pixels(grid, s) for s in _SIDES)
    )
    n, m = inside.sum(1), np.maximum(beside.sum(1), 1)
    continuum = (flux * beside).sum(1) / m
    total = (flux * inside).sum(1) - n * continuum
    error = (variance * inside).sum(1) + (n / m) ** 2 * (variance * beside).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(share > 0.8, total / np.sqrt(error), np.nan)


def _within(wavelength: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    return (wavelength > window[0]) & (wavelength < window[1])


def _pixels(grid: WavelengthGrid, window: tuple[float, float]) -> float:
    """How many pixels of a log10 grid a window has at any redshift."""

    return np.log10(window[1] / window[0]) / grid.step
