"""The redshifts that a survey has without looking at its photometry: a luminosity function, the
volume, and the survey's limit. A population from photometry has to come closer to the truth.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from astropy.cosmology import Planck15
from scipy.special import ndtr

from uraniborg.universe.cosmology import comoving_volume_element, luminosity_distance
from uraniborg.universe.galaxy_population import Limit

__all__ = [
    "BLANTON_2003",
    "KOCHANEK_2001",
    "LOVEDAY_2015",
    "LuminosityFunction",
    "redshift_density",
    "schechter_redshifts",
]

# Absolute magnitudes over which galaxies are counted, about M*: there are none of the brighter,
# and nearer than z = 0.003 are all of the fainter that a survey to magnitude 20 sees.
_BRIGHT, _FAINT, _STEP = -5.0, 11.0, 0.02
_NODES = 2000


@dataclass(frozen=True)
class LuminosityFunction:
    """A Schechter function of absolute magnitudes that evolves, and how they become apparent.

    M* brightens by Q per redshift, the density rises by 10^(0.4 P z) (Lin et al. 1999). The
    K-correction is the same for all galaxies: K(z) = K(z0) + k (z - z0) for a band that is shifted
    to z0, whose K(z0) is -2.5 log10(1 + z0), or -k log10(1 + z).

    Args:
        filter: The astro-sedpy filter of the apparent magnitudes.
        magnitude: M* - 5 log10(h), AB, at the redshift `pivot`.
        slope: The faint-end slope alpha.
        luminosity_evolution: Q, in mag per unit redshift.
        density_evolution: P.
        pivot: The redshift z0 of M* and of the shifted band.
        correction: k, in mag per redshift or, for `logarithmic`, in mag per dex of 1 + z.
        logarithmic: Whether the K-correction is proportional to log10(1 + z).
    """

    filter: str
    magnitude: float
    slope: float
    luminosity_evolution: float = 0.0
    density_evolution: float = 0.0
    pivot: float = 0.0
    correction: float = 0.0
    logarithmic: bool = False

    def k_correction(self, z: np.ndarray) -> np.ndarray:
        """Apparent less absolute magnitude less distance modulus, shape of `z`."""

        if self.logarithmic:
            return self.correction * np.log10(1 + z)
        return self.correction * (z - self.pivot) - 2.5 * math.log10(1 + self.pivot)


BLANTON_2003 = LuminosityFunction("sdss_r0", -20.44, -1.05, 1.62, 0.18, 0.1, 1.2)
"""Galaxies of SDSS in the r band shifted to z = 0.1, Petrosian (Blanton et al. 2003, ApJ 592, 819).

The K-correction's slope is that of the median galaxy brighter than r = 17.77 by kcorrect (Blanton
& Roweis 2007), see `uraniborg.universe.kcorrections`; blue galaxies have less than half of it.
"""

LOVEDAY_2015 = LuminosityFunction("sdss_r0", -20.71, -1.26, 1.03, 1.0, 0.1, 1.2)
"""Galaxies of GAMA to r = 19.8 in the same band (Loveday et al. 2015, MNRAS 451, 1540), with the
same K-correction."""

KOCHANEK_2001 = LuminosityFunction(
    "twomass_Ks", -23.39 + 1.85, -1.09, correction=-6.0, logarithmic=True
)
"""Galaxies of 2MASS in isophotal Ks (Kochanek et al. 2001, ApJ 560, 566), from Vega to AB as the
bands of `uraniborg.instruments.bands`, with the K-correction of the paper and no evolution. Total
magnitudes are 0.2 mag brighter."""


def redshift_density(function: LuminosityFunction, limit: Limit, z: np.ndarray) -> np.ndarray:
    """Galaxies of a survey per redshift, up to a constant, shape of `z`, (N,).

    Args:
        function: In the band of the limit.
        limit: In apparent AB magnitudes of the kind that the luminosity function is for.
        z: Redshifts above 0.
    """

    distance = luminosity_distance(torch.as_tensor(z)).numpy()
    # M - 5 log10(h) belongs to distances in Mpc/h.
    modulus = 5 * np.log10(distance * Planck15.h) + 25
    evolution = function.luminosity_evolution * (z - function.pivot)
    brighter = np.arange(_BRIGHT, _FAINT, _STEP)
    luminosity = 10 ** (-0.4 * brighter)
    abundance = luminosity ** (1 + function.slope) * np.exp(-luminosity)
    star = function.magnitude - evolution + modulus + function.k_correction(z)
    within = ndtr((limit.magnitude - star[:, None] - brighter) / limit.width)
    volume = comoving_volume_element(torch.as_tensor(z)).numpy()
    return volume * 10 ** (0.4 * function.density_evolution * z) * (within @ abundance)


def schechter_redshifts(
    function: LuminosityFunction,
    limit: Limit,
    z_min: float,
    z_max: float,
    number: int,
    seed: int = 0,
) -> np.ndarray:
    """Redshifts of a survey, drawn without any photometry, shape (number,).

    Args:
        function: In the band of the limit.
        limit: See `redshift_density`.
        z_min: Smallest redshift, above 0.
        z_max: Largest redshift.
        number: How many.
        seed: Seed of the draw.
    """

    z = np.linspace(z_min, z_max, _NODES)
    density = redshift_density(function, limit, z)
    # The density is linear between the nodes, and so nearly constant.
    share = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2))
    return np.interp(np.random.default_rng(seed).random(number) * share[-1], share, z)
