"""Spectra seen through filters (transmission curves of astro-sedpy)."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sedpy.observate import Filter, list_available_filters

from uraniborg.errors import UserError

__all__ = [
    "AB_ZERO",
    "SPEED_OF_LIGHT",
    "UGRIZJHK_W1",
    "FilterCurve",
    "ab_magnitude",
    "band_mean",
    "read_filter",
]

UGRIZJHK_W1 = {
    **{band: f"sdss_{band}0" for band in "ugriz"},
    "J": "twomass_J",
    "H": "twomass_H",
    "K": "twomass_Ks",
    "W1": "wise_w1",
}
"""Names in astro-sedpy of the filters of SDSS, 2MASS and WISE."""

AB_ZERO = 3.631e-20
"""Flux density of AB magnitude 0, 3631 Jy, in erg/s/cm2/Hz."""

SPEED_OF_LIGHT = 2.99792458e18
"""In Angstrom/s."""


class FilterCurve(NamedTuple):
    """Photon-counting transmission at wavelengths in Angstrom, zeros at the ends cut off."""

    wavelength: np.ndarray
    transmission: np.ndarray


def read_filter(name: str) -> FilterCurve:
    """A filter of astro-sedpy.

    Raises:
        UserError: astro-sedpy has no such filter.
    """

    try:
        curve = Filter(name)
    except ValueError as error:
        close = difflib.get_close_matches(name, list_available_filters(), n=4, cutoff=0.3)
        raise UserError(
            f"astro-sedpy has no filter {name!r}; similar ones are {', '.join(close)}."
        ) from error
    (inside,) = np.nonzero(curve.transmission > 0)
    inside = slice(max(inside[0] - 1, 0), inside[-1] + 2)
    return FilterCurve(curve.wavelength[inside], curve.transmission[inside])


def band_mean(
    wavelength: np.ndarray, density: np.ndarray, filters: Sequence[FilterCurve]
) -> np.ndarray:
    """Photon-weighted mean flux density, integral(f l T dl) / integral(l T dl).

    The same as the flux density per wavelength that bagpipes reports for a filter.

    Args:
        wavelength: Angstrom, shape (M,).
        density: Flux or luminosity density per wavelength, shape (N, M).
        filters: B filters within the wavelengths.

    Returns:
        Shape (N, B).

    Raises:
        ValueError: A filter reaches beyond the wavelengths.
    """

    means = []
    for curve in filters:
        if curve.wavelength[0] < wavelength[0] or curve.wavelength[-1] > wavelength[-1]:
            raise ValueError("a filter reaches beyond the wavelengths")
        low, high = np.searchsorted(wavelength, curve.wavelength[[0, -1]])
        inside = slice(max(low - 1, 0), high + 1)
        weight = np.interp(wavelength[inside], *curve, left=0, right=0) * wavelength[inside]
        signal = np.trapezoid(density[:, inside] * weight, wavelength[inside])
        means.append(signal / np.trapezoid(weight, wavelength[inside]))
    return np.stack(means, axis=1)


def ab_magnitude(mean: np.ndarray, filters: Sequence[FilterCurve]) -> np.ndarray:
    """AB magnitudes (Oke & Gunn 1983) of the means of `band_mean` in erg/s/cm2/Angstrom.

    Args:
        mean: Shape (N, B).
        filters: The B filters.
    """

    # A source of constant flux per frequency has f_lambda = f_nu c / lambda^2.
    zero = [
        AB_ZERO * SPEED_OF_LIGHT * np.trapezoid(t / w, w) / np.trapezoid(t * w, w)
        for w, t in filters
    ]
    return -2.5 * np.log10(mean / np.array(zero))
