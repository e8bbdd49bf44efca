"""The population of quasars: what each parameter means, how it is drawn, and on whose authority.

Numbers by redshift and luminosity follow the optical luminosity function of Ross et al. (2013, ApJ
773, 14): pure luminosity evolution below redshift 2.2, luminosity and density evolution above, here
continued beyond 3.5.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch

from uraniborg.errors import UserError
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.cosmology import comoving_volume_element, luminosity_distance
from uraniborg.universe.galaxy_population import Parameter

__all__ = ["PARAMETERS", "QuasarPopulation", "quasar_columns"]

PARAMETERS = (
    Parameter(
        "z",
        "",
        "Redshift",
        "luminosity function and comoving volume from z_min to z_max, seen through i_limit",
        "Ross et al. (2013)",
    ),
    Parameter(
        "log_luminosity",
        "",
        "log10 of wavelength x luminosity density at 5100 A, unreddened, in erg/s",
        "luminosity function, by the quasar's own slope from 2500 A",
        "Ross et al. (2013); Richards et al. (2006), eq. 4",
    ),
    Parameter(
        "slope",
        "",
        "Power of the wavelength that the continuum goes with below 5000 A",
        "normal, mean -1.66 (so that reddened composites have -1.56), standard deviation 0.25",
        "Vanden Berk et al. (2001); scatter after Richards et al. (2003), rounded",
    ),
    Parameter(
        "red_slope",
        "",
        "The same from 5000 A to 1 um, the host's light included",
        "normal, mean 0.45 below 10^44.3 erg/s falling to -1.2 above 10^45.8, standard deviation "
        "0.2, at least the slope",
        "Vanden Berk et al. (2001); Glikman et al. (2006); run with luminosity assumed",
    ),
    Parameter(
        "hot_dust",
        "",
        "Peak of wavelength x luminosity of dust of 1260 K over that of the power law at 5100 A",
        "lognormal, median 0.7, 0.15 dex",
        "Glikman et al. (2006) for the temperature; amplitude assumed",
    ),
    Parameter(
        "fwhm",
        "km/s",
        "Full width at half maximum of broad lines",
        "lognormal, median 4500 km/s, 0.15 dex, 1500 to 12,000 km/s",
        "Shen et al. (2011), rounded",
    ),
    Parameter(
        "blueshift",
        "km/s",
        "Blueshift of lines of high ionisation (C IV, Si IV, O VI, Lyman alpha)",
        "normal, mean 800 at 10^46 erg/s and 300 more per dex, standard deviation 500, from -500 "
        "to 3500 km/s",
        "Richards et al. (2011); Shen et al. (2016), rounded",
    ),
    Parameter(
        "strength_lya",
        "",
        "log10 of the equivalent widths of Lyman alpha, N V and O VI over their mean",
        "normal, -0.08 per dex of luminosity, standard deviation 0.12",
        "Dietrich et al. (2002), rounded; scatter assumed",
    ),
    Parameter(
        "strength_civ",
        "",
        "log10 of the equivalent widths of C IV and Si IV over their mean",
        "normal, -0.17 per dex of luminosity, standard deviation 0.15",
        "Baldwin (1977); Kinney et al. (1990); scatter assumed",
    ),
    Parameter(
        "strength_mgii",
        "",
        "log10 of the equivalent widths of Mg II and C III] over their mean",
        "normal, -0.09 per dex of luminosity, standard deviation 0.12",
        "Dietrich et al. (2002), rounded; scatter assumed",
    ),
    Parameter(
        "strength_balmer",
        "",
        "log10 of the equivalent widths of Balmer and helium lines over their mean",
        "normal, standard deviation 0.12",
        "assumed",
    ),
    Parameter(
        "strength_iron",
        "",
        "log10 of the equivalent widths of Fe II over their mean",
        "normal, standard deviation 0.18",
        "assumed",
    ),
    Parameter(
        "strength_narrow",
        "",
        "log10 of the equivalent widths of narrow forbidden lines over their mean",
        "normal about -0.8 times that of iron, -0.15 per dex of luminosity, standard deviation "
        "0.25",
        "Boroson & Green (1992) for the anticorrelation; sizes assumed",
    ),
    Parameter(
        "reddening",
        "mag",
        "E(B - V) of dust like that of the Small Magellanic Cloud",
        "exponential, mean 0.012; 0.023 and 0.08 more on average with absorption of high and low "
        "ionisation",
        "Richards et al. (2003); Reichard et al. (2003)",
    ),
    Parameter(
        "bal",
        "",
        "Broad absorption: 0 none, 1 high ionisation, 2 also low, 3 also iron",
        "fraction bal_fraction at any redshift; 12% of these low, 2% iron",
        "Trump et al. (2006) and Gibson et al. (2009), rounded",
        pa.int64(),
    ),
    Parameter(
        "bal_v_min",
        "km/s",
        "Slowest outflow of the trough",
        "exponential from 2000, scale 4000, below 15,000 km/s",
        "assumed",
    ),
    Parameter(
        "bal_v_max",
        "km/s",
        "Fastest outflow of the trough",
        "2500 to 12,000 km/s beyond the slowest, log-uniform, at most 25,000 km/s",
        "assumed within the definition of Weymann et al. (1991)",
    ),
    Parameter(
        "bal_depth",
        "",
        "Depth of the trough of C IV",
        "uniform, 0.4 to 0.98",
        "assumed",
    ),
    Parameter(
        "bal_shape",
        "",
        "Number from 0 to 1 that decides the structure within the trough",
        "uniform",
        "assumed",
    ),
    Parameter(
        "forest",
        "",
        "Seed of the Lyman-alpha forest; the mean absorption if negative",
        "integers, or -1 where forest is off",
        "assumed",
        pa.int64(),
    ),
)
"""The parameters of quasars."""

# Luminosity function in M_i(z=2) (Ross et al. 2013, table 8): knee and slopes below and above
# redshift 2.2, their evolution, log10 of the density in Mpc^-3 mag^-1.
_PIVOT_Z = 2.2
_LOW = {"faint": -1.16, "bright": -3.37, "knee": -22.85, "k1": 1.241, "k2": -0.249, "phi": -5.96}
_HIGH = {"faint": -1.29, "bright": -3.51, "knee": -26.57, "c1": -0.689, "c2": -0.809, "phi": -5.93}
_STEPS_Z, _STEPS_M = 300, 160
_BRIGHTEST, _FAINTEST = -30.0, -20.0
# Luminosities at which equivalent widths are those of the composite: about the mean of the quasars
# that show the lines in it.
_ULTRAVIOLET, _NEAR_ULTRAVIOLET, _OPTICAL = 46.0, 45.6, 45.0
_CM_PER_10PC = 3.085677581e19


@dataclass(frozen=True)
class QuasarPopulation:
    """Draws quasars.

    Args:
        z_max: Largest redshift.
        z_min: Smallest redshift, 0.1 or more.
        i_limit: Faintest apparent magnitude in i (AB), of the mean power law without lines, so that
            the true limit is soft by some 0.2 mag.
        bal_fraction: Fraction of quasars with broad absorption; troughs of high ionisation are
            seen in optical spectra above redshift 1.5 only.
        forest: Whether quasars have a random Lyman-alpha forest, or its mean.

    Raises:
        UserError: A setting is out of range.

    Example:
        >>> QuasarPopulation(z_max=3.5).sample(0, 1000, seed=1)["z"].shape
        (1000,)
    """

    z_max: float = 4.0
    z_min: float = 0.3
    i_limit: float = 20.5
    bal_fraction: float = 0.15
    forest: bool = True

    def __post_init__(self) -> None:
        if not 0.1 <= self.z_min < self.z_max <= 6.0:
            raise UserError(
                f"universe: quasars from z_min = {self.z_min} to z_max = {self.z_max} are not "
                "simulated; choose 0.1 <= z_min < z_max <= 6."
            )
        if not 0 <= self.bal_fraction <= 1:
            raise UserError(
                f"universe: bal_fraction = {self.bal_fraction} is no fraction; choose 0 to 1."
            )

    def sample(self, start: int, stop: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters of quasars number `start` to `stop` of the survey with this seed.

        A quasar is the same however the survey is cut into pieces.

        Returns:
            By name, arrays of shape (stop - start,), float64 but for `bal` and `forest`.

        Raises:
            UserError: No quasar is as bright as the limit.
        """

        drawn: dict[str, list[np.ndarray]] = {parameter.name: [] for parameter in PARAMETERS}
        for block, part in blocks(start, stop):
            for name, values in self._draw(generator(seed, block, "quasars")).items():
                drawn[name].append(values[part])
        return {name: np.concatenate(pieces) for name, pieces in drawn.items()}

    @cached_property
    def _density(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges in redshift and M_i(z=2), and the cumulative number in cells of (z, M)."""

        z_edges = np.linspace(self.z_min, self.z_max, _STEPS_Z + 1)
        m_edges = np.linspace(_BRIGHTEST, _FAINTEST, _STEPS_M + 1)
        z = ((z_edges[1:] + z_edges[:-1]) / 2)[:, None]
        m = (m_edges[1:] + m_edges[:-1]) / 2
        modulus = 5 * torch.log10(luminosity_distance(torch.as_tensor(z))).numpy() + 25
        # The K correction of a power law of slope -0.44 in frequency, zero at redshift 2.
        apparent = m + modulus - 2.5 * (1 - 0.44) * np.log10((1 + z) / 3)
        volume = comoving_volume_element(torch.as_tensor(z)).numpy()
        number = _luminosity_function(m, z) * volume * (apparent < self.i_limit)
        if not number.any():
            raise UserError(f"universe: no quasar is brighter than i_limit = {self.i_limit}.")
        return z_edges, m_edges, np.cumsum(number)

    def _draw(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """One block."""

        z_edges, m_edges, cumulative = self._density
        uniform = random.uniform(size=(9, BLOCK_SIZE))
        normal = random.standard_normal((11, BLOCK_SIZE))
        cell = np.searchsorted(cumulative, uniform[0] * cumulative[-1], side="right")
        z_cell, m_cell = np.unravel_index(cell, (_STEPS_Z, _STEPS_M))
        z = z_edges[z_cell] + uniform[1] * (z_edges[1] - z_edges[0])
        magnitude = m_edges[m_cell] + uniform[2] * (m_edges[1] - m_edges[0])

        slope = -1.66 + 0.25 * normal[0]
        luminosity = _log_luminosity(magnitude) + (1 + slope) * np.log10(5100 / 2500)
        host = np.clip((45.8 - luminosity) / 1.5, 0, 1)
        iron = 0.18 * normal[1]
        bal = (uniform[3] < self.bal_fraction).astype(np.int64)
        bal += bal * ((uniform[4] < 0.14).astype(np.int64) + (uniform[4] < 0.02))
        slow = np.minimum(2000 - 4000 * np.log1p(-uniform[5]), 15000)
        extra = np.array([0.0, 0.023, 0.08, 0.12])[bal]
        seeds = random.integers(2**31, size=BLOCK_SIZE)
        return {
            "z": z,
            "log_luminosity": luminosity,
            "slope": slope,
            "red_slope": np.maximum(-1.2 + 1.65 * host + 0.2 * normal[2], slope),
            "hot_dust": 0.7 * 10 ** (0.15 * normal[3]),
            "fwhm": np.clip(4500 * 10 ** (0.15 * normal[4]), 1500, 12000),
            "blueshift": np.clip(800 + 300 * (luminosity - 46) + 500 * normal[5], -500, 3500),
            "strength_lya": -0.08 * (luminosity - _ULTRAVIOLET) + 0.12 * normal[6],
            "strength_civ": -0.17 * (luminosity - _ULTRAVIOLET) + 0.15 * normal[7],
            "strength_mgii": -0.09 * (luminosity - _NEAR_ULTRAVIOLET) + 0.12 * normal[8],
            "strength_balmer": 0.12 * normal[9],
            "strength_iron": iron,
            "strength_narrow": -0.8 * iron - 0.15 * (luminosity - _OPTICAL) + 0.25 * normal[10],
            "reddening": -(0.012 + extra) * np.log1p(-uniform[6]),
            "bal": bal,
            "bal_v_min": slow,
            "bal_v_max": np.minimum(slow + 2500 * (12000 / 2500) ** uniform[7], 25000),
            "bal_depth": 0.4 + 0.58 * uniform[8],
            "bal_shape": random.uniform(size=BLOCK_SIZE),
            "forest": seeds if self.forest else np.full(BLOCK_SIZE, -1),
        }


def quasar_columns() -> tuple[Column, ...]:
    """The schema of a table of quasars' true parameters."""

    return tuple(Column(p.name, p.type, p.unit, p.description) for p in PARAMETERS)


def _luminosity_function(magnitude: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Quasars per Mpc^3 and magnitude, a double power law in M_i(z=2)."""

    low = z < _PIVOT_Z
    knee = np.where(
        low,
        _LOW["knee"] - 2.5 * (_LOW["k1"] * z + _LOW["k2"] * z**2),
        _HIGH["knee"] + _HIGH["c2"] * (z - _PIVOT_Z),
    )
    phi = np.where(low, _LOW["phi"], _HIGH["phi"] + _HIGH["c1"] * (z - _PIVOT_Z))
    faint = np.where(low, _LOW["faint"], _HIGH["faint"])
    bright = np.where(low, _LOW["bright"], _HIGH["bright"])
    x = 0.4 * (magnitude - knee)
    return 10**phi / (10 ** (x * (faint + 1)) + 10 ** (x * (bright + 1)))


def _log_luminosity(magnitude: np.ndarray) -> np.ndarray:
    """log10 of wavelength x luminosity density at 2500 A in erg/s (Richards et al. 2006, eq. 4)."""

    per_frequency = -0.4 * (magnitude + 48.60 + 2.5 * np.log10(3)) + np.log10(
        4 * np.pi * _CM_PER_10PC**2
    )
    return per_frequency + np.log10(2.99792458e18 / 2500)
