"""What happens to every spectrum, real or simulated: masking, pixel grid, normalisation, S/N.

Arrays have one row per spectrum. A pixel without information has ivar 0 and flux 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from uraniborg.grids import WavelengthGrid

__all__ = [
    "Observations",
    "Snapped",
    "masked",
    "normalisation",
    "signal_to_noise",
    "snap",
]

NORMALISATION_WINDOW = (5300.0, 5850.0)
"""Rest-frame wavelengths in Angstrom whose median flux is the norm (SPENDER, arXiv:2211.07890)."""

NORMALISATION_PIXELS = 10
"""Good pixels that the window needs, so that a few noisy ones do not decide."""


@dataclass(frozen=True)
class Observations:
    """Spectra as a reader finds them, each on its own wavelengths.

    Args:
        scalars: `object_id`, `ra`, `dec`, `z`, `z_err`, `zwarning`, `spectype` and `subclass`,
            each of shape (N,).
        wavelength: Vacuum Angstrom, shape (N, P); 0, negative or not finite where there is no data.
        flux: In 1e-17 erg s-1 cm-2 Angstrom-1, shape (N, P).
        ivar: Its inverse variance, shape (N, P).
        bad: Pixels that the survey's mask rejects, shape (N, P).
    """

    scalars: Mapping[str, np.ndarray]
    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    bad: np.ndarray


class Snapped(NamedTuple):
    """Spectra on the pixels of a grid: see `snap`."""

    flux: np.ndarray
    ivar: np.ndarray
    offset: np.ndarray


def masked(
    flux: np.ndarray, ivar: np.ndarray, bad: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar with both 0 where a pixel is bad, not finite, or its ivar is not positive.

    Args:
        flux: Shape (N, P).
        ivar: Shape (N, P).
        bad: Further pixels to mask, shape (N, P).

    Returns:
        New arrays of flux and ivar, float32.
    """

    with np.errstate(over="ignore"):
        flux, ivar = np.array(flux, np.float32), np.array(ivar, np.float32)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    if bad is not None:
        good &= ~np.asarray(bad, bool)
    flux[~good] = 0
    ivar[~good] = 0
    return flux, ivar


def snap(
    grid: WavelengthGrid, wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> Snapped:
    """Puts spectra whose pixels coincide with those of a grid onto it, without interpolation.

    Pixels beyond the grid are dropped; grid pixels without data get 0. A spectrum on other pixels
    is not resampled: its `offset` tells.

    Args:
        grid: The pixels to use, of kind log10 or linear.
        wavelength: Vacuum Angstrom, shape (N, P); 0, negative or not finite where there is no data.
        flux: Shape (N, P).
        ivar: Shape (N, P).

    Returns:
        Flux and ivar of shape (N, grid.size), float32, and the largest distance between a
        spectrum's pixels and those they were put on, in pixels, shape (N,); it is infinite
        where no pixel falls on the grid or two fall on the same one.
    """

    number = len(wavelength)
    data = np.isfinite(wavelength) & (wavelength > 0)
    coordinate = np.where(data, wavelength, 1.0).astype(np.float64)
    coordinate = np.log10(coordinate) if grid.kind == "log10" else coordinate
    exact = (coordinate - grid.start) / grid.step
    pixel = np.rint(exact)
    inside = data & (pixel >= 0) & (pixel < grid.size)
    offset = np.where(inside, np.abs(exact - pixel), 0).max(axis=1, initial=0)
    row, column = np.nonzero(inside)
    target = pixel[inside].astype(np.int64)
    output = np.zeros((2, number, grid.size), np.float32)
    output[0, row, target] = flux[row, column]
    output[1, row, target] = ivar[row, column]
    filled = np.zeros((number, grid.size), bool)
    filled[row, target] = True
    pixels = inside.sum(axis=1)
    offset[(pixels == 0) | (filled.sum(axis=1) < pixels)] = np.inf
    return Snapped(output[0], output[1], offset)


def normalisation(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """The flux density that spectra are divided by before a model sees them.

    It is the median flux of good pixels in rest-frame 5300 to 5850 Angstrom, or, where fewer than
    ten of them are good, of all good pixels. Nothing says that it is positive.

    Args:
        wavelength: Observed frame, Angstrom, shape (P,).
        flux: Shape (N, P).
        ivar: Shape (N, P), 0 where a pixel is bad.
        z: Redshifts, shape (N,).

    Returns:
        Shape (N,), NaN for a spectrum without a good pixel.
    """

    low, high = (edge * (1 + np.asarray(z)[:, None]) for edge in NORMALISATION_WINDOW)
    good = ivar > 0
    window = good & (wavelength >= low) & (wavelength <= high)
    enough = window.sum(axis=1, keepdims=True) >= NORMALISATION_PIXELS
    return _median(flux, np.where(enough, window, good))


def signal_to_noise(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """The median signal-to-noise ratio per good pixel.

    Args:
        flux: Shape (N, P).
        ivar: Shape (N, P), 0 where a pixel is bad.

    Returns:
        Shape (N,), NaN for a spectrum without a good pixel.
    """

    return _median(flux * np.sqrt(ivar), ivar > 0)


def _median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The median over the good pixels of each row, float64."""

    # Bad pixels sort to the end, so that the middle is found by counting the good ones.
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    count = good.sum(axis=1)
    row = np.arange(len(values))
    middle = (
        ordered[row, np.maximum(count - 1, 0) // 2].astype(np.float64)
        + ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    ) / 2
    return np.where(count > 0, middle, np.nan)
