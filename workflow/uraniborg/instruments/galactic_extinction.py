"""How much the dust of the Milky Way dims a band, per unit of reddening."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from astropy import units as u
from dust_extinction.parameter_averages import F99, G23

from uraniborg.universe.photometry import read_filter

__all__ = ["extinction_coefficients", "extinction_curve"]

# Schlafly & Finkbeiner (2011, ApJ 737, 103), table 6, for R_V = 3.1: the coefficient of SDSS r.
_ANCHOR = ("sdss_r0", 2.285)
# Angstrom. Where the curve of Fitzpatrick (1999) is no longer measured.
_JOINT = 3e4


def extinction_curve(wavelength: np.ndarray) -> np.ndarray:
    """A(lambda) / A_V for R_V = 3.1: Fitzpatrick (1999, PASP 111, 63).

    Beyond 3 micron, where that curve is not defined, the shape of Gordon et al. (2023, ApJ 950,
    86) continues it.

    Args:
        wavelength: Angstrom, 1,000 to 320,000.
    """

    wavelength = np.asarray(wavelength, np.float64)
    short = F99(Rv=3.1)(np.minimum(wavelength, _JOINT) * u.AA)
    infrared = G23(Rv=3.1)
    growth = infrared(np.maximum(wavelength, _JOINT) * u.AA) / infrared(_JOINT * u.AA)
    return short * growth


def extinction_coefficients(filters: Sequence[str]) -> np.ndarray:
    """A_band / E(B-V), for the reddening of Schlegel, Finkbeiner & Davis (1998).

    Magnitudes that a star of 7000 K (a black body) loses for little dust. The curve is scaled
    to give the published coefficient of SDSS r (Schlafly & Finkbeiner 2011, table 6), which holds
    their recalibration of the reddening by 0.86. In the ultraviolet the coefficients depend on
    the spectrum and on the reddening itself, by several per cent.

    Args:
        filters: Names in astro-sedpy.

    Returns:
        Shape (len(filters),).
    """

    return np.array([_relative(name) for name in filters]) * _ANCHOR[1] / _relative(_ANCHOR[0])


@cache
def _relative(name: str) -> float:
    """The photon-weighted mean of the curve, which is the limit of little dust."""

    wavelength, transmission = read_filter(name)
    photons = transmission * wavelength**-4.0 / np.expm1(1.4388e8 / (wavelength * 7000))
    mean = np.trapezoid(photons * extinction_curve(wavelength), wavelength)
    return float(mean / np.trapezoid(photons, wavelength))
