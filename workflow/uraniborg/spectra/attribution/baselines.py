"""What an outlier is compared with: ordinary objects as they would look in its place."""

import zlib

import numpy as np
import torch
from torch import Tensor

from uraniborg.spectra.autoencoder import best_fit_amplitude
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.scorer import OutlierScorer

__all__ = ["ordinary_spectra"]


@torch.no_grad()
def ordinary_spectra(
    scorer: OutlierScorer, spectrum: Batch, object_id: str, number: int = 8, seed: int = 0
) -> Tensor:
    """Random objects of the scorer's reference, decoded at the redshift of a spectrum and scaled to
    its brightness by least squares, shape (number, L).

    Which ones depends on the seed and the object alone, not on what else is explained. An object
    that is among the reference itself is not compared with itself.

    Args:
        scorer: Has the reference and the decoder.
        spectrum: One spectrum, finite.
        object_id: Its identifier.
        number: How many.
        seed: Of the choice.
    """

    reference = scorer.reference
    random = np.random.default_rng([seed, zlib.crc32(object_id.encode())])
    rows = random.choice(len(reference.latent), number + 1, replace=False)
    rows = rows[reference.object_id[rows] != object_id][:number]
    restframe = scorer.model.decode(reference.latent[rows])
    flux, ivar, z = (x.expand(number, *x.shape[1:]) for x in spectrum)
    shape = scorer.model.transform(restframe, z)
    # Brighter than the noise, also where the flux is negative.
    noise = (ivar * shape.square()).sum(dim=1).clamp_min(torch.finfo(shape.dtype).tiny).rsqrt()
    amplitude = best_fit_amplitude(flux, ivar, shape).maximum(noise)
    return amplitude[:, None] * shape
