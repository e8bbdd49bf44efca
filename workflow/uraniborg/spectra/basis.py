"""A low-rank rest-frame basis from noisy, redshifted, incomplete spectra."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from uraniborg.spectra.transform import RedshiftTransform

__all__ = ["Basis", "fit_basis"]


class Basis(NamedTuple):
    """A mean and basis spectra on the rest-frame grid.

    Attributes:
        mean: Mean spectrum, shape (M,), in units of the norm.
        spectra: Orthonormal basis spectra by falling variance, shape (K, M).
        variance: Variance of their coefficients over the sample, shape (K,).
    """

    mean: Tensor
    spectra: Tensor
    variance: Tensor


def fit_basis(
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
    transform: RedshiftTransform,
    rank: int,
    iterations: int = 12,
    seed: int = 0,
) -> Basis:
    """Probabilistic principal components with a known variance per pixel, by expectation
    maximisation (Tipping & Bishop 1999, JRSS B 61, 611, with heteroscedastic noise; compare Bailey
    2012, PASP 124, 1015).

    Unlike a plain principal component analysis it neither needs complete spectra nor lets noisy
    pixels pull the basis.

    Args:
        batches: Normalised flux (N, L), ivar (N, L) and redshift (N,) of a training sample.
        transform: Gives the rest-frame grid of M pixels.
        rank: Number K of basis spectra.
        iterations: Steps of expectation maximisation.
        seed: Of the random start.
    """

    # Rest-frame spectra are kept as one weighted average per pixel: sums over the four taps.
    weighted, weights = [], []
    for flux, ivar, z in batches:
        weights.append(transform.adjoint(ivar, z).clamp_min(0))
        weighted.append(transform.adjoint(ivar * flux, z))
    weight, weighted_flux = torch.cat(weights), torch.cat(weighted)
    total = weight.sum(dim=0)
    mean = weighted_flux.sum(dim=0) / (total + _ridge(total))
    covered = total > 0
    residual = weighted_flux - weight * mean
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(weight.shape[1], rank, generator=generator)).Q.T
    # The start's scale: the variance of the residuals where they are measured best.
    scale = (residual.square().sum() / weight.square().sum()).sqrt()
    basis = basis * scale * (covered.sum() / rank).sqrt()
    for _ in range(iterations):
        coefficients, covariance = _expectation(residual, weight, basis)
        basis = _maximisation(residual, weight, coefficients, covariance)
    coefficients, covariance = _expectation(residual, weight, basis)
    return _ordered(mean, basis, coefficients, covariance)


def _expectation(residual: Tensor, weight: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean (N, K) and covariance (N, K, K) of coefficients with unit prior."""

    rank = len(basis)
    products = (basis[:, None] * basis[None]).flatten(0, 1)
    information = (weight @ products.T).unflatten(1, (rank, rank))
    covariance = torch.linalg.inv(information + torch.eye(rank))
    projection = residual @ basis.T
    return (covariance @ projection[..., None])[..., 0], covariance


def _maximisation(
    residual: Tensor, weight: Tensor, coefficients: Tensor, covariance: Tensor
) -> Tensor:
    """The basis (K, M) that explains the residuals best, pixel by pixel."""

    rank = coefficients.shape[1]
    second = covariance + coefficients[:, :, None] * coefficients[:, None, :]
    information = (weight.T @ second.flatten(1)).unflatten(1, (rank, rank))
    # Pixels that few spectra reach are drawn towards zero instead of towards their noise.
    ridge = _ridge(weight.sum(dim=0))
    information = information + ridge[..., None, None] * torch.eye(rank)
    return torch.linalg.solve(information, (residual.T @ coefficients)).T


def _ridge(total: Tensor) -> Tensor:
    """A small weight against which the data of a pixel count."""

    return 1e-3 * total[total > 0].median().expand_as(total)


def _ordered(mean: Tensor, basis: Tensor, coefficients: Tensor, covariance: Tensor) -> Basis:
    """Rotates the basis to orthonormal spectra by falling variance, with a fixed sign."""

    second = covariance.mean(dim=0) + coefficients.T @ coefficients / len(coefficients)
    left = basis.T @ torch.linalg.cholesky(second)
    spectra, singular, _ = torch.linalg.svd(left, full_matrices=False)
    sign = torch.sign(spectra.sum(dim=0))
    return Basis(mean, (spectra * sign).T.contiguous(), singular.square())
