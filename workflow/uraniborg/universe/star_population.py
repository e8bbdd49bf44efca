"""The population of stars in a field at high Galactic latitude, seen to a limit in r.

The main sequence, giants and white dwarfs of a thin disc, a thick disc and a halo. Numbers of stars
come from a luminosity function and the volume in which each luminosity is seen: the disc's density
falls with height, so that stars of any luminosity seen far outside it are rare. A coarse Milky Way:
what matters is that all kinds occur, in roughly the right proportions, with the right colours.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.galaxy_population import Parameter
from uraniborg.universe.star_basis import dwarf_gravity

__all__ = ["PARAMETERS", "StarPopulation", "star_columns"]

PARAMETERS = (
    Parameter(
        "z",
        "",
        "Radial velocity over the speed of light",
        "normal, dispersion of the component (35, 60, 120 km/s) and for thick disc and halo a lag",
        "Bland-Hawthorn & Gerhard (2016), rounded",
    ),
    Parameter(
        "r_magnitude",
        "mag",
        "Apparent AB magnitude in SDSS r, extinction included",
        "luminosity function times the density along the line of sight, from 12 to r_limit",
        "Juric et al. (2008), rounded; luminosity functions rounded",
    ),
    Parameter(
        "temperature",
        "K",
        "Effective temperature",
        "main sequence by luminosity; giants; cooling white dwarfs",
        "Pecaut & Mamajek (2013), rounded; giants and white dwarfs assumed",
    ),
    Parameter(
        "log_g",
        "",
        "log10 of the surface gravity in cm/s2",
        "of the main sequence (scatter 0.08), of giants by luminosity, 8.0 for white dwarfs",
        "Pecaut & Mamajek (2013), rounded; Bergeron et al. (1992) for white dwarfs",
    ),
    Parameter(
        "metallicity",
        "",
        "[Fe/H]",
        "normal: -0.05 (0.20) thin disc, -0.55 (0.25) thick disc, -1.5 (0.4) halo",
        "Bland-Hawthorn & Gerhard (2016); Ivezic et al. (2008), rounded",
    ),
    Parameter(
        "A_V",
        "mag",
        "Extinction by foreground dust in V",
        "exponential about A_V, proportional to the dust layer in front of near stars",
        "assumed",
    ),
    Parameter(
        "kind",
        "",
        "Component of the Milky Way: 0 thin disc, 1 thick disc, 2 halo",
        "by density at the star's distance",
        "Juric et al. (2008), rounded",
        pa.int64(),
    ),
)
"""The parameters of stars; those of `StarModel` and the component."""

# Main sequence: absolute r magnitude, log10 temperature, and log10 of the number per pc3 and mag in
# the solar neighbourhood (luminosity function of Wielen et al. 1983 and Reid et al. 2002, rounded).
_SEQUENCE = np.array([
    (-4.0, 4.53, -7.0), (-2.0, 4.34, -5.6), (0.0, 4.08, -4.2), (1.0, 3.97, -3.7), (2.0, 3.90, -3.4),
    (3.0, 3.845, -3.0), (4.0, 3.79, -2.75), (5.0, 3.745, -2.6), (6.0, 3.70, -2.55),
    (7.0, 3.645, -2.5), (8.0, 3.60, -2.4), (9.0, 3.572, -2.2), (10.0, 3.548, -2.0),
    (11.0, 3.524, -1.9), (12.0, 3.505, -1.95), (13.0, 3.485, -2.1), (14.0, 3.468, -2.3),
    (15.5, 3.445, -2.5), (17.0, 3.42, -2.7),
])  # fmt: skip
# Giants: absolute r magnitude, log10 temperature, log g, log10 density (red clump at 0.6).
_GIANTS = np.array([
    (-1.5, 3.58, 1.1, -5.2), (-0.5, 3.625, 1.7, -4.6), (0.3, 3.665, 2.3, -4.1),
    (0.7, 3.675, 2.45, -3.8), (1.2, 3.68, 2.7, -4.3), (2.5, 3.70, 3.3, -3.9),
    (3.5, 3.73, 3.8, -3.6),
])  # fmt: skip
# White dwarfs: absolute r magnitude, log10 temperature, log10 density (Harris et al. 2006, AJ 131,
# 571, rounded).
_WHITE_DWARFS = np.array([
    (9.5, 4.65, -5.0), (10.5, 4.38, -4.3), (11.5, 4.15, -3.75), (12.3, 4.02, -3.45),
    (13.2, 3.91, -3.15), (14.2, 3.80, -2.95), (14.8, 3.745, -2.9),
])  # fmt: skip
_HOTTEST = 3.845
# Components: share of local density, scale height in pc, [Fe/H] and its scatter, velocity
# dispersion and lag in km/s. The halo's density falls as distance from the centre to -2.75.
_SHARES = np.array([0.88, 0.117, 0.003])
_HEIGHTS = np.array([300.0, 900.0, np.inf])
_METALS = np.array([(-0.05, 0.20), (-0.55, 0.25), (-1.5, 0.40)])
_DISPERSION, _LAG = np.array([35.0, 60.0, 120.0]), np.array([0.0, 35.0, 180.0])
_SUN, _DUST_HEIGHT = 8100.0, 100.0
_C = 299792.458
_BRIGHTEST, _STEP = 12.0, 0.1


@dataclass(frozen=True)
class StarPopulation:
    """Draws stars.

    Args:
        r_limit: Faintest apparent r magnitude (AB); the brightest is 12.
        latitude: Galactic latitude of the field in degrees, 20 to 90.
        A_V: Extinction in V through all of the dust layer, in magnitudes.

    Raises:
        UserError: A setting is out of range.

    Example:
        >>> StarPopulation(r_limit=20).sample(0, 1000, seed=1)["temperature"].shape
        (1000,)
    """

    r_limit: float = 20.0
    latitude: float = 60.0
    A_V: float = 0.1

    def __post_init__(self) -> None:
        if not _BRIGHTEST < self.r_limit <= 26 or not 20 <= self.latitude <= 90 or self.A_V < 0:
            raise UserError(
                f"universe: stars of r_limit = {self.r_limit}, latitude = {self.latitude} and "
                f"A_V = {self.A_V} are not simulated; choose r_limit between {_BRIGHTEST:g} and "
                "26, latitude between 20 and 90, and A_V from 0."
            )

    def sample(self, start: int, stop: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters of stars number `start` to `stop` of the survey with this seed.

        A star is the same however the survey is cut into pieces.

        Returns:
            By name, arrays of shape (stop - start,), float64 but for `kind`.
        """

        drawn: dict[str, list[np.ndarray]] = {parameter.name: [] for parameter in PARAMETERS}
        for block, part in blocks(start, stop):
            for name, values in self._draw(generator(seed, block, "stars")).items():
                drawn[name].append(values[part])
        return {name: np.concatenate(pieces) for name, pieces in drawn.items()}

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Absolute and apparent magnitudes, and the cumulative number of (sort, M, m, kind)."""

        absolute = np.arange(-4.0, 17.0, _STEP) + _STEP / 2
        apparent = np.arange(_BRIGHTEST, self.r_limit, _STEP) + _STEP / 2
        distance = 10 ** ((apparent - absolute[:, None] + 5) / 5)
        volume = distance**3
        number = []
        for sort, table in enumerate((_SEQUENCE, _GIANTS, _WHITE_DWARFS)):
            local = 10 ** np.interp(absolute, table[:, 0], table[:, -1])
            local = local * ((absolute >= table[0, 0]) & (absolute <= table[-1, 0]))
            density = self._density(distance) * volume[..., None] * local[:, None, None]
            if sort == 0:
                # Old populations have no stars above their turn-off.
                hot = np.interp(absolute, *table.T[:2]) > _HOTTEST - 0.03
                density[hot, :, 1:] = 0
                density[np.interp(absolute, *table.T[:2]) > 3.81, :, 2] = 0
            number.append(density)
        number = np.stack(number)
        return absolute, apparent, np.array(number.shape), number.cumsum()

    def _density(self, distance: np.ndarray) -> np.ndarray:
        """Density of the components over the local total, shape (..., 3)."""

        height = distance * np.sin(np.radians(self.latitude))
        disc = _SHARES[:2] * np.exp(-height[..., None] / _HEIGHTS[:2])
        # Towards a Galactic longitude of 90 degrees, a typical distance from the centre.
        radius = np.sqrt(_SUN**2 + distance**2)
        halo = _SHARES[2] * (radius / _SUN) ** -2.75
        return np.concatenate([disc, halo[..., None]], axis=-1)

    def _draw(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """One block."""

        absolute, apparent, shape, cumulative = self._cells
        uniform = random.uniform(size=(4, BLOCK_SIZE))
        normal = random.standard_normal((5, BLOCK_SIZE))
        cell = np.searchsorted(cumulative, uniform[0] * cumulative[-1], side="right")
        sort, row, column, kind = np.unravel_index(cell, tuple(shape))
        magnitude = absolute[row] + (uniform[1] - 0.5) * _STEP
        observed = apparent[column] + (uniform[2] - 0.5) * _STEP

        mean, scatter = _METALS[kind].T
        metallicity = np.clip(mean + scatter * normal[0], -2.7, 0.5)
        tables = (_SEQUENCE, _GIANTS, _WHITE_DWARFS)
        log_t = np.stack([np.interp(magnitude, *table.T[:2]) for table in tables])[sort, _rows()]
        # Metal-poor dwarfs and giants of the same luminosity are hotter.
        log_t = log_t + np.where((sort < 2) & (log_t < 3.83), -0.025 * metallicity, 0)
        log_t = log_t + 0.006 * normal[1]
        temperature = 10**log_t
        sequence = dwarf_gravity(temperature)
        giants = np.interp(magnitude, _GIANTS[:, 0], _GIANTS[:, 2])
        gravity = np.stack([sequence + 0.08 * normal[2], giants + 0.15 * normal[2],
                            np.clip(8 + 0.2 * normal[2], 7.4, 8.8)])  # fmt: skip

        distance = 10 ** ((observed - magnitude + 5) / 5)
        height = distance * np.sin(np.radians(self.latitude))
        layer = self.A_V * -np.log1p(-uniform[3] * (1 - 1e-4)) * -np.expm1(-height / _DUST_HEIGHT)
        velocity = _DISPERSION[kind] * normal[3] - _LAG[kind] * 0.7 * np.abs(normal[4])
        return {
            "z": velocity / _C,
            "r_magnitude": observed,
            "temperature": temperature,
            "log_g": gravity[sort, _rows()],
            "metallicity": metallicity,
            "A_V": layer,
            "kind": kind.astype(np.int64),
        }


def star_columns() -> tuple[Column, ...]:
    """The schema of a table of stars' true parameters."""

    return tuple(Column(p.name, p.type, p.unit, p.description) for p in PARAMETERS)


def _rows() -> np.ndarray:
    return np.arange(BLOCK_SIZE)
