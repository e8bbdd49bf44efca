"""Wavelengths in air and in vacuum."""

import numpy as np

__all__ = ["air_to_vacuum", "vacuum_to_air"]

# Below 2000 A wavelengths are given in vacuum by convention.
_AIR_ABOVE = 2000.0


def vacuum_to_air(wavelength: np.ndarray) -> np.ndarray:
    """Vacuum to standard air, Angstrom (Birch & Downs 1994, as in Morton 2000, eq. 8).

    Wavelengths below 2000 A are returned as they are.
    """

    wavelength = np.asarray(wavelength, dtype=np.float64)
    return np.where(wavelength < _AIR_ABOVE, wavelength, wavelength / _index(wavelength))


def air_to_vacuum(wavelength: np.ndarray) -> np.ndarray:
    """Standard air to vacuum, Angstrom, the inverse of `vacuum_to_air` to 1e-9 A.

    Wavelengths below 2000 A are returned as they are.
    """

    wavelength = np.asarray(wavelength, dtype=np.float64)
    vacuum = wavelength
    # The index varies so slowly with wavelength that each pass gains four digits.
    for _ in range(4):
        vacuum = wavelength * _index(vacuum)
    return np.where(wavelength < _AIR_ABOVE, wavelength, vacuum)


def _index(vacuum: np.ndarray) -> np.ndarray:
    """Refractive index of standard air at wavelengths in vacuum."""

    wavenumber2 = (1e4 / np.maximum(vacuum, _AIR_ABOVE)) ** 2
    return 1 + 8.34254e-5 + 2.406147e-2 / (130 - wavenumber2) + 1.5998e-4 / (38.9 - wavenumber2)
