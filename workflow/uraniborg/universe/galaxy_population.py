"""The population of galaxies: what each parameter means, how it is drawn, and on whose authority.

Star-forming and quiescent galaxies follow an evolving mass function in comoving volume. A galaxy's
mass, redshift and kind set the mean of everything else: its star-formation history, metals, dust,
internal motions and size (`uraniborg.universe.relations`). It belongs to the survey if its
magnitudes, computed from its spectrum, are within the survey's limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr, ndtri

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.tables import Column
from uraniborg.universe.agn import AGN_PARAMETERS, draw_agn
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.cosmology import Z_LIMIT, comoving_volume_element
from uraniborg.universe.dust_emission import draw_dust_emission
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.gas import gas_metallicity, log_ionisation
from uraniborg.universe.histories import History, history
from uraniborg.universe.parameters import Parameter
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.relations import (
    angular_size,
    aperture_fraction,
    attenuation_slope,
    balmer_attenuation,
    half_light_radius,
    hyperparameters,
    main_sequence,
    mass_density,
    metallicity_quantiles,
    quiescent_fraction,
    starlight_correction,
    velocity_dispersion,
)

__all__ = ["PARAMETERS", "GalaxyPopulation", "Limit", "galaxy_columns"]


PARAMETERS = (
    Parameter(
        "z",
        "",
        "Redshift",
        "comoving volume from z_min to z_max within the survey's magnitude limits",
        "Planck Collaboration (2016)",
    ),
    Parameter(
        "stellar_mass",
        "",
        "log10 of the mass in living stars in M_sun",
        "evolving double Schechter function from 10^7.5 to 10^12.2 M_sun",
        "Leja et al. (2020)",
    ),
    Parameter(
        "quiescent",
        "",
        "Whether the galaxy has ceased to form stars",
        "1 - exp(-(M / M_q(z))^b) (1 - e): by mass or by environment",
        "Peng et al. (2010)",
        pa.bool_(),
    ),
    Parameter(
        "history",
        "",
        "Parameters of the star-formation history",
        "about the specific star-formation rate of the main sequence, log-normal, or for quiescent "
        "galaxies uniformly in its logarithm below it",
        "Speagle et al. (2014); see the basis",
    ),
    Parameter(
        "log_metallicity",
        "",
        "log10 of the metallicity of the stars over Z_sun = 0.02",
        "normal about the mass-metallicity relation, within -2 to 0.39",
        "Gallazzi et al. (2005)",
    ),
    Parameter(
        "A_V",
        "mag",
        "Attenuation of all light at V by diffuse dust",
        "star-forming: A(H-alpha) of mass / 0.82 / (1 + birth_cloud_ratio), normal, at least 0.02 "
        "mag in A(H-alpha); quiescent: half-normal",
        "Garn & Best (2010); quiescent assumed",
    ),
    Parameter(
        "birth_cloud_ratio",
        "",
        "Further A_V of stars younger than 10 Myr and of nebulae, over A_V",
        "normal +- 0.3 within 0 to 3",
        "Charlot & Fall (2000); Calzetti et al. (2000); scatter assumed",
    ),
    Parameter(
        "dust_slope",
        "",
        "Power of the wavelength by which attenuation deviates from Calzetti's curve",
        "normal +- 0.15 about a relation with A_V, within -1.2 to 0.4",
        "Chevallard et al. (2013); Salim et al. (2018); scatter assumed",
    ),
    Parameter(
        "gas_metallicity",
        "",
        "log10 of the metallicity of the gas over Z_sun",
        "normal +- 0.1 about the mass-metallicity relation, within -1.7 to 0.39 (the nebulae of "
        "the grid's highest metallicity are unusable)",
        "Tremonti et al. (2004), see uraniborg.universe.gas",
    ),
    Parameter(
        "log_u",
        "",
        "log10 of the ionisation parameter",
        "normal about -3.46 - 0.66 gas_metallicity +- 0.2 within -4 to -2",
        "after Carton et al. (2017), see uraniborg.universe.gas",
    ),
    *AGN_PARAMETERS,
    Parameter(
        "q_pah",
        "%",
        "Share of PAHs in the mass of dust",
        "log-normal +- 0.15 dex about 1.0 to 3.55, rising with gas_metallicity",
        "Draine et al. (2007); scatter assumed",
    ),
    Parameter(
        "u_min",
        "",
        "Intensity of the starlight that heats most dust, over that near the Sun",
        "log-normal +- 0.2 dex about 2 (sSFR / 10^-10 yr)^0.4 within 0.7 to 25",
        "range of Draine et al. (2007); dependence assumed",
    ),
    Parameter(
        "gamma",
        "",
        "Share of dust in more intense starlight",
        "log-normal +- 0.45 dex about 0.015 (sSFR / 10^-10 yr)^0.5, at most 0.3",
        "size of Draine et al. (2007); dependence assumed",
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
        "velocity_dispersion times a log-normal factor about 0.9, 0.1 dex; within 25 to 250",
        "Ho (2009); limits assumed",
    ),
    Parameter(
        "radius",
        "kpc",
        "Half-light radius",
        "log-normal about the mass-size relations of early and late types",
        "Shen et al. (2003)",
    ),
    Parameter(
        "angular_radius",
        "arcsec",
        "Half-light radius on the sky",
        "radius at the angular-diameter distance",
        "Planck Collaboration (2016)",
    ),
    Parameter(
        "aperture_fraction",
        "",
        "Fraction of the light in the survey's fibre",
        "Sersic profile of index 1 (star-forming) or 4 (quiescent) at the half-light radius",
        "Graham & Driver (2005)",
    ),
)
"""All parameters in the order of the truth table's columns."""


def galaxy_columns(basis: History) -> tuple[Column, ...]:
    """The schema of a table of galaxies' true parameters.

    Args:
        basis: Of the star-formation histories.
    """

    columns: list[Column] = []
    for parameter in PARAMETERS:
        if parameter.name == "history":
            columns.extend(basis.columns)
        else:
            columns.append(
                Column(parameter.name, parameter.type, parameter.unit, parameter.description)
            )
    return tuple(columns)


@dataclass(frozen=True)
class Limit:
    """A magnitude limit: half of the galaxies at `magnitude` are in the survey.

    Args:
        magnitude: AB, after Galactic extinction was corrected.
        width: Standard deviation in mag of the normal distribution by which the limit is soft, as
            magnitudes of the target selection differ from total ones.
    """

    magnitude: float
    width: float = 0.05


# Filters and faintest magnitude in r of the luminous red galaxies of SDSS (Eisenstein et al. 2001).
_RED_BAND = "sdss_r0"
_LUMINOUS_RED_BANDS = ("sdss_g0", _RED_BAND, "sdss_i0")
_LUMINOUS_RED_LIMIT = 19.2
_MASS_RANGE = (7.5, 12.2)
_STEPS_Z, _STEPS_MASS = 400, 188
# Candidates for the galaxies of a block that are tried at a time, and how often at most.
_CANDIDATES, _ROUNDS = 1536, 100
_PILOT = 8192


@dataclass(frozen=True)
class GalaxyPopulation:
    """Draws galaxies of a survey.

    Args:
        ssp_grid: The file of the rule `ssp_grid`.
        z_max: Largest redshift.
        z_min: Smallest redshift, above 0.
        limits: Magnitude limits by the name of an astro-sedpy filter; none for all galaxies.
        luminous_red: Whether galaxies that are too faint for the limit in r are in the survey if
            they are luminous red galaxies of SDSS (cut I of Eisenstein et al. 2001, to 19.2 mag).
        basis: Name of the basis of star-formation histories, see `histories.history`.
        history_basis: The file of the rule `history_basis`, needed by the basis `nmf`.
        fibre_diameter: Of the survey's aperture in arcsec.
        values: Hyperparameters that differ from those of `hyperparameter_file`.
        hyperparameter_file: A file of hyperparameters; None for the published ones.

    Raises:
        UserError: The redshifts are not a range, a filter or hyperparameter is unknown, no galaxy
            can be within the limits, or there is none that luminous red galaxies could be beyond.

    Example:
        >>> GalaxyPopulation(path, 0.4, limits={"sdss_r0": Limit(17.77)}).sample(0, 1000, seed=1)
    """

    ssp_grid: str | Path
    z_max: float = 0.4
    z_min: float = 0.003
    limits: Mapping[str, Limit] = field(default_factory=dict)
    luminous_red: bool = False
    basis: str = "dirichlet"
    history_basis: str | Path | None = None
    fibre_diameter: float = 3.0
    values: Mapping[str, float] = field(default_factory=dict)
    hyperparameter_file: str | Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.z_min < self.z_max <= Z_LIMIT:
            raise UserError(
                f"universe: z_min = {self.z_min} and z_max = {self.z_max} are no range of "
                f"redshifts; choose 0 < z_min < z_max <= {Z_LIMIT:g}."
            )
        if self.luminous_red and _RED_BAND not in self.limits:
            raise UserError(
                f"universe: luminous_red reaches beyond the limit in {_RED_BAND}, and there is "
                "none; add it to `limits`, or remove luminous_red."
            )

    @cached_property
    def history(self) -> History:
        """The basis of star-formation histories."""

        return history(self.basis, self.history_basis)

    @cached_property
    def hyperparameters(self) -> dict[str, float]:
        """Values of all hyperparameters by name."""

        return hyperparameters(self.values, self.hyperparameter_file)

    def model(self, grid: WavelengthGrid, **options: Any) -> GalaxyModel:  # noqa: ANN401
        """The model of the population's galaxies.

        Args:
            grid: Rest-frame grid.
            options: Of `GalaxyModel`.
        """

        h = self.hyperparameters
        return GalaxyModel(
            self.ssp_grid,
            grid,
            self.history,
            starlight=starlight_correction(grid.wavelength, h),
            ionising_fraction=h["ionising_fraction"],
            **options,
        )

    def sample(self, start: int, stop: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters of galaxies number `start` to `stop` of the survey with this seed.

        A galaxy is the same however the survey is cut into pieces.

        Returns:
            By name, arrays of shape (stop - start,), `history` (stop - start, B); float64, but
            `quiescent` is boolean.
        """

        drawn: dict[str, list[np.ndarray]] = {parameter.name: [] for parameter in PARAMETERS}
        for block, part in blocks(start, stop):
            for name, values in self._draw(generator(seed, block, "galaxies")).items():
                drawn[name].append(values[part])
        return {name: np.concatenate(pieces) for name, pieces in drawn.items()}

    def _draw(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """One block: the first candidates that are within the limits."""

        chosen: list[dict[str, np.ndarray]] = []
        missing = BLOCK_SIZE
        for _ in range(_ROUNDS):
            candidates = self._candidates(_CANDIDATES, random)
            within = self._within(candidates, random.uniform(size=_CANDIDATES))
            rows = np.flatnonzero(within)[:missing]
            chosen.append({name: values[rows] for name, values in candidates.items()})
            missing -= len(rows)
            if not missing:
                galaxies = {
                    name: np.concatenate([part[name] for part in chosen]) for name in chosen[0]
                }
                return self._complete(galaxies, random)
        raise UserError("universe: almost no galaxy is within the survey's limits; widen them.")

    def _candidates(self, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
        """What decides the magnitudes of galaxies that the limits may let in."""

        z_edges, mass_edges, cumulative = self._proposal
        uniform = random.uniform(size=(3, count))
        cell = np.searchsorted(cumulative, uniform[0] * cumulative[-1], side="right")
        kind, z_cell, mass_cell = np.unravel_index(cell, (2, _STEPS_Z, _STEPS_MASS))
        z = z_edges[z_cell] + uniform[1] * (z_edges[1] - z_edges[0])
        mass = mass_edges[mass_cell] + uniform[2] * (mass_edges[1] - mass_edges[0])
        return self._spectral_parameters(z, mass, kind == 1, random)

    def _spectral_parameters(
        self, z: np.ndarray, mass: np.ndarray, quiescent: np.ndarray, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        h, count = self.hyperparameters, len(z)
        # Of the mass ever formed about half is still in stars.
        log_ssfr = main_sequence(mass, z, h) - mass + np.log10(0.5)
        # The basis has a scatter of its own.
        scatter = np.sqrt(max(h["main_sequence_scatter"] ** 2 - 0.2**2, 0))
        depth = h["quenched_depth"] + h["quenched_range"] * random.uniform(size=count)
        depth += h["quenched_tilt"] * np.maximum(mass - 10.5, 0)
        log_ssfr += np.where(quiescent, -depth, scatter * random.standard_normal(count))
        mean, sigma = metallicity_quantiles(mass, quiescent, h)
        metallicity = _truncated(random, mean, sigma, -2.0, 0.39)
        ratio = _truncated(random, np.full(count, h["birth_cloud_ratio"]), 0.3, 0.0, 3.0)
        normal = random.standard_normal(count)
        balmer = balmer_attenuation(mass, h) + h["attenuation_scatter"] * normal
        A_V = np.where(
            quiescent,
            h["quiescent_attenuation"] * np.abs(normal),
            np.maximum(balmer, 0.02) / 0.82 / (1 + ratio),
        )
        gas = np.clip(gas_metallicity(mass) + 0.1 * random.standard_normal(count), -1.7, 0.39)
        slope = attenuation_slope(A_V, h) + 0.15 * random.standard_normal(count)
        return {
            "z": z,
            "stellar_mass": mass,
            "quiescent": quiescent,
            "history": self.history.draw(log_ssfr, z, random),
            "log_metallicity": metallicity,
            "A_V": A_V,
            "birth_cloud_ratio": ratio,
            "dust_slope": np.clip(slope, -1.2, 0.4),
            "gas_metallicity": gas,
            "log_u": np.clip(random.normal(log_ionisation(gas), 0.2), -4.0, -2.0),
            **draw_agn(mass, quiescent, random),
            **draw_dust_emission(log_ssfr, gas, random),
        }

    def _complete(
        self, galaxies: dict[str, np.ndarray], random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Adds what the limits do not depend on."""

        z, mass, quiescent = (galaxies[name] for name in ("z", "stellar_mass", "quiescent"))
        normal = random.standard_normal((3, len(z)))
        dispersion = velocity_dispersion(mass) * 10 ** (np.where(quiescent, 0.08, 0.13) * normal[0])
        median, scatter = half_light_radius(mass, quiescent)
        radius = median * np.exp(scatter * normal[2])
        galaxies |= {
            "velocity_dispersion": dispersion,
            "gas_dispersion": np.clip(0.9 * dispersion * 10 ** (0.1 * normal[1]), 25.0, 250.0),
            "radius": radius,
            "angular_radius": angular_size(radius, z),
            "aperture_fraction": aperture_fraction(radius, z, quiescent, self.fibre_diameter),
        }
        return {parameter.name: galaxies[parameter.name] for parameter in PARAMETERS}

    def _within(self, candidates: Mapping[str, np.ndarray], chance: np.ndarray) -> np.ndarray:
        """Whether candidates are within all limits, given a uniform random number of each."""

        margin = self._seen(candidates, np.float32) - chance
        # A sum in another order must not let another galaxy in.
        close = np.flatnonzero(np.abs(margin) < 1e-3)
        rows = {name: values[close] for name, values in candidates.items()}
        margin[close] = self._seen(rows, np.float64) - chance[close]
        return margin > 0

    def _seen(self, candidates: Mapping[str, np.ndarray], dtype: type) -> np.ndarray:
        """Probability to be within all limits."""

        probability = np.ones(len(candidates["z"]))
        if not self.limits or not len(probability):
            return probability
        magnitudes = dict(zip(self._bands, self._magnitudes(candidates, dtype).T, strict=True))
        for name, limit in self.limits.items():
            within = ndtr((limit.magnitude - magnitudes[name]) / limit.width)
            if self.luminous_red and name == _RED_BAND:
                g, r, i = (magnitudes[band] for band in _LUMINOUS_RED_BANDS)
                within = np.where(_luminous_red(g, r, i), 1.0, within)
            probability *= within
        return probability

    def _magnitudes(
        self, candidates: Mapping[str, np.ndarray], dtype: type = np.float32
    ) -> np.ndarray:
        """AB magnitudes in `_bands`, shape (N, bands)."""

        model, bands = self._photometry
        parameters = {
            name: torch.as_tensor(values if name == "z" else values.astype(dtype))
            for name, values in candidates.items()
        }
        with torch.inference_mode():
            flux = bands(model.flux(parameters), parameters["z"])
        return 22.5 - 2.5 * np.log10(flux.double().numpy())

    @property
    def _bands(self) -> tuple[str, ...]:
        """Names of the filters that decide: those of the limits come first."""

        more = _LUMINOUS_RED_BANDS if self.luminous_red else ()
        return tuple(dict.fromkeys([*self.limits, *more]))

    @cached_property
    def _photometry(self) -> tuple[GalaxyModel, BandFluxes]:
        filters = [read_filter(name) for name in self._bands]
        grid = band_grid(filters, self.z_max)
        return self.model(grid, velocities=False), BandFluxes(filters, grid)

    @cached_property
    def _proposal(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges in redshift and mass, and the cumulative number in cells of (kind, z, mass) whose
        galaxies may be within the limits."""

        h = self.hyperparameters
        z_edges = np.linspace(self.z_min, self.z_max, _STEPS_Z + 1)
        mass_edges = np.linspace(*_MASS_RANGE, _STEPS_MASS + 1)
        z = (z_edges[1:] + z_edges[:-1]) / 2
        mass = (mass_edges[1:] + mass_edges[:-1]) / 2
        grid_z, grid_mass = np.meshgrid(z, mass, indexing="ij")
        number = mass_density(grid_mass, grid_z, h)
        number *= comoving_volume_element(torch.as_tensor(z)).numpy()[:, None]
        quiescent = quiescent_fraction(grid_mass, grid_z, h)
        kinds = np.stack([number * (1 - quiescent), number * quiescent])
        brightest = self._brightest(grid_z, grid_mass)
        for (name, limit), levels in zip(self.limits.items(), brightest, strict=True):
            faintest = limit.magnitude + 4 * limit.width
            if self.luminous_red and name == _RED_BAND:
                faintest = max(faintest, _LUMINOUS_RED_LIMIT)
            kinds *= levels < faintest
        cumulative = np.cumsum(kinds)
        if not cumulative[-1] > 0:
            raise UserError("universe: no galaxy is within the survey's limits; widen them.")
        return z_edges, mass_edges, cumulative

    def _brightest(self, z: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Magnitudes that one galaxy in a thousand exceeds, (bands, kinds, *z.shape).

        By a regression on a pilot sample, so that candidates are drawn where galaxies can be seen.
        """

        if not self.limits:
            return np.empty((0, 2, *z.shape))
        random = np.random.default_rng(0)
        levels = []
        for quiescent in (False, True):
            pilot = self._spectral_parameters(
                random.uniform(self.z_min, self.z_max, _PILOT),
                random.uniform(*_MASS_RANGE, _PILOT),
                np.full(_PILOT, quiescent),
                random,
            )
            features = _features(pilot["z"], pilot["stellar_mass"])
            magnitudes = self._magnitudes(pilot)[:, : len(self.limits)]
            solution = np.linalg.lstsq(features, magnitudes, rcond=None)[0]
            # The scatter differs with mass.
            bins = np.array_split(np.argsort(pilot["stellar_mass"]), _PILOT // 1024)
            centres = [pilot["stellar_mass"][rows].mean() for rows in bins]
            residual = features @ solution - magnitudes
            margins = np.stack([np.quantile(residual[rows], 0.999, axis=0) for rows in bins])
            predicted = (_features(z.ravel(), mass.ravel()) @ solution).T
            margin = [np.interp(mass.ravel(), centres, column) for column in margins.T]
            levels.append((predicted - np.stack(margin)).reshape(-1, *z.shape))
        return np.stack(levels, axis=1)


def _luminous_red(g: np.ndarray, r: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Cut I of Eisenstein et al. (2001, eqs. 1 to 6) but for its surface brightness."""

    perpendicular = (r - i) - (g - r) / 4 - 0.18
    parallel = 0.7 * (g - r) + 1.2 * ((r - i) - 0.18)
    luminous = (r < 13.1 + parallel / 0.3) & (r < _LUMINOUS_RED_LIMIT)
    return luminous & (np.abs(perpendicular) < 0.2)


def _features(z: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """What magnitudes depend on: distance, redshift and mass, (N, 13)."""

    x, y = mass - 10.5, np.log(z)
    powers = [x**n for n in range(6)] + [z**n for n in range(1, 4)]
    return np.stack([*powers, y, y**2, x * z, x**2 * z], axis=1)


def _truncated(
    random: np.random.Generator,
    mean: np.ndarray,
    sigma: np.ndarray | float,
    low: float,
    high: float,
) -> np.ndarray:
    """A normal distribution within limits, by inversion so that every draw takes one number."""

    lowest, highest = ndtr((low - mean) / sigma), ndtr((high - mean) / sigma)
    u = lowest + random.uniform(size=len(mean)) * (highest - lowest)
    return np.clip(mean + sigma * ndtri(u), low, high)
