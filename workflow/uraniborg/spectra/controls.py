"""Reconstructions that must be bad, and the linear one that a network has to beat."""

import copy

import torch
from torch import Tensor

from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch

__all__ = ["principal_components", "shuffled_redshifts", "shuffled_weights"]


@torch.inference_mode()
def shuffled_weights(model: SpectrumAutoencoder, batch: Batch, seed: int) -> Tensor:
    """Observed-frame reconstructions (N, L) by a model whose weights were permuted in place."""

    generator = torch.Generator().manual_seed(seed)
    shuffled = copy.deepcopy(model)
    for weights in shuffled.parameters():
        order = torch.randperm(weights.numel(), generator=generator)
        weights.copy_(weights.flatten()[order].view_as(weights))
    return shuffled(*batch).observed


@torch.inference_mode()
def shuffled_redshifts(model: SpectrumAutoencoder, batch: Batch, seed: int) -> Tensor:
    """Observed-frame reconstructions (N, L) with each object given another's redshift."""

    order = torch.randperm(len(batch.z), generator=torch.Generator().manual_seed(seed))
    return model(batch.flux, batch.ivar, batch.z[order]).observed


@torch.inference_mode()
def principal_components(basis: Basis, model: SpectrumAutoencoder, batch: Batch) -> Tensor:
    """Observed-frame reconstructions (N, L) by weighted principal components alone.

    Args:
        basis: As many as the model has latents, fitted as such: the first of a larger basis are
            ordered by their variance, not by what they matter for the fit.
        model: Gives the transform.
        batch: The spectra.
    """

    projection = RestframeEncoder(len(basis.spectra), model.transform, *basis)
    amplitude, coefficients = projection.coefficients(*batch)
    restframe = amplitude[:, None] * (basis.mean + coefficients @ basis.spectra)
    return model.transform(restframe, batch.z)
