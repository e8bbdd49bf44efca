"""Attenuation by dust: a diffuse screen, and more for young stars in their birth clouds."""

import math

import numpy as np
import torch
from astropy import units
from dust_extinction.parameter_averages import G23
from torch import Tensor

__all__ = ["attenuation_curve", "transmission"]


def attenuation_curve(wavelength: Tensor, R_V: float = 3.1) -> Tensor:
    """A(lambda) / A(V) of the Milky Way's mean curve of Gordon et al. (2023), from dust_extinction.

    Beyond the curve's range (912 A to 32 um) its end values continue.

    Args:
        wavelength: Vacuum wavelengths in Angstrom, any shape.
        R_V: Ratio of total to selective extinction, 2.3 to 5.6.

    Returns:
        The shape of `wavelength`, float32.
    """

    wavenumber = np.clip(1e4 / wavelength.numpy().astype(np.float64), *G23.x_range)
    return torch.as_tensor(G23(Rv=R_V)(wavenumber / units.um), dtype=torch.float32)


def transmission(curve: Tensor, A_V: Tensor) -> Tensor:
    """Fraction of the light that gets through a screen, shape (N, M).

    In the model of Charlot & Fall (2000) the screen of old stars has the diffuse medium's A_V, and
    that of young stars and nebulae the same plus their birth clouds' A_V.

    Args:
        curve: A(lambda) / A(V), shape (M,).
        A_V: Attenuation at V in magnitudes, shape (N,).
    """

    return torch.exp(-0.4 * math.log(10) * A_V[:, None] * curve.to(A_V.dtype))
