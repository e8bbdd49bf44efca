"""Training sets of which the fixed part of an encoder has been computed once."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset

__all__ = ["ProjectedBatch", "ProjectedDataset", "projected"]

_CHUNK = 256


class ProjectedBatch(NamedTuple):
    """N spectra, as `uraniborg.spectra.dataset.Batch`, and their projections.

    Attributes:
        flux: Shape (N, L).
        ivar: Inverse variance, 0 where masked, shape (N, L).
        z: Redshifts, shape (N,).
        coefficients: Of the encoder's basis, see `RestframeEncoder.coefficients`, shape (N, K).
    """

    flux: Tensor
    ivar: Tensor
    z: Tensor
    coefficients: Tensor


class ProjectedDataset:
    """Spectra with their coefficients of an encoder's basis, which no training changes.

    The projection is most of what encoding costs, and would be the same in every epoch.

    Args:
        dataset: The spectra.
        encoder: The encoder, whose transform has no parameters.
    """

    def __init__(self, dataset: SpectraDataset, encoder: RestframeEncoder) -> None:
        self.dataset = dataset
        with torch.no_grad():
            parts = [encoder.coefficients(*batch)[1] for batch in dataset.batches(_CHUNK)]
        self.coefficients = torch.cat(parts) if parts else torch.empty(0, len(encoder.basis))

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, rows: np.ndarray) -> ProjectedBatch:
        """The spectra at positions `rows` of this set."""

        return ProjectedBatch(*self.dataset.batch(rows), self.coefficients[rows])


def projected(
    dataset: SpectraDataset, model: SpectrumAutoencoder
) -> SpectraDataset | ProjectedDataset:
    """A training set for a model: with coefficients if its encoder has a basis and a transform
    that stay what they are, as it is otherwise."""

    encoder = model.encoder
    fixed = isinstance(encoder, RestframeEncoder) and not list(encoder.transform.parameters())
    return ProjectedDataset(dataset, encoder) if fixed else dataset
