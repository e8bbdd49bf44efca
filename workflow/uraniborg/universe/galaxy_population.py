"""The population of galaxies: what each parameter means, how it is drawn, and on whose authority.

Star-forming and quiescent galaxies follow the local mass function in comoving volume. A galaxy's
mass and kind set the mean of everything else: its star-formation history, metals, dust, internal
motions and size. Published masses mostly include stellar remnants, a tenth of a dex, which is
neglected.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from scipy.special import gammainc, gammaincinv, ndtr, ndtri

from uraniborg.errors import UserError
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.cosmology import (
    Z_LIMIT,
    age,
    comoving_volume_element,
    luminosity_distance,
)
from uraniborg.universe.histories import DEFAULT_EDGES

__all__ = ["PARAMETERS", "GalaxyPopulation", "Parameter", "galaxy_columns"]

_FRACTIONS = len(DEFAULT_EDGES) - 1
_FLOAT = pa.float64()


@dataclass(frozen=True)
class Parameter:
    """A parameter of a galaxy.

    Args:
        name: Its name, also of the column in tables; `fractions` is a vector and has one column
            per age bin, `fraction_0` to `fraction_7`.
        unit: A unit that astropy can parse; empty for a pure number.
        description: One phrase.
        prior: The distribution it is drawn from.
        source: Paper that the prior is taken from, or `assumed`.
        type: Its Arrow type.
    """

    name: str
    unit: str
    description: str
    prior: str
    source: str
    type: pa.DataType = _FLOAT


PARAMETERS = (
    Parameter(
        "z",
        "",
        "Redshift",
        "comoving volume to z_max, seen through a limit in r (17.77 mag)",
        "Planck Collaboration (2016); Strauss et al. (2002)",
    ),
    Parameter(
        "stellar_mass",
        "",
        "log10 of the mass in living stars in M_sun",
        "double Schechter function from 10^8 to 10^12.2 M_sun",
        "Baldry et al. (2012)",
    ),
    Parameter(
        "quiescent",
        "",
        "Whether the galaxy has ceased to form stars",
        "probability 1 - exp(-(M / 10^10.56)^0.80)",
        "Peng et al. (2010), mass quenching",
        pa.bool_(),
    ),
    Parameter(
        "fractions",
        "",
        "Fraction of all stars formed per bin of lookback time, youngest first",
        "scaled Dirichlet about a delayed exponential with the specific star-formation rate of "
        "the main sequence, or 0.01 to 0.001 of it if quiescent; concentration 3",
        "Leja et al. (2017) for the bins; Renzini & Peng (2015) for the main sequence, Speagle et "
        "al. (2014) for its evolution; scatter assumed",
    ),
    Parameter(
        "log_metallicity",
        "",
        "log10 of the metallicity of stars and gas over Z_sun = 0.02",
        "normal about the mass-metallicity relation, half its 16-84% width, within -2 to 0.39 "
        "(the nebulae of the grid's highest metallicity are unusable)",
        "Gallazzi et al. (2005), table 2",
    ),
    Parameter(
        "A_V",
        "mag",
        "Attenuation of all light at V by diffuse dust",
        "star-forming: A(H-alpha) of mass / 0.82 / (1 + birth_cloud_ratio), scatter 0.28 mag in "
        "A(H-alpha); quiescent: half-normal of 0.15 mag",
        "Garn & Best (2010); quiescent assumed",
    ),
    Parameter(
        "birth_cloud_ratio",
        "",
        "Further A_V of stars younger than 10 Myr and of nebulae, over A_V",
        "normal of 1.27 +- 0.3 within 0 to 3: stars redden by 0.44 of what gas does",
        "Charlot & Fall (2000); Calzetti et al. (2000); scatter assumed",
    ),
    Parameter(
        "log_u",
        "",
        "log10 of the ionisation parameter",
        "normal about -3.58 - 0.8 log_metallicity +- 0.2 within -4 to -2",
        "Carton et al. (2017)",
    ),
    Parameter(
        "velocity_dispersion",
        "km/s",
        "Standard deviation of the stars' velocities",
        "log-normal about the broken power law of mass, 0.08 dex (quiescent) or 0.13 dex",
        "Zahid et al. (2016); scatter of star-forming galaxies assumed",
    ),
    Parameter(
        "gas_dispersion",
        "km/s",
        "Standard deviation of the ionised gas' velocities",
        "velocity_dispersion times a log-normal factor about 0.9, 0.1 dex; at least 25",
        "Ho (2009); lower limit assumed",
    ),
    Parameter(
        "radius",
        "kpc",
        "Half-light radius",
        "log-normal about the mass-size relations of early and late types",
        "Shen et al. (2003)",
    ),
    Parameter(
        "aperture_fraction",
        "",
        "Fraction of the light in a fibre of 3 arcsec",
        "Sersic profile of index 1 (star-forming) or 4 (quiescent) at the half-light radius",
        "Graham & Driver (2005)",
    ),
)
"""All parameters in the order of the truth table's columns."""


def galaxy_columns() -> tuple[Column, ...]:
    """The schema of a table of galaxies' true parameters."""

    columns = []
    for parameter in PARAMETERS:
        if parameter.name != "fractions":
            columns.append(
                Column(parameter.name, parameter.type, parameter.unit, parameter.description)
            )
            continue
        for index in range(_FRACTIONS):
            low, high = (edge / 1e6 for edge in DEFAULT_EDGES[index : index + 2])
            description = f"Fraction of all stars formed {low:g} to {high:g} Myr ago"
            columns.append(Column(f"fraction_{index}", parameter.type, "", description))
    return tuple(columns)


# Double Schechter function (Baldry et al. 2012): knee, and two slopes.
_KNEE, _PHI, _SLOPE = 10.66, (3.96e-3, 0.79e-3), (-0.35, -1.47)
# Fraction of quiescent galaxies by mass (Peng et al. 2010, mass quenching).
_QUENCHING_MASS, _QUENCHING_SLOPE = 10.56, 0.80
# Mass-to-light ratio in r of star-forming and quiescent galaxies (solar, AB): log10 at 10^10.5
# M_sun and slope with log10 mass, K correction in mag per redshift, and scatter in mag. A stand-in
# for magnitudes that keeps the sampling cheap, fitted to the spectra of this population.
_MASS_TO_LIGHT = ((0.29, 0.28, 1.1, 0.32), (0.43, 0.09, 0.9, 0.14))
_R_SUN = 4.65
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
_CONCENTRATION = 3.0
_FIBRE_RADIUS = 1.5
_STEPS_Z, _STEPS_MASS = 400, 168


@dataclass(frozen=True)
class GalaxyPopulation:
    """Draws galaxies.

    Args:
        z_max: Largest redshift; the mass function is the local one at all of them.
        z_min: Smallest redshift, above 0.
        r_limit: Limit in apparent r magnitude (AB), applied to magnitudes predicted from mass,
            kind and redshift alone, so that the true limit is soft by about 0.3 mag.

    Raises:
        UserError: The redshifts are not a range.

    Example:
        >>> GalaxyPopulation(z_max=0.4).sample(0, 1000, seed=1)["z"].shape
        (1000,)
    """

    z_max: float = 0.4
    z_min: float = 0.01
    r_limit: float = 17.77

    def __post_init__(self) -> None:
        if not 0 < self.z_min < self.z_max <= Z_LIMIT:
            raise UserError(
                f"universe: z_min = {self.z_min} and z_max = {self.z_max} are no range of "
                f"redshifts; choose 0 < z_min < z_max <= {Z_LIMIT:g}."
            )

    def sample(self, start: int, stop: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters of galaxies number `start` to `stop` of the survey with this seed.

        A galaxy is the same however the survey is cut into pieces.

        Returns:
            By name, arrays of shape (stop - start,), `fractions` (stop - start, 8); float64, but
            `quiescent` is boolean.
        """

        drawn: dict[str, list[np.ndarray]] = {parameter.name: [] for parameter in PARAMETERS}
        for block, part in blocks(start, stop):
            for name, values in self._draw(generator(seed, block, "galaxies")).items():
                drawn[name].append(values[part])
        return {name: np.concatenate(pieces) for name, pieces in drawn.items()}

    @cached_property
    def _density(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges in redshift and mass, and the cumulative number in cells of (kind, z, mass)."""

        z_edges = np.linspace(self.z_min, self.z_max, _STEPS_Z + 1)
        mass_edges = np.linspace(8.0, 12.2, _STEPS_MASS + 1)
        z = torch.as_tensor((z_edges[1:] + z_edges[:-1]) / 2)
        mass = (mass_edges[1:] + mass_edges[:-1]) / 2
        x = 10 ** (mass - _KNEE)
        number = sum(phi * x ** (slope + 1) for phi, slope in zip(_PHI, _SLOPE, strict=True))
        number = number * np.exp(-x)
        quiescent = _quiescent_fraction(mass)
        modulus = 5 * torch.log10(luminosity_distance(z)).numpy() + 25
        kinds = []
        for kind, fraction in enumerate([1 - quiescent, quiescent]):
            ratio, slope, k_correction, scatter = _MASS_TO_LIGHT[kind]
            absolute = _R_SUN - 2.5 * (mass - ratio - slope * (mass - 10.5))
            apparent = absolute + (modulus + k_correction * z.numpy())[:, None]
            seen = ndtr((self.r_limit - apparent) / scatter)
            kinds.append(seen * (number * fraction) * comoving_volume_element(z).numpy()[:, None])
        return z_edges, mass_edges, np.cumsum(kinds)

    def _draw(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """One block."""

        z_edges, mass_edges, cumulative = self._density
        uniform = random.uniform(size=(3, BLOCK_SIZE))
        cell = np.searchsorted(cumulative, uniform[0] * cumulative[-1], side="right")
        kind, z_cell, mass_cell = np.unravel_index(cell, (2, _STEPS_Z, _STEPS_MASS))
        z = z_edges[z_cell] + uniform[1] * (z_edges[1] - z_edges[0])
        mass = mass_edges[mass_cell] + uniform[2] * (mass_edges[1] - mass_edges[0])
        quiescent = kind == 1

        metallicity = _draw_metallicity(mass, random)
        ratio = _truncated(random, 1.27, 0.3, 0.0, 3.0)
        dispersion = _velocity_dispersion(mass) * 10 ** (
            np.where(quiescent, 0.08, 0.13) * random.standard_normal(BLOCK_SIZE)
        )
        gas = 0.9 * dispersion * 10 ** (0.1 * random.standard_normal(BLOCK_SIZE))
        radius = _draw_radius(mass, quiescent, random)
        return {
            "z": z,
            "stellar_mass": mass,
            "quiescent": quiescent,
            "fractions": _draw_fractions(mass, z, quiescent, random),
            "log_metallicity": metallicity,
            "A_V": _draw_attenuation(mass, quiescent, ratio, random),
            "birth_cloud_ratio": ratio,
            "log_u": np.clip(random.normal(-3.58 - 0.8 * metallicity, 0.2), -4.0, -2.0),
            "velocity_dispersion": dispersion,
            "gas_dispersion": np.maximum(gas, 25.0),
            "radius": radius,
            "aperture_fraction": _aperture_fraction(radius, z, quiescent),
        }


def _quiescent_fraction(mass: np.ndarray) -> np.ndarray:
    return 1 - np.exp(-(10 ** (_QUENCHING_SLOPE * (mass - _QUENCHING_MASS))))


def _truncated(
    random: np.random.Generator,
    mean: np.ndarray | float,
    sigma: np.ndarray | float,
    low: float,
    high: float,
) -> np.ndarray:
    """A normal distribution within limits, by inversion so that every draw takes one number."""

    lowest, highest = ndtr((low - mean) / sigma), ndtr((high - mean) / sigma)
    u = lowest + random.uniform(size=BLOCK_SIZE) * (highest - lowest)
    return np.clip(mean + sigma * ndtri(u), low, high)


def _draw_metallicity(mass: np.ndarray, random: np.random.Generator) -> np.ndarray:
    masses, *quantiles = _METALLICITY.T
    median, low, high = (np.interp(mass, masses, values) for values in quantiles)
    # Much of the published range is measurement error.
    return _truncated(random, median, (high - low) / 4, -2.0, 0.39)


def _draw_fractions(
    mass: np.ndarray, z: np.ndarray, quiescent: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Fractions of mass formed: gamma deviates about a delayed exponential, normalised."""

    time = age(torch.as_tensor(z)).numpy()
    # Main sequence of the local universe and its slow rise with redshift, per mass ever formed,
    # of which about half is still in stars.
    log_rate = 0.76 * mass - 7.64 - mass + np.log10(0.5) + 2.5 * np.log10((1 + z) / 1.05)
    suppressed = log_rate - random.uniform(2, 3, size=BLOCK_SIZE)
    per_time = 10 ** np.where(quiescent, suppressed, log_rate) * time
    # SFR ~ t exp(-t / tau) from the Big Bang on; x is the age of the universe over tau.
    x_table = np.linspace(1e-3, 25, 2000)
    table = x_table**2 * np.exp(-x_table) / gammainc(2, x_table)
    x = np.interp(np.log(per_time), np.log(table[::-1]), x_table[::-1])[:, None]
    edges = np.minimum(DEFAULT_EDGES, time[:, None])
    formed = gammainc(2, x * (1 - edges / time[:, None])) / gammainc(2, x)
    mean = formed[:, :-1] - formed[:, 1:]
    fractions = mean * random.gamma(_CONCENTRATION, size=mean.shape)
    return fractions / fractions.sum(1, keepdims=True)


def _draw_attenuation(
    mass: np.ndarray, quiescent: np.ndarray, ratio: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    x = np.clip(mass, 8.5, 11.5) - 10
    h_alpha = 0.91 + 0.77 * x + 0.11 * x**2 - 0.09 * x**3
    normal = random.standard_normal(BLOCK_SIZE)
    star_forming = np.maximum(h_alpha + 0.28 * normal, 0.02) / 0.82 / (1 + ratio)
    return np.where(quiescent, 0.15 * np.abs(normal), star_forming)


def _velocity_dispersion(mass: np.ndarray) -> np.ndarray:
    x = mass - 10.26
    return 10 ** (2.073 + np.where(x < 0, 0.403, 0.293) * x)


def _draw_radius(
    mass: np.ndarray, quiescent: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Half-light radii in kpc (Shen et al. 2003, eqs. 17 to 19 and table 1)."""

    x = 10**mass / 3.98e10
    late = 0.10 * 10 ** (0.14 * mass) * (1 + x) ** (0.39 - 0.14)
    early = 2.88e-6 * 10 ** (0.56 * mass)
    sigma = 0.34 + (0.47 - 0.34) / (1 + x**2)
    return np.where(quiescent, early, late) * np.exp(sigma * random.standard_normal(BLOCK_SIZE))


def _aperture_fraction(radius: np.ndarray, z: np.ndarray, quiescent: np.ndarray) -> np.ndarray:
    """Light of a Sersic profile within the fibre (Graham & Driver 2005, eq. 2), no seeing."""

    distance = luminosity_distance(torch.as_tensor(z)).numpy() / (1 + z) ** 2
    arcsec = radius / (distance * 1e3) * (180 / np.pi * 3600)
    n = np.where(quiescent, 4.0, 1.0)
    return gammainc(2 * n, gammaincinv(2 * n, 0.5) * (_FIBRE_RADIUS / arcsec) ** (1 / n))
