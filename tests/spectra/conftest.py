"""A toy sky for autoencoders: smooth low-rank spectra at many redshifts, with noise and gaps."""

from typing import Any, NamedTuple

import pytest
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.transform import RedshiftTransform


class Toy(NamedTuple):
    transform: RedshiftTransform
    batch: Batch
    truth: torch.Tensor
    rank: int
    architecture: dict[str, Any]


@pytest.fixture(scope="session")
def toy() -> Toy:
    generator = torch.Generator().manual_seed(7)
    transform = RedshiftTransform(WavelengthGrid("log10", 3.6, 5e-4, 400), z_max=0.2)
    size, rank, number = transform.restframe.size, 3, 600
    x = torch.linspace(0, 1, size)
    shapes = torch.stack([torch.sin(8 * x), torch.exp(-(((x - 0.6) / 0.01) ** 2)), x])
    coefficients = torch.randn(number, rank, generator=generator) * torch.tensor([0.5, 1.0, 0.3])
    z = 0.2 * torch.rand(number, generator=generator)
    truth = transform(1 + coefficients @ shapes, z)
    sigma = 0.1 + 0.1 * torch.rand(number, 400, generator=generator)
    flux = truth + sigma * torch.randn(number, 400, generator=generator)
    ivar = sigma**-2 * (torch.rand(number, 400, generator=generator) > 0.05)
    architecture = {
        "encoder": "restframe",
        "decoder": "low_rank",
        "latent_size": 3,
        "rank": rank,
        "z_min": -0.01,
        "z_max": 0.2,
        "oversampling": 1,
        "lsf": "none",
        "amplitude": "best_fit",
        "weighted": True,
    }
    batch = Batch(torch.where(ivar > 0, flux, 0.0), ivar, z)
    return Toy(transform, batch, truth, rank, architecture)
