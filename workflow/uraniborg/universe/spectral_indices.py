"""Indices of spectra with their errors: the 4000 A break, H-delta absorption, emission lines.

All take spectra on M rest-frame vacuum wavelengths: flux density per wavelength in any unit, and
its inverse variance, zero where a pixel is masked. Windows are published in air and are converted;
a pixel that a window's edge cuts counts by its part within. Values are NaN where less than
`COMPLETE` of a window is observed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uraniborg.universe.refraction import air_to_vacuum

__all__ = ["COMPLETE", "Measurement", "break_4000", "emission_line", "h_delta"]

COMPLETE = 0.8
"""Smallest observed share of a window."""

_BREAK = ((3850.0, 3950.0), (4000.0, 4100.0))
_H_DELTA = (4083.50, 4122.25)
_H_DELTA_SIDES = ((4041.60, 4081.50), (4128.50, 4161.00))
_C = 299792.458


class Measurement(NamedTuple):
    """Values and their standard errors, each of shape (N,)."""

    value: np.ndarray
    error: np.ndarray


def break_4000(wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> Measurement:
    """The narrow 4000 A break (Balogh et al. 1999): mean flux density per frequency in 4000-4100 A
    over that in 3850-3950 A.

    Args:
        wavelength: Angstrom, increasing, shape (M,).
        flux: Shape (N, M).
        ivar: Shape (N, M).
    """

    means, errors = [], []
    for window in _BREAK:
        weight = _shares(wavelength, air_to_vacuum(window), ivar)
        # Per frequency, but for a constant.
        mean, error = _weighted(weight, flux * wavelength**2, ivar / wavelength**4)
        means.append(mean)
        errors.append(error / mean)
    value = means[1] / means[0]
    return Measurement(value, np.abs(value) * np.hypot(*errors))


def h_delta(wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> Measurement:
    """The Lick index H-delta_A, an equivalent width in Angstrom, positive for absorption (Worthey &
    Ottaviani 1997).

    Args:
        wavelength: Angstrom, increasing, shape (M,).
        flux: Shape (N, M).
        ivar: Shape (N, M).
    """

    feature, sides = air_to_vacuum(_H_DELTA), [air_to_vacuum(side) for side in _H_DELTA_SIDES]
    depth, error, _ = _excess(wavelength, flux, ivar, feature, sides)
    return Measurement(-depth, error)


def emission_line(
    wavelength: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray,
    centre: float,
    half_width: float = 400.0,
    sides: tuple[float, float] = (1200.0, 2400.0),
) -> tuple[Measurement, Measurement]:
    """Flux of a line over the straight continuum between two windows beside it, and the equivalent
    width, both positive for emission.

    Nothing is assumed of the profile, and no stellar absorption is corrected; lines within the
    windows count.

    Args:
        wavelength: Angstrom, increasing, shape (M,).
        flux: Shape (N, M).
        ivar: Shape (N, M).
        centre: Vacuum wavelength of the line in Angstrom.
        half_width: Of the line's window in km/s.
        sides: Beginning and end of the windows of the continuum in km/s from the line.

    Returns:
        Flux in the unit of `flux` times Angstrom, and equivalent width in Angstrom.
    """

    near, far = sides
    line = centre * (1 + np.array([-half_width, half_width]) / _C)
    blue = centre * (1 - np.array([far, near]) / _C)
    red = centre * (1 + np.array([near, far]) / _C)
    width, width_error, level = _excess(wavelength, flux, ivar, line, [blue, red])
    # The continuum is straight: its mean over the window is its value at the centre.
    return Measurement(width * level, width_error * np.abs(level)), Measurement(width, width_error)


def _excess(
    wavelength: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray,
    feature: np.ndarray,
    sides: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integral of flux / continuum - 1 over a window, its error, and the continuum's level."""

    (blue, blue_error), (red, red_error) = (
        _weighted(_shares(wavelength, side, ivar), flux, ivar) for side in sides
    )
    middle = [np.mean(side) for side in sides]
    fraction = (wavelength - middle[0]) / (middle[1] - middle[0])
    continuum = blue[:, None] * (1 - fraction) + red[:, None] * fraction
    weight = _shares(wavelength, feature, ivar)
    length = feature[1] - feature[0]
    ratio = flux / continuum
    variance = np.divide(1, ivar, out=np.zeros_like(ivar, dtype=float), where=ivar > 0)
    own = ((weight / continuum) ** 2 * variance).sum(1)
    by_blue = (weight * ratio / continuum * (1 - fraction)).sum(1) * blue_error
    by_red = (weight * ratio / continuum * fraction).sum(1) * red_error
    error = length * np.sqrt(own + by_blue**2 + by_red**2)
    centre = (np.mean(feature) - middle[0]) / (middle[1] - middle[0])
    level = blue * (1 - centre) + red * centre
    return length * ((weight * ratio).sum(1) - 1), error, level


def _shares(wavelength: np.ndarray, window: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """Weights of a mean over the observed pixels of a window, rows sum to one or NaN, (N, M)."""

    middle = (wavelength[1:] + wavelength[:-1]) / 2
    first, last = 2 * wavelength[0] - middle[0], 2 * wavelength[-1] - middle[-1]
    edges = np.clip(np.concatenate([[first], middle, [last]]), *window)
    inside = np.diff(edges) * (ivar > 0)
    observed = inside.sum(1, keepdims=True)
    complete = observed >= COMPLETE * (window[1] - window[0])
    return np.where(complete, inside / np.where(complete, observed, 1), np.nan)


def _weighted(
    weight: np.ndarray, values: np.ndarray, ivar: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and their errors."""

    variance = np.divide(1, ivar, out=np.zeros_like(ivar, dtype=float), where=ivar > 0)
    return (weight * values).sum(1), np.sqrt((weight**2 * variance).sum(1))
