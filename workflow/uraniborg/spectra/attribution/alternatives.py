"""Ways to attribute an anomaly to pixels, all called alike, with a control.

`METHODS` has them by name. Each takes a score, one spectrum (all finite) and K ordinary spectra at
its redshift (K, L), and returns one number per pixel (L,), float64, positive where the pixel makes
the spectrum stranger, 0 where it is masked. Those in `NEED_GRADIENT` raise an error of a score that
is not differentiable, and `contributions` is of a `WholeScore` alone.

Gradients and ablations are by captum (Kokhlikyan et al. 2020, arXiv:2009.07896).
"""

import zlib
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients
from torch import Tensor

from uraniborg.spectra.attribution.fast import fast_inverse_occlusion, fast_occlusion
from uraniborg.spectra.attribution.occlusion import Scales, combined, consensus
from uraniborg.spectra.attribution.scores import LatentScore, Score, WholeScore, is_differentiable
from uraniborg.spectra.dataset import Batch

__all__ = [
    "COARSE",
    "FINE",
    "METHODS",
    "NEED_GRADIENT",
    "Method",
    "contributions",
    "expected_gradients",
    "feature_ablation",
    "gradient_x_input",
    "integrated_gradients",
    "inverse_multiscale_occlusion",
    "multiscale_occlusion",
    "occlusion_consensus",
    "random_attribution",
    "squared_residual",
]

Method = Callable[[Score, Batch, Tensor], Tensor]
"""A score, a spectrum and baselines (K, L) to attributions (L,)."""

COARSE = Scales((16, 64, 256), (10, 42, 170))
"""Windows that are few enough to evaluate all of them: an eighth of the published ones."""

FINE = Scales((1, 4, 16), (0, 2, 10))
"""The smallest of the published windows."""

# Points along the path from a baseline to the spectrum.
_STEPS = 16
# Pixels that are ablated together, and spectra that are scored at a time.
_FEATURE, _BATCH = 16, 64


def inverse_multiscale_occlusion(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """What windows of the spectrum do to ordinary ones, see
    `uraniborg.spectra.attribution.occlusion`; as published or, of a score without a gradient,
    every window of `COARSE`."""

    scales = Scales() if is_differentiable(score, spectrum) else COARSE
    return combined(fast_inverse_occlusion(score, spectrum, baselines, scales))


def occlusion_consensus(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """The same from windows of up to 16 pixels, where all of them agree; see
    `uraniborg.spectra.attribution.occlusion.consensus`."""

    scales = FINE if is_differentiable(score, spectrum) else COARSE
    return consensus(fast_inverse_occlusion(score, spectrum, baselines, scales))


def multiscale_occlusion(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """What windows of ordinary spectra undo in the spectrum, of the same scales, per pixel, and
    combined in the same way."""

    scales = Scales() if is_differentiable(score, spectrum) else COARSE
    return combined(fast_occlusion(score, spectrum, baselines, scales))


def contributions(score: WholeScore, spectrum: Batch, baselines: Tensor) -> Tensor:
    """What pixels contribute to an outlier score, in its own units, nats: to the surprise of the
    residuals as they do to the statistic that is the most surprising, to that of the latents as
    `occlusion_consensus` attributes log p. They add up to the two surprises as weighted.

    Args:
        score: The outlier score, no other.
        spectrum: One spectrum.
        baselines: Shape (K, L).
    """

    scorer = score.scorer
    with torch.inference_mode():
        made = scorer.model(*spectrum)
        statistics = scorer.misfit.statistics(spectrum, made)
        surprises = scorer.residual_tail.surprise(statistics, score.log_snr)[0]
        of_residuals = scorer.misfit.shares(spectrum, made)[0, surprises.argmax()].double()
        scores = scorer.score(spectrum, score.log_snr)
    latent_score = LatentScore(scorer, score.snr)
    of_latents = occlusion_consensus(latent_score, spectrum, baselines)
    of_latents = of_latents / of_latents.sum().clamp_min(torch.finfo(of_latents.dtype).tiny)
    latent_surprise = scorer.latent_weight * scores.latent_surprise
    return scores.residual_surprise * of_residuals + latent_surprise * of_latents


def gradient_x_input(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """The gradient of the score times the flux (Shrikumar et al. 2016, arXiv:1605.01713)."""

    flux = spectrum.flux.clone().requires_grad_()
    return _in_good(InputXGradient(_of_flux(score, spectrum)).attribute(flux), spectrum)


def integrated_gradients(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """The difference from an ordinary spectrum times the mean gradient on the way from there
    (Sundararajan et al. 2017, arXiv:1703.01365), mean over ordinary spectra."""

    method = IntegratedGradients(_of_flux(score, spectrum))
    flux = spectrum.flux.expand_as(baselines)
    return _in_good(method.attribute(flux, baselines, n_steps=_STEPS), spectrum)


def expected_gradients(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """The difference from an ordinary spectrum times the gradient somewhere on the way from there,
    mean over random ordinary spectra and places (Erion et al. 2021, arXiv:1906.10670).

    The spectrum itself is the seed.
    """

    random = _random(spectrum)
    number = _STEPS * len(baselines)
    # By hand, because captum draws from the process's one source of random numbers.
    baseline = baselines[torch.from_numpy(random.integers(len(baselines), size=number))]
    place = torch.from_numpy(random.random((number, 1), np.float32))
    with torch.enable_grad():
        flux = torch.lerp(baseline, spectrum.flux, place).requires_grad_()
        total = _of_flux(score, spectrum)(flux).sum()
        gradient = torch.autograd.grad(total, flux)[0]
    return _in_good(gradient * (spectrum.flux - baseline), spectrum)


def feature_ablation(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """What is lost where 16 pixels are replaced by those of the mean ordinary spectrum."""

    feature = torch.arange(spectrum.flux.shape[1])[None] // _FEATURE
    attribution = FeatureAblation(_of_flux(score, spectrum)).attribute(
        spectrum.flux,
        baselines.mean(dim=0, keepdim=True),
        feature_mask=feature,
        perturbations_per_eval=_BATCH,
    )
    return _in_good(attribution, spectrum)


def random_attribution(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """Normal random numbers that know nothing: the control. The spectrum itself is the seed."""

    noise = _random(spectrum).standard_normal(spectrum.flux.shape[1])
    return _in_good(torch.from_numpy(noise)[None], spectrum)


def squared_residual(score: Score, spectrum: Batch, baselines: Tensor) -> Tensor:
    """The squared difference from the mean ordinary spectrum in units of the noise, whatever the
    score: a control that knows where the object is unlike others, not what the score is."""

    residual = spectrum.flux - baselines.mean(dim=0)
    return _in_good(residual.square() * spectrum.ivar, spectrum)


METHODS: dict[str, Method] = {
    "contributions": contributions,
    "consensus": occlusion_consensus,
    "inverse_occlusion": inverse_multiscale_occlusion,
    "occlusion": multiscale_occlusion,
    "feature_ablation": feature_ablation,
    "gradient_x_input": gradient_x_input,
    "integrated_gradients": integrated_gradients,
    "expected_gradients": expected_gradients,
    "residual": squared_residual,
    "random": random_attribution,
}
"""All of them by name."""

NEED_GRADIENT = frozenset({"gradient_x_input", "integrated_gradients", "expected_gradients"})
"""Those that only a differentiable score has."""


def _of_flux(score: Score, spectrum: Batch) -> Callable[[Tensor], Tensor]:
    """The score of fluxes (N, L) with the inverse variance and redshift of a spectrum."""

    def scored(flux: Tensor) -> Tensor:
        number = len(flux)
        return score(Batch(flux, spectrum.ivar.expand(number, -1), spectrum.z.expand(number)))

    return scored


def _in_good(attribution: Tensor, spectrum: Batch) -> Tensor:
    """The mean of attributions (N, L) where pixels are good, shape (L,)."""

    return attribution.detach().double().mean(dim=0) * (spectrum.ivar[0] > 0)


def _random(spectrum: Batch) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(spectrum.flux.numpy().tobytes()))
