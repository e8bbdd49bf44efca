"""Spectra of simulated galaxies before any instrument has seen them."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.surveys.population import Resources, galaxy_population
from uraniborg.surveys.registry import Survey
from uraniborg.universe.galaxy_population import galaxy_columns

__all__ = ["IntrinsicSpectra"]

# log10 of wavelength beyond either end, for what the motions of stars bring in.
_MARGIN = 0.004


class IntrinsicSpectra:
    """Recreates the spectra of a simulated survey's galaxies from their true parameters.

    Args:
        survey: The simulated survey.
        spectrograph: Whose fibres the light has entered.
        resources: What the galaxies are made from.
        grid: Rest-frame grid, log10, of any sampling and any range within the universe's.

    Example:
        >>> fine = WavelengthGrid("log10", 3.56, 2e-5, 1000)
        >>> intrinsic = IntrinsicSpectra(survey, sdss, resources, fine)
        >>> flux = intrinsic(truth.query("anomaly == 'none'"))  # (N, 1000)
    """

    def __init__(
        self,
        survey: Survey,
        spectrograph: Spectrograph,
        resources: Resources,
        grid: WavelengthGrid,
    ) -> None:
        population = galaxy_population(survey, resources, spectrograph.fibre_diameter)
        self._names = [column.name for column in galaxy_columns(population.history)]
        self._history = [column.name for column in population.history.columns]
        self._beyond = math.ceil(_MARGIN / grid.step)
        start, size = grid.start - self._beyond * grid.step, grid.size + 2 * self._beyond
        self._model = population.model(WavelengthGrid(grid.kind, start, grid.step, size))

    def __call__(self, truth: Mapping[str, np.ndarray]) -> Tensor:
        """Flux density within the fibre in 1e-17 erg/s/cm2/Angstrom, shape (N, grid.size).

        Per observed Angstrom, at the grid's wavelengths times 1 + z; without line-spread function,
        noise and errors of the calibration.

        Args:
            truth: Scalar columns of the survey's truth shards, of N galaxies that no contaminant
                has touched.
        """

        parameters = {name: np.array(truth[name], np.float64) for name in self._names}
        parameters["history"] = np.stack([parameters.pop(name) for name in self._history], axis=1)
        parameters["stellar_mass"] = parameters["stellar_mass"] + np.log10(
            parameters["aperture_fraction"]
        )
        with torch.inference_mode():
            return self._model.flux(parameters)[:, self._beyond : -self._beyond]
