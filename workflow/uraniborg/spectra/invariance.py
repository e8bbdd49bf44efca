"""Training an autoencoder whose latents do not depend on redshift (arXiv:2302.02496)."""

import torch
from torch import Tensor, nn

from uraniborg.nets.decoders import LowRankDecoder
from uraniborg.spectra.augmentation import augmented
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.losses import (
    consistency,
    fidelity,
    low_rank_distances,
    restframe_distances,
    restframe_medians,
    restframe_weight,
    similarity,
)

__all__ = ["invariance_losses"]


def invariance_losses(
    model: SpectrumAutoencoder, batch: Batch, slope: float, sigma: float = 0.1
) -> dict[str, Tensor]:
    """Fidelity, similarity and consistency of a batch, and their sum as `loss`, each weighing one.

    Args:
        model: The autoencoder.
        batch: Spectra.
        slope: The steepness of `similarity`, which `similarity_slope` gives for an epoch.
        sigma: The latent scale of `consistency`.
    """

    transform = model.transform
    reconstruction = model(*batch)
    latent = reconstruction.latent
    copy = augmented(batch, transform.observed.step, (max(transform.z_min, 0.0), transform.z_max))
    distances = _distances(model, latent, reconstruction.restframe)
    terms = {
        "fidelity": fidelity(batch.flux, batch.ivar, reconstruction.observed),
        "similarity": similarity(latent, distances, slope),
        "consistency": consistency(latent, model.encode(*copy), sigma),
    }
    return {"loss": sum(terms.values()), **terms}


def _distances(model: SpectrumAutoencoder, latent: Tensor, restframe: Tensor) -> Tensor:
    """Distances of the decoded spectra, in the cheapest way that is exact."""

    wavelength = torch.as_tensor(model.transform.restframe.wavelength).to(restframe)
    medians, weight = restframe_medians(restframe, wavelength), restframe_weight(wavelength)
    decoder = model.decoder
    if not isinstance(decoder, LowRankDecoder):
        return restframe_distances(restframe, medians, weight)
    coefficients = nn.functional.pad(decoder.amplitudes(latent), (1, 0), value=1.0)
    components = torch.cat([decoder.mean[None], decoder.basis])
    return low_rank_distances(coefficients, components, medians, weight)
