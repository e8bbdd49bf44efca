"""Stars and quasars of a simulated survey of photometry."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from uraniborg.surveys.population import point_source_limit
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.blocks import BLOCK_SIZE
from uraniborg.universe.photometry import FilterCurve
from uraniborg.universe.quasar_population import PARAMETERS as QUASAR_PARAMETERS
from uraniborg.universe.quasar_population import QuasarPopulation
from uraniborg.universe.quasars import QuasarModel
from uraniborg.universe.star_population import PARAMETERS as STAR_PARAMETERS
from uraniborg.universe.star_population import StarPopulation
from uraniborg.universe.stars import StarModel

__all__ = ["PointSourceFluxes"]

# Radial velocities of stars stay within a thousandth of that of light; redshifts of quasars.
_Z = {"star": (-0.005, 0.005), "quasar": (0.3, 4.0)}


class PointSourceFluxes:
    """Fluxes of stars or quasars in bands.

    Args:
        kind: `star` or `quasar`.
        survey: Its limit is theirs.
        filters: Of the B bands.
        resource: The file of the rule `star_basis` or `quasar_lines`.
    """

    def __init__(
        self, kind: str, survey: Survey, filters: Sequence[FilterCurve], resource: str | Path
    ) -> None:
        self.kind, self.seed = kind, survey.seed
        z_min, z_max = _Z[kind]
        limit, grid = point_source_limit(survey), band_grid(filters, z_max, z_min)
        self.bands = BandFluxes(filters, grid)
        if kind == "star":
            self.population, self.model = StarPopulation(limit), StarModel(resource, grid)
        else:
            self.population = QuasarPopulation(z_max=z_max, z_min=z_min, i_limit=limit)
            self.model = QuasarModel(resource, grid)
        parameters = {"star": STAR_PARAMETERS, "quasar": QUASAR_PARAMETERS}[kind]
        self.columns = tuple(
            Column(f"{kind}_{p.name}", p.type, p.unit, f"Of the {kind}: {p.description}")
            for p in parameters
        )

    def observe(self, block: int, rows: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Noiseless fluxes in nanomaggies, (N, B), and parameters, of rows of a block."""

        first = block * BLOCK_SIZE
        drawn = self.population.sample(first, first + BLOCK_SIZE, self.seed)
        parameters = {name: values[rows] for name, values in drawn.items()}
        flux = self.model.flux(parameters)
        z = torch.as_tensor(np.array(parameters["z"], np.float64))
        return self.bands(flux, z).double().numpy(), parameters
