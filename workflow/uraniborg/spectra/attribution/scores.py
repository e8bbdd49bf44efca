"""Scores that can be attributed to pixels: from spectra to numbers, larger for what is stranger.

Any callable will do, such as a classifier, that takes a batch of N spectra and returns N numbers.
A score that is differentiable can be attributed in more ways.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.scorer import OutlierScorer, density_context, log_snr
from uraniborg.spectra.outliers.stars import StarOrGalaxy

__all__ = ["LatentScore", "Score", "StarScore", "WholeScore", "is_differentiable"]

Score = Callable[[Batch], Tensor]
"""N spectra in units of their norm, all finite, to N numbers, larger for what is stranger."""


class LatentScore(nn.Module):
    """Minus the log-probability of the latents: how rare the galaxy is that the spectrum looks like
    (Liang et al. 2023, arXiv:2302.02496). Differentiable.

    The density is told one signal-to-noise ratio, that of the object: it does not change while
    pixels are exchanged.

    Args:
        scorer: Has the encoder and the density.
        snr: Signal-to-noise ratio of the object.
    """

    def __init__(self, scorer: OutlierScorer, snr: float) -> None:
        super().__init__()
        self.model, self.density = scorer.model, scorer.density
        lowest = scorer.residual_tail.lowest_snr
        context = density_context(scorer.density, log_snr(np.array([snr])), lowest)
        self.register_buffer("context", context)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of spectra, shape (N,), float64."""

        return self.of_latents(self.model.encode(*batch))

    def of_latents(self, latent: Tensor) -> Tensor:
        """Scores of what has been encoded (N, S), shape (N,), float64."""

        context = self.context.expand(len(latent), -1)
        log_prob = self.density.log_prob(latent, context)
        return math.log(len(log_prob)) - log_prob.logsumexp(dim=0)


class WholeScore:
    """The outlier score, see `uraniborg.spectra.outliers.scorer`. Not differentiable, because the
    tails of what is ordinary are counted.

    Args:
        scorer: The scorer.
        snr: Signal-to-noise ratio of the object.
    """

    def __init__(self, scorer: OutlierScorer, snr: float) -> None:
        self.scorer, self.snr, self.log_snr = scorer, snr, log_snr(np.array([snr]))

    def __call__(self, batch: Batch) -> Tensor:
        """Scores of spectra, shape (N,), NaN where there is none."""

        return self.scorer.score(batch, self.log_snr.expand(len(batch.z))).outlier_score


class StarScore:
    """Natural logarithm of the evidence of a star over that of a galaxy. Not differentiable.

    Args:
        test: The two models.
    """

    def __init__(self, test: StarOrGalaxy) -> None:
        self.test = test

    def __call__(self, batch: Batch) -> Tensor:
        """Scores of spectra, shape (N,), NaN where there is none."""

        with torch.inference_mode():
            return self.test(*batch).evidence


def is_differentiable(score: Score, spectrum: Batch) -> bool:
    """Whether a score has a gradient with respect to the flux of a spectrum."""

    with torch.enable_grad():
        flux = spectrum.flux.clone().requires_grad_()
        return score(spectrum._replace(flux=flux)).requires_grad
