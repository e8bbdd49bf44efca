"""What the tests of the population model share: the model of a survey, and a survey."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from uraniborg.instruments.bands import bands_of
from uraniborg.population.popsed.forward import ForwardModel, Selection
from uraniborg.population.popsed.parameters import ParameterSpace
from uraniborg.population.popsed.photometry import Catalogue
from uraniborg.universe.galaxy_population import Limit

BANDS = bands_of("sdss")
LIMITS = {"sdss_r0": Limit(17.7, 0.09)}


class Universe(NamedTuple):
    """Galaxies that a survey has selected, half of which it has observed."""

    parameters: dict[str, torch.Tensor]
    flux: torch.Tensor
    catalogue: Catalogue


@pytest.fixture(scope="session")
def model_of(root):
    """Models of surveys with other limits or filters."""

    def model(limits=LIMITS, bands=BANDS, z_max=0.3, **files):
        resources = root / "resources"
        files = {
            "ssp_grid": resources / "ssp_grid.safetensors",
            "history_basis": resources / "history_basis.parquet",
            **files,
        }
        space = ParameterSpace(0.003, z_max, 6)
        return ForwardModel(space, bands, Selection(limits), **files)

    return model


@pytest.fixture(scope="session")
def forward_model(model_of):
    return model_of()


@pytest.fixture(scope="session")
def universe(forward_model):
    """3,000 galaxies; errors of 3%, and a tenth of them not observed in u."""

    torch_random = torch.Generator().manual_seed(1)
    random = np.random.default_rng(1)
    y = torch.randn(60_000, forward_model.space.size, generator=torch_random)
    # Massive galaxies with little dust, more of them farther away.
    y[:, 1] = 0.2 + 0.4 * y[:, 1]
    y[:, -3] = -0.8 + 0.5 * y[:, -3]
    y[:, 0] = 0.3 + 0.7 * y[:, 0]
    parameters = forward_model.space.parameters(y)
    with torch.no_grad():
        seen = forward_model(parameters)
    chance = torch.rand(len(y), generator=torch_random)
    rows = torch.nonzero(chance < seen.log_selected.exp())[:3000, 0]
    assert len(rows) == 3000
    parameters = {name: values[rows] for name, values in parameters.items()}
    flux = seen.flux[rows]
    true = flux[:1500].double().numpy()
    sigma = 0.03 * true
    noisy = true + sigma * random.normal(size=true.shape)
    sigma[random.random(1500) < 0.1, 0] = np.nan
    noisy[np.isnan(sigma)] = 0
    limited = np.zeros(true.shape, bool)
    z = parameters["z"][:1500].double().numpy()
    return Universe(parameters, flux, Catalogue(BANDS, 2, noisy, sigma, limited, z))
