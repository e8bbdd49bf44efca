"""Galaxies, stars and quasars of a simulated survey of spectra, as its spectrograph sees them.

Of galaxies the light within the fibre counts, of point sources all: surveys calibrate spectra so
that stars lose nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.instruments.wavelengths import source_grid
from uraniborg.surveys.population import galaxy_population
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

__all__ = ["Galaxies", "PointSources", "quasars", "stars"]

_STAR_Z = 0.005
_QUASAR_Z = (0.3, 4.0)
# Rest wavelength in Angstrom that lies within the troughs of C IV.
_TROUGH = 1450.0


class Galaxies:
    """Galaxies seen by a spectrograph.

    Args:
        survey: Its section `universe` says which galaxies.
        spectrograph: What observes them.
        ssp_grid: The file of the rule `ssp_grid`.
        hyperparameters: The file of the rule `population_fit`.
    """

    def __init__(
        self,
        survey: Survey,
        spectrograph: Spectrograph,
        ssp_grid: str | Path,
        hyperparameters: str | Path,
    ) -> None:
        fibre = spectrograph.fibre_diameter
        self.population = galaxy_population(survey, ssp_grid, hyperparameters, fibre)
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


class PointSources:
    """Stars or quasars seen by a spectrograph.

    Args:
        name: What they are; columns of the truth table begin with it.
        population: Draws them.
        parameters: Of the population.
        brightness: Which parameter follows the flux, and the factor of log10 of it.
        model: Their spectra.
        spectrograph: What observes them.
        seed: Of the survey.
    """

    def __init__(
        self,
        name: str,
        population: StarPopulation | QuasarPopulation,
        parameters: tuple[Parameter, ...],
        brightness: tuple[str, float],
        model: StarModel | QuasarModel,
        spectrograph: Spectrograph,
        seed: int,
    ) -> None:
        self.name, self.population, self.model = name, population, model
        self.brightness, self.spectrograph, self.seed = brightness, spectrograph, seed
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
        """Noiseless flux density in observed pixels, shape (N, spectrograph.grid.size)."""

        flux = self.model.flux(parameters)
        z = torch.as_tensor(np.array(parameters["z"], np.float64))
        return self.spectrograph.view(flux, self.model.grid, z)

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


def stars(
    star_basis: str | Path, spectrograph: Spectrograph, r_limit: float, seed: int
) -> PointSources:
    """Stars of a simulated survey.

    Args:
        star_basis: The file of the rule `star_basis`.
        spectrograph: What observes them.
        r_limit: Faintest r magnitude.
        seed: Of the survey.
    """

    grid = source_grid(spectrograph.grid, _STAR_Z, -_STAR_Z)
    population, model = StarPopulation(r_limit), StarModel(star_basis, grid)
    brightness = ("r_magnitude", -2.5)
    return PointSources("star", population, STAR_PARAMETERS, brightness, model, spectrograph, seed)


def quasars(
    quasar_lines: str | Path,
    spectrograph: Spectrograph,
    i_limit: float,
    seed: int,
    absorbed: bool | None = None,
) -> PointSources:
    """Quasars of a simulated survey, at redshifts from 0.3 to 4.

    Args:
        quasar_lines: The file of the rule `quasar_lines`.
        spectrograph: What observes them.
        i_limit: Faintest i magnitude.
        seed: Of the survey.
        absorbed: Whether all of them have broad absorption, at redshifts that bring that of C IV
            into the spectrograph's range, or none; by default the population's share.
    """

    z_min, z_max = _QUASAR_Z
    if absorbed:
        z_min = spectrograph.grid.wavelength[0] / _TROUGH - 1
    share = {} if absorbed is None else {"bal_fraction": float(absorbed)}
    population = QuasarPopulation(z_max=z_max, z_min=z_min, i_limit=i_limit, **share)
    # Lines of quasars are broad: one pixel for one of the spectrograph is fine enough.
    model = QuasarModel(quasar_lines, source_grid(spectrograph.grid, z_max, oversampling=1))
    brightness = ("log_luminosity", 1.0)
    return PointSources(
        "quasar", population, QUASAR_PARAMETERS, brightness, model, spectrograph, seed
    )
