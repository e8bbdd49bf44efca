"""Galaxies, stars and quasars of a simulated survey as its instrument sees them.

Of galaxies the light within the fibre counts, of point sources all: surveys calibrate spectra so
that stars lose nothing.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.instruments.wavelengths import source_grid
from uraniborg.surveys.population import Resources, galaxy_population
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE
from uraniborg.universe.parameters import Parameter
from uraniborg.universe.quasar_population import PARAMETERS as QUASAR_PARAMETERS
from uraniborg.universe.quasar_population import QuasarPopulation
from uraniborg.universe.quasars import QuasarModel
from uraniborg.universe.star_population import PARAMETERS as STAR_PARAMETERS
from uraniborg.universe.star_population import StarPopulation
from uraniborg.universe.stars import StarModel

__all__ = [
    "QUASAR_Z",
    "STAR_Z",
    "Galaxies",
    "PointSources",
    "View",
    "quasar_view",
    "quasars",
    "star_view",
    "stars",
]

STAR_Z = (-0.005, 0.005)
"""Radial velocities of stars stay within a thousandth of that of light."""

QUASAR_Z = (0.3, 4.0)
"""Redshifts of quasars."""


class Galaxies:
    """Galaxies seen by a spectrograph.

    Args:
        survey: Its section `universe` says which galaxies.
        spectrograph: What observes them.
        resources: What they are made from.
    """

    def __init__(self, survey: Survey, spectrograph: Spectrograph, resources: Resources) -> None:
        self.population = galaxy_population(survey, resources, spectrograph.fibre_diameter)
        self.model = self.population.model(source_grid(spectrograph.grid, self.population.z_max))
        self.spectrograph = spectrograph

    def sample(self, block: int, seed: int) -> dict[str, np.ndarray]:
        """Parameters of the galaxies of a block."""

        first = block * BLOCK_SIZE
        return self.population.sample(first, first + BLOCK_SIZE, seed)

    def view(self, parameters: Mapping[str, np.ndarray]) -> Tensor:
        """Noiseless flux density in observed pixels, shape (N, spectrograph.grid.size)."""

        # Light is proportional to the mass of the stars; the nucleus is within the fibre.
        in_fibre = parameters["stellar_mass"] + np.log10(parameters["aperture_fraction"])
        flux = self.model.flux({**parameters, "stellar_mass": in_fibre})
        return self.spectrograph.view(flux, self.model.grid, torch.as_tensor(parameters["z"]))

    def covered(self, z: np.ndarray) -> Tensor:
        """Pixels of `view` that owe nothing to wavelengths not computed, of the same shape."""

        return self.spectrograph.covered(self.model.grid, torch.as_tensor(z))


class View(NamedTuple):
    """How an instrument sees objects.

    Args:
        grid: Rest-frame grid on which their flux density is computed.
        look: What the instrument makes of flux density, (N, grid.size), at redshifts, (N,).
    """

    grid: WavelengthGrid
    look: Callable[[Tensor, Tensor], Tensor]


class PointSources:
    """Stars or quasars seen by an instrument.

    Args:
        name: What they are; columns of the truth table begin with it.
        population: Draws them.
        parameters: Of the population.
        brightness: Which parameter follows the flux, and the factor of log10 of it.
        model: Their spectra.
        look: See `View`.
        seed: Of the survey.
    """

    def __init__(
        self,
        name: str,
        population: StarPopulation | QuasarPopulation,
        parameters: tuple[Parameter, ...],
        brightness: tuple[str, float],
        model: StarModel | QuasarModel,
        look: Callable[[Tensor, Tensor], Tensor],
        seed: int,
    ) -> None:
        self.name, self.population, self.model = name, population, model
        self.brightness, self.look, self.seed = brightness, look, seed
        self.columns = tuple(
            Column(f"{name}_{p.name}", p.type, p.unit, f"Of the {name}: {p.description}")
            for p in parameters
        )

    def sample(self, block: int, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of the sources at some rows of a block."""

        first = block * BLOCK_SIZE
        drawn = self.population.sample(first, first + BLOCK_SIZE, self.seed)
        return {name: values[rows] for name, values in drawn.items()}

    def view(self, parameters: Mapping[str, np.ndarray]) -> Tensor:
        """What the instrument would see of sources without noise, N rows."""

        z = torch.as_tensor(np.array(parameters["z"], np.float64))
        return self.look(self.model.flux(parameters), z)

    def brighter(
        self, parameters: Mapping[str, np.ndarray], factor: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The parameters of the same sources with another flux."""

        name, per_dex = self.brightness
        return {**parameters, name: parameters[name] + per_dex * np.log10(factor)}

    def truth(self, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The parameters by the names of `columns`."""

        return {
            column.name: parameters[column.name.removeprefix(f"{self.name}_")]
            for column in self.columns
        }


def star_view(spectrograph: Spectrograph) -> View:
    """How a spectrograph sees stars."""

    low, high = STAR_Z
    return _spectra(spectrograph, source_grid(spectrograph.grid, high, low))


def quasar_view(spectrograph: Spectrograph) -> View:
    """How a spectrograph sees quasars."""

    # Lines of quasars are broad: one pixel for one of the spectrograph is fine enough.
    return _spectra(spectrograph, source_grid(spectrograph.grid, QUASAR_Z[1], oversampling=1))


def _spectra(spectrograph: Spectrograph, grid: WavelengthGrid) -> View:
    return View(grid, lambda flux, z: spectrograph.view(flux, grid, z))


def stars(star_basis: str | Path, view: View, r_limit: float, seed: int) -> PointSources:
    """Stars of a simulated survey.

    Args:
        star_basis: The file of the rule `star_basis`.
        view: How its instrument sees them.
        r_limit: Faintest r magnitude.
        seed: Of the survey.
    """

    population, model = StarPopulation(r_limit), StarModel(star_basis, view.grid)
    brightness = ("r_magnitude", -2.5)
    return PointSources("star", population, STAR_PARAMETERS, brightness, model, view.look, seed)


def quasars(
    quasar_lines: str | Path, view: View, i_limit: float, seed: int, **changes: float
) -> PointSources:
    """Quasars of a simulated survey, at the redshifts `QUASAR_Z`.

    Args:
        quasar_lines: The file of the rule `quasar_lines`.
        view: How its instrument sees them.
        i_limit: Faintest i magnitude.
        seed: Of the survey.
        changes: Further arguments of `QuasarPopulation`, or other ones.
    """

    z_min, z_max = QUASAR_Z
    options = {"z_max": z_max, "z_min": z_min, "i_limit": i_limit, **changes}
    population, model = QuasarPopulation(**options), QuasarModel(quasar_lines, view.grid)
    brightness = ("log_luminosity", 1.0)
    return PointSources("quasar", population, QUASAR_PARAMETERS, brightness, model, view.look, seed)
