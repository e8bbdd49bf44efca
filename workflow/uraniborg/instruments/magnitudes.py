"""Fluxes in nanomaggies as magnitudes and back: Pogson's and asinh.

One nanomaggy is the flux of AB magnitude 22.5. A value without information has flux 0 and ivar 0,
and magnitude and error NaN.
"""

import numpy as np

__all__ = [
    "NANOMAGGY_IN_JANSKY",
    "ab_magnitude",
    "asinh_magnitude",
    "flux_of_ab",
    "flux_of_asinh",
]

NANOMAGGY_IN_JANSKY = 3631e-9
"""An AB magnitude of 0 is a flux density of 3631 Jy (Oke & Gunn 1983)."""

_POGSON = 2.5 / np.log(10)


def ab_magnitude(flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AB magnitudes and their errors to first order, NaN for a flux that is not positive.

    Args:
        flux: Nanomaggies, any shape.
        ivar: Its inverse variance.
    """

    known = (ivar > 0) & (flux > 0)
    flux, ivar = np.where(known, flux, 1.0), np.where(known, ivar, 1.0)
    magnitude, error = 22.5 - _POGSON * np.log(flux), _POGSON / (flux * np.sqrt(ivar))
    return np.where(known, magnitude, np.nan), np.where(known, error, np.nan)


def flux_of_ab(magnitude: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar of AB magnitudes; both 0 where either is not finite or the error not positive.

    Args:
        magnitude: Any shape.
        error: Its standard error.
    """

    known = np.isfinite(magnitude) & np.isfinite(error) & (error > 0)
    magnitude, error = np.where(known, magnitude, 22.5), np.where(known, error, 1.0)
    flux = np.exp((22.5 - magnitude) / _POGSON)
    return np.where(known, flux, 0.0), np.where(known, (_POGSON / (flux * error)) ** 2, 0.0)


def asinh_magnitude(
    flux: np.ndarray, ivar: np.ndarray, softening: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Asinh magnitudes and their errors (Lupton, Gunn & Szalay 1999, AJ 118, 1406).

    They agree with Pogson's for bright objects and are defined for every flux.

    Args:
        flux: Nanomaggies, any shape.
        ivar: Its inverse variance.
        softening: The parameter b, a fraction of the flux of magnitude 0.
    """

    known = np.asarray(ivar > 0)
    width = 2e9 * np.asarray(softening, np.float64)
    ratio = np.asarray(flux, np.float64) / width
    magnitude = -_POGSON * (np.arcsinh(ratio) + np.log(width / 2e9))
    ivar = np.where(known, ivar, 1.0)
    error = _POGSON / (width * np.sqrt(ivar) * np.hypot(1, ratio))
    return np.where(known, magnitude, np.nan), np.where(known, error, np.nan)


def flux_of_asinh(
    magnitude: np.ndarray, error: np.ndarray, softening: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar of asinh magnitudes; see `flux_of_ab` and `asinh_magnitude`."""

    known = np.isfinite(magnitude) & np.isfinite(error) & (error > 0)
    magnitude, error = np.where(known, magnitude, 22.5), np.where(known, error, 1.0)
    width = 2e9 * np.asarray(softening, np.float64)
    ratio = np.sinh(-magnitude / _POGSON - np.log(width / 2e9))
    ivar = (_POGSON / (width * error * np.hypot(1, ratio))) ** 2
    return np.where(known, width * ratio, 0.0), np.where(known, ivar, 0.0)
