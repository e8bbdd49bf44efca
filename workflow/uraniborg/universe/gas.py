"""The chemistry of the gas that stars ionise: how metal-rich it is, and what the grid has wrong.

The grid of nebulae scales all elements but nitrogen with the metallicity and lets no metal freeze
out on dust; real galaxies differ by more in some lines than between each other. The corrections
here bring its line ratios to those of real galaxies. Two numbers each for the ionisation parameter,
sulphur and neutral oxygen, one for nitrogen and one for the scale of metallicity were fitted to
median line ratios of 907 star-forming galaxies of the survey RESOLVE in six bins of stellar mass
from 10^8 to 10^11 M_sun.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "SOLAR_OXYGEN",
    "gas_metallicity",
    "line_factors",
    "log_ionisation",
    "nitrogen_to_oxygen",
]

SOLAR_OXYGEN = 8.71
"""12 + log O/H of the grid's gas at Z_sun (Dopita et al. 2000, as used by Byler et al. 2017)."""

_SCALE_OFFSET = -0.12
# N/O of the grid by log10 Z/Z_sun, measured from its own [N II], [O II] and electron temperature
# (Pagel et al. 1992).
_GRID = ((-1.70, -0.70, -0.40, 0.00, 0.40), (-1.56, -1.55, -1.36, -0.93, -0.47))
_NITROGEN_OFFSET = -0.14
# Intercept and slope of the corrections in dex.
_LOW_IONISATION = {"S 2": (-0.35, -0.51), "O 1": (-0.19, -0.55)}


def gas_metallicity(stellar_mass: np.ndarray) -> np.ndarray:
    """Mean log10 Z/Z_sun of the gas of star-forming galaxies, shape of `stellar_mass`.

    The mass-metallicity relation of Tremonti et al. (2004, eq. 3), published for 10^8.5 to 10^11.5
    M_sun and continued by its line below, lowered by 0.12 dex (fitted: scales of metallicity differ
    by more, Kewley & Ellison 2008). Its scatter is 0.1 dex.

    Args:
        stellar_mass: log10 of stellar mass in M_sun.
    """

    mass = np.clip(stellar_mass, 7.0, 11.5)
    return -1.492 + 1.847 * mass - 0.08026 * mass**2 - SOLAR_OXYGEN + _SCALE_OFFSET


def log_ionisation(log_metallicity: np.ndarray) -> np.ndarray:
    """Mean log10 of the ionisation parameter, shape of `log_metallicity`.

    Falls with metallicity as Carton et al. (2017) find, whose coefficients are -3.58 and -0.8;
    those here were fitted together with the corrections of this module. Scatter 0.2 dex (assumed).

    Args:
        log_metallicity: log10 Z/Z_sun of the gas.
    """

    return -3.46 - 0.66 * log_metallicity


def nitrogen_to_oxygen(log_metallicity: Tensor) -> Tensor:
    """log10 N/O by number: a primary and a secondary component (Nicholls et al. 2017).

    Args:
        log_metallicity: log10 Z/Z_sun of the gas, any shape.
    """

    log_oxygen = log_metallicity + SOLAR_OXYGEN - 12
    return torch.log10(10**-1.732 + 10 ** (log_oxygen + 2.19))


def line_factors(names: Sequence[str], log_metallicity: Tensor) -> Tensor:
    """What the grid's lines are to be multiplied by, shape (N, L); one for most lines.

    - Nitrogen: real N/O (`nitrogen_to_oxygen`) over the grid's, and 0.14 dex less (fitted).
    - [S II] and [O I], from the edge of the nebula where gas is partly neutral: -0.35 - 0.51 log
      Z/Z_sun and -0.19 - 0.55 log Z/Z_sun dex, never above 0 (fitted). Depletion of sulphur on dust
      and density-bounded nebulae are the likely causes.

    Args:
        names: The L lines as `NebularEmission.names` has them.
        log_metallicity: log10 Z/Z_sun of the gas, shape (N,).
    """

    none = torch.zeros_like(log_metallicity)
    corrections = {
        species: (intercept + slope * log_metallicity).clamp(max=0)
        for species, (intercept, slope) in _LOW_IONISATION.items()
    }
    excess = nitrogen_to_oxygen(log_metallicity) - _interpolate(log_metallicity, *_GRID)
    corrections |= dict.fromkeys(("N 1", "N 2", "N 3"), excess + _NITROGEN_OFFSET)
    return 10 ** torch.stack([corrections.get(name[:3], none) for name in names], dim=1)


def _interpolate(x: Tensor, nodes: Sequence[float], values: Sequence[float]) -> Tensor:
    """Linear interpolation, constant beyond the ends."""

    nodes, values = x.new_tensor(nodes), x.new_tensor(values)
    x = x.clamp(nodes[0], nodes[-1])
    right = torch.searchsorted(nodes, x.detach()).clamp(1, len(nodes) - 1)
    slope = (values[right] - values[right - 1]) / (nodes[right] - nodes[right - 1])
    return values[right - 1] + slope * (x - nodes[right - 1])
