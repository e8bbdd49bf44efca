"""Uncertainties of latents and reconstructions: noise that is propagated, and what a model lacks.

A reconstruction is wrong for two reasons. Noise moves the latents, and the model follows: the
Jacobian of encoder and amplitude propagates the noise, of which the inverse variances are only
the diagonal of the covariance, for sky that was badly subtracted is coherent over thousands of
pixels. And a model of few latents cannot represent every spectrum: its misfit shows in the
residuals of spectra that it was not trained on.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.spectra.autoencoder import SpectrumAutoencoder, best_fit_amplitude
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.transform import RedshiftTransform

__all__ = [
    "ErrorModel",
    "Uncertainties",
    "calibrate",
    "encoder_jacobian",
    "latent_covariance",
    "uncertainties",
]


class ErrorModel(NamedTuple):
    """What is known of errors beside the inverse variances.

    Attributes:
        noise_scale: True variance of the incoherent noise over the reported variance by observed
            pixel, shape (L,).
        sky: Coherent residuals of the sky's subtraction, each at one standard deviation, in units
            of flux density, shape (K, L); K may be zero.
        misfit: Variance of what the model cannot represent, as a fraction of its squared flux
            density, by rest-frame pixel, shape (M,).
    """

    noise_scale: Tensor
    sky: Tensor
    misfit: Tensor

    @classmethod
    def ideal(cls, transform: RedshiftTransform, sky: Tensor | None = None) -> Self:
        """Incoherent noise as reported, residuals of the sky if given, and no misfit."""

        size = transform.observed.size
        sky = torch.zeros(0, size) if sky is None else sky
        return cls(torch.ones(size), sky, torch.zeros(transform.restframe.size))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            UserError: The file is damaged or something else.
        """

        try:
            return cls(**load_file(path))
        except (safetensors.SafetensorError, TypeError) as error:
            raise UserError(f"{path}: is not an error model; delete it and rerun.") from error

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file."""

        with atomic(path) as temporary:
            save_file({name: x.contiguous() for name, x in self._asdict().items()}, temporary)


class Uncertainties(NamedTuple):
    """Errors of the reconstruction of N spectra.

    Attributes:
        latent: Covariance of the latents about those of the noiseless spectrum, shape (N, S, S).
        observed: Standard deviation of the reconstruction in the observed pixels, in units of the
            norm, shape (N, L).
        restframe: The same of amplitude times rest-frame spectrum, shape (N, M).
    """

    latent: Tensor
    observed: Tensor
    restframe: Tensor


def uncertainties(
    model: SpectrumAutoencoder, batch: Batch, norm: Tensor, errors: ErrorModel
) -> Uncertainties:
    """Errors of what `model(*batch)` gives. Memory is about a megabyte per spectrum.

    The misfit is that of ordinary spectra: of contaminants, whose chi-squared is large, errors in
    the pixels are too small.

    Args:
        model: The trained model.
        batch: N spectra in units of their norm.
        norm: Their norms, shape (N,).
        errors: What is known of errors beside the inverse variances.
    """

    with torch.inference_mode(False), torch.no_grad():
        fit = _Fit.of(model, batch)
        covariance = _propagated(fit.jacobian, fit.batch.ivar, norm, errors)
        restframe, observed = fit.spectra(_root(covariance).mT)
        misfit = model.transform(errors.misfit.expand(len(norm), -1), fit.batch.z).clamp_min(0)
        size = model.latent_size
        return Uncertainties(
            covariance[:, :size, :size],
            _total(observed, misfit, fit.observed),
            _total(restframe, errors.misfit, fit.amplitude[:, None] * fit.restframe),
        )


def latent_covariance(
    model: SpectrumAutoencoder, batch: Batch, norm: Tensor, errors: ErrorModel
) -> Tensor:
    """The covariance of the latents alone, shape (N, S, S); arguments as of `uncertainties`."""

    with torch.inference_mode(False), torch.no_grad():
        batch = Batch(*(tensor.clone() for tensor in batch))
        jacobian = encoder_jacobian(model, batch, amplitude=False)
        return _propagated(jacobian, batch.ivar, norm, errors)


def encoder_jacobian(model: SpectrumAutoencoder, batch: Batch, amplitude: bool = True) -> Tensor:
    """Derivatives by the flux of the latents and, last, of the logarithm of the amplitude.

    Args:
        model: The trained model, in evaluation mode.
        batch: N spectra in units of their norm.
        amplitude: Whether to include that of the amplitude, which is zero if it is not fitted.

    Returns:
        Shape (N, S + 1, L), or (N, S, L) without the amplitude.
    """

    with torch.enable_grad():
        flux = batch.flux.detach().clone().requires_grad_()
        latent = model.encode(flux, batch.ivar, batch.z)
        outputs = list(latent.unbind(dim=1))
        if amplitude and model.amplitude == "best_fit":
            shape = model.transform(model.decode(latent), batch.z)
            outputs.append(best_fit_amplitude(flux, batch.ivar, shape).abs().log())
        # Objects do not see each other, so that the gradient of a sum holds that of each.
        rows = [torch.autograd.grad(x.sum(), flux, retain_graph=True)[0] for x in outputs]
    if amplitude and model.amplitude == "norm":
        rows.append(torch.zeros_like(flux))
    return torch.stack(rows, dim=1)


def calibrate(
    model: SpectrumAutoencoder, batches: Iterable[tuple[Batch, Tensor]], sky: Tensor | None = None
) -> ErrorModel:
    """Estimates an error model from spectra that the model was not trained on, without a truth.

    Squared residuals in units of the noise, less what the fit has taken away and what residuals of
    the sky add, have the scale of the noise for their expectation, which belongs to an observed
    pixel, plus the misfit times the squared signal-to-noise ratio, which belongs to a rest-frame
    pixel. Redshifts and brightnesses tell the two apart, here by iterated weighted least squares.
    The worst fits are left out: a contaminant among a hundred galaxies would speak for all.

    Args:
        model: The trained model.
        batches: Spectra in units of their norms, and their norms (N,).
        sky: See `ErrorModel`.
    """

    errors = ErrorModel.ideal(model.transform, sky)
    with torch.inference_mode(False), torch.no_grad():
        parts = [_excess(model, batch, norm, errors) for batch, norm in batches]
        ratio, signal, good, pixels = (torch.cat(part) for part in zip(*parts, strict=True))
        mean = (ratio * good).sum(dim=1) / good.sum(dim=1).clamp_min(1)
        good &= (mean <= mean.quantile(_KEPT))[:, None]
        scale, misfit = errors.noise_scale, errors.misfit
        for _ in range(_ITERATIONS):
            weight = good / (scale + signal * misfit[pixels]).square()
            scale = _curve(
                ((ratio - signal * misfit[pixels]) * weight).sum(dim=0), weight.sum(dim=0), 10.0
            ).clamp_min(0.1)
            weight = good * signal / (scale + signal * misfit[pixels]).square()
            misfit = _curve(
                _by_pixel((ratio - scale) * weight, pixels, misfit),
                _by_pixel(signal * weight, pixels, misfit),
                1.0,
            ).clamp_min(0)
    return ErrorModel(scale, errors.sky, misfit)


_KEPT = 0.97
_ITERATIONS = 5
# Pixels over which curves are averaged where that shows a significant feature, and elsewhere.
_NARROW, _WIDE = 3, 101


class _Fit(NamedTuple):
    """A reconstruction and the Jacobian (N, S + 1, L) of latents and logarithmic amplitude."""

    model: SpectrumAutoencoder
    batch: Batch
    latent: Tensor
    restframe: Tensor
    amplitude: Tensor
    observed: Tensor
    jacobian: Tensor

    @classmethod
    def of(cls, model: SpectrumAutoencoder, batch: Batch) -> Self:
        # Tensors made in inference mode cannot be differentiated; copies can.
        batch = Batch(*(tensor.clone() for tensor in batch))
        return cls(model, batch, *model(*batch), encoder_jacobian(model, batch))

    def spectra(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """How the reconstruction changes along R directions (N, R, S + 1) of latents and
        logarithmic amplitude: in the rest frame (N, R, M) and in observed pixels (N, R, L)."""

        def decoded(direction: Tensor) -> Tensor:
            return torch.func.jvp(self.model.decode, (self.latent,), (direction,))[1]

        restframe = torch.vmap(decoded, in_dims=1, out_dims=1)(directions[..., :-1])
        restframe = restframe + directions[..., -1:] * self.restframe[:, None]
        restframe = restframe * self.amplitude[:, None, None]
        z = self.batch.z.repeat_interleave(directions.shape[1])
        observed = self.model.transform(restframe.flatten(0, 1), z)
        return restframe, observed.unflatten(0, restframe.shape[:2])


def _propagated(jacobian: Tensor, ivar: Tensor, norm: Tensor, errors: ErrorModel) -> Tensor:
    """The covariance (N, R, R) of R numbers per object whose derivatives by flux are given."""

    sigma = torch.where(ivar > 0, errors.noise_scale.sqrt() * ivar.rsqrt(), 0.0)
    incoherent = jacobian * sigma[:, None]
    coherent = jacobian @ errors.sky.T / norm[:, None, None]
    return incoherent @ incoherent.mT + coherent @ coherent.mT


def _root(covariance: Tensor) -> Tensor:
    """A matrix whose product with its transpose is the covariance, which may be singular."""

    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt()[:, None]


def _total(spread: Tensor, misfit: Tensor, model: Tensor) -> Tensor:
    return (spread.square().sum(dim=1) + misfit * model.square()).sqrt()


def _excess(
    model: SpectrumAutoencoder, batch: Batch, norm: Tensor, errors: ErrorModel
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squared residuals in units of the noise, corrected for fit and sky; the squared signal-to-
    noise ratio; where there are data; and the nearest rest-frame pixels. Each of shape (N, L)."""

    fit = _Fit.of(model, batch)
    _, tangent = fit.spectra(torch.eye(model.latent_size + 1).expand(len(norm), -1, -1))
    incoherent = _propagated(fit.jacobian, batch.ivar, norm, errors._replace(sky=errors.sky[:0]))
    # The residual is what the projection 1 - tangent jacobian leaves of noise and sky.
    taken = 2 * (tangent * fit.jacobian).sum(dim=1)
    given = (tangent * (incoherent @ tangent)).sum(dim=1)
    sky = errors.sky / norm[:, None, None]
    left = (sky - (sky @ fit.jacobian.mT) @ tangent).square().sum(dim=1)
    residual = (batch.flux - fit.observed).square()
    ratio = batch.ivar * (residual - given - left) + taken
    signal = batch.ivar * fit.observed.square()
    return ratio, signal, batch.ivar > 0, _nearest(model.transform, batch.z)


def _nearest(transform: RedshiftTransform, z: Tensor) -> Tensor:
    """The rest-frame pixel nearest to each observed pixel, shape (N, L)."""

    emitted = torch.from_numpy(transform.observed.wavelength) / (1 + z.double())[:, None]
    wavelength = torch.from_numpy(transform.restframe.wavelength)
    edges = 0.5 * (wavelength[1:] + wavelength[:-1])
    return torch.searchsorted(edges, emitted)


def _by_pixel(values: Tensor, pixels: Tensor, like: Tensor) -> Tensor:
    """Sums of values (N, L) by rest-frame pixel, shape (M,)."""

    return torch.zeros_like(like).index_add(0, pixels.flatten(), values.flatten())


def _curve(value: Tensor, weight: Tensor, prior: float) -> Tensor:
    """Weighted means of squares, `value / weight`, over a few pixels, drawn towards their running
    median as far as they do not differ significantly (a positive-part James-Stein estimator).

    Args:
        value: Weighted sums, shape (P,).
        weight: Sums of weights, twice the inverse variance of the mean, shape (P,).
        prior: Weight of the value one, which decides where there are no data.
    """

    kernel = torch.ones(1, 1, _NARROW)
    sums = torch.stack([value + prior, weight + prior])[:, None]
    sums = nn.functional.conv1d(sums, kernel, padding=_NARROW // 2)[:, 0]
    narrow = sums[0] / sums[1]
    half = _WIDE // 2
    padded = nn.functional.pad(narrow[None], (half, half), mode="reflect")[0]
    wide = padded.unfold(0, _WIDE, 1).median(dim=1).values
    # Squared significance of the difference.
    significance = 0.5 * sums[1] * (narrow - wide).square()
    return wide + (1 - 2 / significance.clamp_min(2)) * (narrow - wide)
