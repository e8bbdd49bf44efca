"""Distances, ages and volumes (Planck15), and light on its way to the observer.

Interpolated in tables of integrals over astropy's expansion rate; differentiable in redshift.
"""

import math
from functools import cache

import numpy as np
import torch
from astropy import units
from astropy.cosmology import Planck15
from torch import Tensor

__all__ = [
    "L_SUN",
    "Z_LIMIT",
    "age",
    "comoving_volume_element",
    "luminosity_distance",
    "observed_flux",
]

L_SUN = 3.826e33
"""Solar luminosity in erg/s, the value by which Bruzual & Charlot (2003) normalise spectra."""

Z_LIMIT = 10.0
"""The largest redshift of the tables."""

_NODES = 4001
# Points of the Gauss-Legendre quadrature between two nodes.
_ORDER = 4
_CM_PER_MPC = (1 * units.Mpc).to_value(units.cm)


def luminosity_distance(z: Tensor) -> Tensor:
    """Luminosity distance in Mpc, shape of `z`, float64."""

    return (1 + z.double()) * _lookup("comoving_distance", z)


def age(z: Tensor) -> Tensor:
    """Age of the universe in yr, shape of `z`, float64."""

    return _lookup("age", z)


def comoving_volume_element(z: Tensor) -> Tensor:
    """Comoving volume per redshift and solid angle in Mpc^3/sr, shape of `z`, float64."""

    return _lookup("comoving_distance", z) ** 2 * _lookup("hubble_distance", z)


def observed_flux(luminosity: Tensor, z: Tensor) -> Tensor:
    """Observed flux density f(lambda (1+z)) = L(lambda) / (4 pi d_L^2 (1+z)) (Hogg 1999).

    Args:
        luminosity: Rest-frame luminosity density in L_sun/Angstrom, shape (N, M).
        z: Redshifts above 0, shape (N,).

    Returns:
        Flux density in 1e-17 erg/s/cm2/Angstrom at the same pixels' redshifted wavelengths.
    """

    area = 4 * math.pi * (luminosity_distance(z) * _CM_PER_MPC) ** 2
    factor = 1e17 * L_SUN / (area * (1 + z.double()))
    return luminosity * factor.to(luminosity.dtype)[:, None]


@cache
def _tables() -> dict[str, Tensor]:
    """Quantities on nodes that are evenly spaced in ln(1+z).

    Both integrals of Hogg (1999) are taken over ln(1+z) at once for all nodes, which astropy, to
    1e-11 the same, does for one redshift at a time.
    """

    nodes = np.linspace(0, math.log1p(Z_LIMIT), _NODES)
    points, weights = np.polynomial.legendre.leggauss(_ORDER)
    half = nodes[1] / 2
    log = nodes[:-1, None] + half * (1 + points)
    inverse = Planck15.inv_efunc(np.expm1(log))
    distance, time = (
        np.append(0, np.cumsum(integrand @ (half * weights)))
        for integrand in (np.exp(log) * inverse, inverse)
    )
    hubble_distance = Planck15.hubble_distance.to_value(units.Mpc)
    quantities = {
        "age": Planck15.age(0).to_value(units.yr) - Planck15.hubble_time.to_value(units.yr) * time,
        "comoving_distance": hubble_distance * distance,
        "hubble_distance": hubble_distance * Planck15.inv_efunc(np.expm1(nodes)),
    }
    return {name: torch.as_tensor(values) for name, values in quantities.items()}


def _lookup(name: str, z: Tensor) -> Tensor:
    """Cubic (Catmull-Rom) interpolation in ln(1+z)."""

    table = _tables()[name].to(z.device)
    # One more node on either side, by the parabola through the last three.
    ends = [3 * (one[0] - one[1]) + one[2] for one in (table[:3], table[-3:].flip(0))]
    table = torch.cat([ends[0][None], table, ends[1][None]])
    position = torch.log1p(z.double()) * ((_NODES - 1) / math.log1p(Z_LIMIT))
    if (position.detach() < 0).any() or (position.detach() > _NODES - 1).any():
        raise ValueError(f"redshifts must lie between 0 and {Z_LIMIT}")
    node = position.detach().long().clamp(max=_NODES - 2)
    t = position - node
    before, left, right, after = (table[node + k] for k in range(4))
    slope_left, slope_right = (right - before) / 2, (after - left) / 2
    return (
        left
        + slope_left * t
        + (3 * (right - left) - 2 * slope_left - slope_right) * t**2
        + (2 * (left - right) + slope_left + slope_right) * t**3
    )
