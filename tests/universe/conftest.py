"""What the tests of the universe share."""

from pathlib import Path

import numpy as np
import pytest

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.nebular import NebularEmission
from uraniborg.universe.stellar_populations import StellarPopulations


@pytest.fixture(scope="session")
def ssp_grid(root: Path) -> Path:
    return root / "resources" / "ssp_grid.safetensors"


@pytest.fixture(scope="session")
def populations(ssp_grid: Path) -> StellarPopulations:
    return StellarPopulations.load(ssp_grid)


@pytest.fixture(scope="session")
def nebular(ssp_grid: Path) -> NebularEmission:
    return NebularEmission.load(ssp_grid)


@pytest.fixture(scope="session")
def model(ssp_grid: Path) -> GalaxyModel:
    return GalaxyModel(ssp_grid, WavelengthGrid("log10", np.log10(3000), 1e-4, 4700))
