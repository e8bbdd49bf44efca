"""The relations that galaxies follow, each with its source, and the numbers in them that are free.

Published relations were measured with other stellar libraries, dust and apertures than ours; the
`HYPERPARAMETERS` say how far ours may deviate. Their defaults are the published values; the file
`resources/galaxy_population.json` holds those fitted to real colours (rule `population_fit`).
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import gammainc, gammaincinv

from uraniborg.errors import UserError
from uraniborg.universe.cosmology import age, luminosity_distance

__all__ = [
    "HYPERPARAMETERS",
    "Hyperparameter",
    "angular_size",
    "aperture_fraction",
    "attenuation_slope",
    "balmer_attenuation",
    "half_light_radius",
    "hyperparameters",
    "main_sequence",
    "mass_density",
    "metallicity_quantiles",
    "quiescent_fraction",
    "starlight_correction",
    "velocity_dispersion",
]


@dataclass(frozen=True)
class Hyperparameter:
    """A number that the whole population shares.

    Args:
        name: Its name.
        published: Its value in the literature, the default.
        low: The smallest value that a fit may take.
        high: The largest.
        unit: A unit that astropy can parse; empty for a pure number.
        description: One phrase.
        source: Where the published value is from.
    """

    name: str
    published: float
    low: float
    high: float
    unit: str
    description: str
    source: str

    @property
    def width(self) -> float:
        """Standard deviation of what is known about it before a fit."""

        return (self.high - self.low) / 4


HYPERPARAMETERS = (
    Hyperparameter(
        "mass_offset",
        0.0,
        -0.3,
        0.3,
        "dex",
        "Shift of the mass function's stellar masses",
        "Leja et al. (2020); masses differ by 0.1 to 0.2 dex between codes",
    ),
    Hyperparameter(
        "low_mass_offset",
        0.0,
        -0.5,
        0.3,
        "dex",
        "Shift of the number of low-mass galaxies, the steeper of the two components",
        "Leja et al. (2020), continued to z = 0; Baldry et al. (2012) have 0.3 dex less",
    ),
    Hyperparameter(
        "quiescent_mass",
        10.56,
        10.0,
        11.2,
        "dex(solMass)",
        "Mass at which 63% of central galaxies are quiescent at z = 0",
        "Peng et al. (2010)",
    ),
    Hyperparameter(
        "quiescent_steepness",
        0.80,
        0.3,
        1.5,
        "",
        "Power of mass in the quiescent fraction",
        "Peng et al. (2010)",
    ),
    Hyperparameter(
        "quiescent_evolution",
        0.4,
        0.0,
        1.0,
        "dex",
        "Growth of quiescent_mass per unit redshift",
        "assumed; the decline seen by Muzzin et al. (2013)",
    ),
    Hyperparameter(
        "environment_quenching",
        0.15,
        0.0,
        0.4,
        "",
        "Fraction quenched by their environment, whatever the mass",
        "Peng et al. (2010); mean over environments assumed",
    ),
    Hyperparameter(
        "main_sequence_offset",
        0.0,
        -0.4,
        0.4,
        "dex",
        "Shift of the main sequence's star-formation rates",
        "Speagle et al. (2014)",
    ),
    Hyperparameter(
        "main_sequence_tilt",
        0.0,
        -0.2,
        0.4,
        "",
        "Change of the main sequence's slope, about 10^10.5 M_sun",
        "Speagle et al. (2014); slopes from 0.5 to 1 are published",
    ),
    Hyperparameter(
        "main_sequence_scatter",
        0.3,
        0.1,
        0.6,
        "dex",
        "Scatter of star-formation rates about the main sequence",
        "Speagle et al. (2014): 0.2 dex intrinsic, 0.3 dex observed",
    ),
    Hyperparameter(
        "quenched_depth",
        1.0,
        0.3,
        2.0,
        "dex",
        "Smallest distance of quiescent galaxies below the main sequence",
        "assumed",
    ),
    Hyperparameter(
        "quenched_range",
        1.5,
        0.2,
        4.0,
        "dex",
        "Range of distances of quiescent galaxies below the main sequence",
        "assumed",
    ),
    Hyperparameter(
        "quenched_tilt",
        0.0,
        -0.5,
        2.0,
        "",
        "Growth of that distance with mass above 10^10.5 M_sun",
        "assumed: massive quiescent galaxies are the most passive",
    ),
    Hyperparameter(
        "metallicity_offset",
        0.0,
        -0.4,
        0.3,
        "dex",
        "Shift of the metallicities of star-forming galaxies",
        "Gallazzi et al. (2005)",
    ),
    Hyperparameter(
        "quiescent_metallicity_offset",
        0.0,
        -0.4,
        0.3,
        "dex",
        "Shift of the metallicities of quiescent galaxies",
        "Gallazzi et al. (2005)",
    ),
    Hyperparameter(
        "metallicity_scatter",
        0.5,
        0.1,
        1.0,
        "",
        "Intrinsic share of the published 16-84% range of metallicities",
        "assumed: the rest is measurement error",
    ),
    Hyperparameter(
        "attenuation_scale",
        1.0,
        0.3,
        2.0,
        "",
        "Factor on the attenuation of star-forming galaxies",
        "Garn & Best (2010)",
    ),
    Hyperparameter(
        "attenuation_tilt",
        0.0,
        -0.6,
        0.6,
        "",
        "Relative change of the attenuation per dex of mass, about 10^10.5 M_sun",
        "Garn & Best (2010); measured in fibres, not in whole galaxies",
    ),
    Hyperparameter(
        "attenuation_scatter",
        0.28,
        0.1,
        0.8,
        "mag",
        "Scatter of the attenuation of H-alpha",
        "Garn & Best (2010)",
    ),
    Hyperparameter(
        "quiescent_attenuation",
        0.15,
        0.0,
        0.5,
        "mag",
        "Half-normal width of A_V of quiescent galaxies",
        "assumed",
    ),
    Hyperparameter(
        "dust_slope_offset",
        -0.4,
        -1.0,
        0.3,
        "",
        "Shift of the slope of attenuation curves",
        "Salim et al. (2018): steeper than Calzetti's by 0.4 on average",
    ),
    Hyperparameter(
        "birth_cloud_ratio",
        1.27,
        0.0,
        3.0,
        "",
        "Mean A_V of birth clouds over that of diffuse dust",
        "Calzetti et al. (2000): stars redden by 0.44 of what gas does",
    ),
    Hyperparameter(
        "ionising_fraction",
        1.0,
        0.4,
        1.0,
        "",
        "Share of the ionising photons that gas, not dust, absorbs within the nebulae",
        "case B; Inoue et al. (2001) find about 0.4 to 0.7 in metal-rich nebulae",
    ),
    Hyperparameter(
        "starlight_2500",
        0.0,
        -0.4,
        0.4,
        "mag",
        "Correction of the starlight at 2500 Angstrom, none at 6000 Angstrom",
        "assumed; below 3540 Angstrom the library is theoretical",
    ),
    Hyperparameter(
        "starlight_3500",
        0.0,
        -0.12,
        0.12,
        "mag",
        "Correction of the starlight at 3500 Angstrom, none at 6000 Angstrom",
        "assumed; libraries of stellar spectra differ by some percent (Maraston et al. 2009)",
    ),
    Hyperparameter(
        "starlight_4500",
        0.0,
        -0.12,
        0.12,
        "mag",
        "Correction of the starlight at 4500 Angstrom, none at 6000 Angstrom",
        "assumed; libraries of stellar spectra differ by some percent (Maraston et al. 2009)",
    ),
    Hyperparameter(
        "starlight_7500",
        0.0,
        -0.12,
        0.12,
        "mag",
        "Correction of the starlight at 7500 Angstrom, none at 6000 Angstrom",
        "assumed; libraries of stellar spectra differ by some percent (Maraston et al. 2009)",
    ),
    Hyperparameter(
        "starlight_9500",
        0.0,
        -0.12,
        0.12,
        "mag",
        "Correction of the starlight at 9500 Angstrom, none at 6000 Angstrom",
        "assumed; libraries of stellar spectra differ by some percent (Maraston et al. 2009)",
    ),
)
"""All hyperparameters, in the order of the documentation."""


def hyperparameters(
    changes: Mapping[str, float] | None = None, path: str | Path | None = None
) -> dict[str, float]:
    """Values of all hyperparameters by name.

    Args:
        changes: Values that replace those of the file.
        path: A JSON file of values, such as the rule `population_fit` writes; None for the
            published values.

    Raises:
        UserError: The file is missing or damaged, or a name is unknown.
    """

    values = {item.name: item.published for item in HYPERPARAMETERS}
    fitted: dict[str, float] = {}
    if path is not None:
        try:
            fitted = json.loads(Path(path).read_text(encoding="utf-8"))["hyperparameters"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{path}: is no file of hyperparameters; restore it or run the rule population_fit."
            ) from error
    for name, value in [*fitted.items(), *(changes or {}).items()]:
        if name not in values:
            close = difflib.get_close_matches(name, values, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(
                f"hyperparameters: {name!r} is not known; {hint}Known are {', '.join(values)}."
            )
        values[name] = float(value)
    return values


# Parameters of the double Schechter function at these redshifts, quadratic in between and beyond
# (Leja et al. 2020, continuity model): log10 phi of the two components, log10 of the knee.
_Z_NODES = (0.2, 1.6, 3.0)
_LOG_PHI = ((-2.44, -3.08, -4.14), (-2.89, -3.29, -3.51))
_KNEE = (10.79, 10.88, 10.84)
_SLOPES = (-0.28, -1.48)


def mass_density(mass: np.ndarray, z: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """Galaxies per comoving Mpc^3 and dex of stellar mass, shape of `mass` and `z` together.

    The double Schechter function of Leja et al. (2020), measured from z = 0.2 to 3, and continued
    to z = 0 by the same quadratics.

    Args:
        mass: log10 of stellar mass in M_sun.
        z: Redshift.
        h: Hyperparameters.
    """

    def at(values: tuple[float, ...]) -> np.ndarray:
        return np.polyval(np.polyfit(_Z_NODES, values, 2), z)

    x = 10 ** (mass - h["mass_offset"] - at(_KNEE))
    high, low = (
        10 ** at(log_phi) * x ** (slope + 1)
        for log_phi, slope in zip(_LOG_PHI, _SLOPES, strict=True)
    )
    return np.log(10) * np.exp(-x) * (high + low * 10 ** h["low_mass_offset"])


def quiescent_fraction(mass: np.ndarray, z: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """Probability that a galaxy is quiescent: by its mass or by its environment (Peng et al.
    2010, eqs. 5 to 7)."""

    threshold = h["quiescent_mass"] + h["quiescent_evolution"] * z
    survives = np.exp(-(10 ** (h["quiescent_steepness"] * (mass - threshold))))
    return 1 - survives * (1 - h["environment_quenching"])


def main_sequence(mass: np.ndarray, z: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """log10 of the star-formation rate in M_sun/yr on the main sequence (Speagle et al. 2014,
    eq. 28)."""

    gyr = age(torch.as_tensor(z)).numpy() / 1e9
    rate = (0.84 - 0.026 * gyr) * mass - (6.51 - 0.11 * gyr)
    return rate + h["main_sequence_offset"] + h["main_sequence_tilt"] * (mass - 10.5)


# log10 mass, median, 16% and 84% of log10 Z/Z_sun (Gallazzi et al. 2005, table 2).
_METALLICITY = np.array(
    [
        (8.91, -0.60, -1.11, 0.00),
        (9.11, -0.61, -1.07, 0.00),
        (9.31, -0.65, -1.10, -0.05),
        (9.51, -0.61, -1.03, -0.01),
        (9.72, -0.52, -0.97, 0.05),
        (9.91, -0.41, -0.90, 0.09),
        (10.11, -0.23, -0.80, 0.14),
        (10.31, -0.11, -0.65, 0.17),
        (10.51, -0.01, -0.41, 0.20),
        (10.72, 0.04, -0.24, 0.22),
        (10.91, 0.07, -0.14, 0.24),
        (11.11, 0.10, -0.09, 0.25),
        (11.31, 0.12, -0.06, 0.26),
        (11.51, 0.13, -0.04, 0.28),
    ]
)


def metallicity_quantiles(
    mass: np.ndarray, quiescent: np.ndarray, h: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of log10 Z/Z_sun (Gallazzi et al. 2005, table 2; constant beyond
    its ends, and at all redshifts, as Gallazzi et al. 2014 find to z = 0.7)."""

    masses, *quantiles = _METALLICITY.T
    median, low, high = (np.interp(mass, masses, values) for values in quantiles)
    offset = np.where(quiescent, h["quiescent_metallicity_offset"], h["metallicity_offset"])
    return median + offset, h["metallicity_scatter"] * (high - low) / 2


def balmer_attenuation(mass: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """Mean attenuation of H-alpha in mag of star-forming galaxies (Garn & Best 2010, eq. 4)."""

    x = np.clip(mass, 8.5, 11.5) - 10
    tilt = np.maximum(1 + h["attenuation_tilt"] * (x - 0.5), 0)
    return h["attenuation_scale"] * tilt * (0.91 + 0.77 * x + 0.11 * x**2 - 0.09 * x**3)


def attenuation_slope(A_V: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """Mean slope of the attenuation curve relative to Calzetti's, which falls as lambda^-1.07 at V.

    Thick dust hides in front of thick dust, so the curve is shallower where there is more of it:
    lambda^(-2.8 / (1 + 3 sqrt(tau_V))) at V (Chevallard et al. 2013, eq. 10).
    """

    return 1.07 - 2.8 / (1 + 3 * np.sqrt(A_V / 1.086)) + h["dust_slope_offset"]


def starlight_correction(wavelength: np.ndarray, h: Mapping[str, float]) -> np.ndarray:
    """Factor on the light of all stars, shape of `wavelength`.

    Colours of model galaxies differ from those of real ones by a few percent whatever their ages
    and metals, red galaxies in g - r above all (Maraston et al. 2009, who blame the stellar
    library). In magnitudes it is linear in the logarithm of wavelength between the hyperparameters
    `starlight_*`, with none at 6000 Angstrom, and constant beyond the first and last.

    Args:
        wavelength: Rest-frame Angstrom.
        h: Hyperparameters.
    """

    prefix = "starlight_"
    known = {int(name.removeprefix(prefix)): h[name] for name in h if name.startswith(prefix)}
    nodes = sorted({**known, 6000: 0.0}.items())
    at, magnitudes = zip(*nodes, strict=True)
    return 10 ** (-0.4 * np.interp(np.log(wavelength), np.log(at), magnitudes))


def velocity_dispersion(mass: np.ndarray) -> np.ndarray:
    """Mean velocity dispersion of stars in km/s, a broken power law of mass (Zahid et al. 2016)."""

    x = mass - 10.26
    return 10 ** (2.073 + np.where(x < 0, 0.403, 0.293) * x)


def half_light_radius(mass: np.ndarray, quiescent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median radius in kpc and standard deviation of its natural logarithm (Shen et al. 2003, eqs.
    17 to 19 and table 1)."""

    x = 10**mass / 3.98e10
    late = 0.10 * 10 ** (0.14 * mass) * (1 + x) ** (0.39 - 0.14)
    early = 2.88e-6 * 10 ** (0.56 * mass)
    return np.where(quiescent, early, late), 0.34 + (0.47 - 0.34) / (1 + x**2)


def aperture_fraction(
    radius: np.ndarray, z: np.ndarray, quiescent: np.ndarray, diameter: float
) -> np.ndarray:
    """Fraction of the light within a round aperture, without seeing.

    A Sersic profile of index 1 (star-forming) or 4 (quiescent) (Graham & Driver 2005, eq. 2).

    Args:
        radius: Half-light radius in kpc.
        z: Redshift.
        quiescent: Whether the galaxy is quiescent.
        diameter: Of the aperture in arcsec.
    """

    n = np.where(quiescent, 4.0, 1.0)
    ratio = diameter / 2 / angular_size(radius, z)
    return gammainc(2 * n, gammaincinv(2 * n, 0.5) * ratio ** (1 / n))


def angular_size(size: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A size in kpc as an angle in arcsec."""

    distance = luminosity_distance(torch.as_tensor(z)).numpy() / (1 + z) ** 2
    return size / (distance * 1e3) * (180 / np.pi * 3600)
