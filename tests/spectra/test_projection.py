"""Training sets with projections: the same numbers as without, computed once."""

import numpy as np
import pytest
import torch

from uraniborg.nets.decoders import LowRankDecoder
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.objective import Objective
from uraniborg.spectra.projection import ProjectedDataset, projected
from uraniborg.spectra.transform import RedshiftTransform


class Few:
    """Forty spectra as a training set."""

    def __init__(self, toy) -> None:
        self.spectra = Batch(*(tensor[:40] for tensor in toy.batch))

    def __len__(self) -> int:
        return len(self.spectra.z)

    def batch(self, rows):
        return Batch(*(tensor[rows] for tensor in self.spectra))

    def batches(self, size):
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


@pytest.fixture(scope="module")
def few(toy):
    return Few(toy)


@pytest.fixture(scope="module")
def model(toy, few):
    torch.manual_seed(1)
    basis = fit_basis([few.spectra], toy.transform, rank=4, iterations=4)
    encoder = RestframeEncoder(3, toy.transform, *basis)
    return SpectrumAutoencoder(encoder, LowRankDecoder(3, *basis), toy.transform)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_losses_and_gradients_are_those_without(model, few, weight):
    rows, loss = np.array([7, 3, 30]), Objective(2, similarity=1, consistency=weight, silent=0)
    results = []
    for dataset in (few, projected(few, model)):
        model.zero_grad()
        torch.manual_seed(0)
        terms = loss(model, dataset.batch(rows), 2)
        terms["loss"].backward()
        results.append([*terms.values(), *(p.grad.clone() for p in model.parameters())])
    assert isinstance(dataset, ProjectedDataset)
    for without, with_projection in zip(*results, strict=True):
        torch.testing.assert_close(with_projection, without, rtol=1e-3, atol=1e-5)


def test_what_learns_is_not_computed_once(toy, few, model):
    free = SpectrumAutoencoder(FluxEncoder(3), model.decoder, toy.transform)
    observed, z_max, z_min = (getattr(toy.transform, n) for n in ("observed", "z_max", "z_min"))
    learned = RedshiftTransform(observed, z_max, z_min, lsf="learned")
    basis = fit_basis([few.spectra], learned, rank=4, iterations=2, sharpening=1)
    sharp = SpectrumAutoencoder(RestframeEncoder(3, learned, *basis), model.decoder, learned)
    assert projected(few, free) is few
    assert projected(few, sharp) is few
