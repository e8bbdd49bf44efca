"""Attenuation by dust: a diffuse screen, and more for young stars in their birth clouds."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "AttenuationCurve",
    "attenuation",
    "attenuation_curve",
    "power_law_curve",
    "transmission",
]

_R_V = 4.05


class AttenuationCurve(NamedTuple):
    """What the attenuation at M wavelengths is made of, whatever the slope; each (M,), float32."""

    smooth: Tensor
    """A(lambda) / A(V) of slope zero without the bump."""
    tilt: Tensor
    """Natural logarithm of the wavelength over 5500 A."""
    bump: Tensor
    """The bump at 2175 A with an amplitude of one."""


def attenuation_curve(wavelength: Tensor) -> AttenuationCurve:
    """The curve of starburst galaxies (Calzetti et al. 2000), to be tilted by `attenuation`.

    Published from 1200 A to 2.2 um. Its formula continues to where it reaches zero near 3.1 um,
    beyond which there is no attenuation; shortward it goes on as wavelength^-0.77, its own slope
    there (assumed). The bump is a Drude profile 350 A wide (Noll et al. 2009, eq. 9).

    Args:
        wavelength: Vacuum wavelengths in Angstrom, shape (M,).
    """

    wavelength = wavelength.double()
    x = 1e4 / wavelength.clamp(1200, 31000)
    ultraviolet = 2.659 * (-2.156 + 1.509 * x - 0.198 * x**2 + 0.011 * x**3)
    infrared = 2.659 * (-1.857 + 1.040 * x)
    curve = torch.where(wavelength < 6300, ultraviolet, infrared) + _R_V
    curve = (curve / _R_V).clamp(min=0) * (wavelength.clamp(max=1200) / 1200) ** -0.77
    curve = curve * (wavelength < 31000)
    squares = wavelength**2 * 350.0**2
    bump = squares / ((wavelength**2 - 2175.0**2) ** 2 + squares)
    return AttenuationCurve(curve.float(), torch.log(wavelength / 5500).float(), bump.float())


def power_law_curve(wavelength: Tensor) -> AttenuationCurve:
    """Attenuation as wavelength^-0.7 without a bump (Charlot & Fall 2000), to be tilted.

    Args:
        wavelength: Vacuum wavelengths in Angstrom, shape (M,).
    """

    tilt = torch.log(wavelength.double() / 5500).float()
    return AttenuationCurve(torch.exp(-0.7 * tilt), tilt, torch.zeros_like(tilt))


def attenuation(curve: AttenuationCurve, slope: Tensor) -> Tensor:
    """A(lambda) / A(V), shape (N, M) (Noll et al. 2009; Salim et al. 2018, eqs. 3 to 6).

    The amplitude of the bump, 0.85 - 1.9 slope, is that of star-forming galaxies of the same slope
    (Kriek & Conroy 2013, eq. 3), and zero for slopes so shallow that it would be negative.

    Args:
        curve: Of M wavelengths.
        slope: Power of the wavelength by which the curve deviates from Calzetti's, negative for
            steeper curves, below 0.9, shape (N,).
    """

    amplitude = (0.85 - 1.9 * slope).clamp(min=0)
    # A(B) - A(V) of the tilted curve decides what the bump amounts to per A(V).
    selective = ((_R_V + 1) * (4400 / 5500) ** slope - _R_V) / _R_V
    tilted = curve.smooth.to(slope.dtype) * torch.exp(slope[:, None] * curve.tilt.to(slope.dtype))
    return torch.addmm(tilted, (amplitude * selective)[:, None], curve.bump.to(slope.dtype)[None])


def transmission(curve: AttenuationCurve, A_V: Tensor, slope: Tensor) -> Tensor:
    """Fraction of the light that gets through a screen, shape (N, M).

    Args:
        curve: Of M wavelengths.
        A_V: Attenuation at V in magnitudes, shape (N,).
        slope: See `attenuation`, shape (N,).
    """

    return torch.exp(-0.4 * math.log(10) * A_V[:, None] * attenuation(curve, slope))
