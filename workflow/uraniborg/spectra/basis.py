"""A low-rank rest-frame basis from noisy, redshifted, incomplete spectra."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.transform import RedshiftTransform

__all__ = ["Basis", "fit_basis"]


class Basis(NamedTuple):
    """A mean and basis spectra on the rest-frame grid.

    Attributes:
        mean: Mean spectrum, shape (M,), in units of the norm.
        spectra: Basis spectra by falling variance, shape (K, M); orthonormal if they have the
            sampling and resolution of the data.
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
    sharpening: int = 25,
) -> Basis:
    """Probabilistic principal components with a known variance per pixel, by expectation
    maximisation (Tipping & Bishop 1999, JRSS B 61, 611, with heteroscedastic noise; compare Bailey
    2012, PASP 124, 1015).

    Unlike a plain principal component analysis it neither needs complete spectra nor lets noisy
    pixels pull the basis.

    If the transform oversamples or has a line-spread function, the basis is found at the sampling
    and the resolution of the data. Then the spectra are sought of which the transform makes the
    data, with the same coefficients: spectra at different redshifts sample the rest frame at
    different phases, and noise is small after averaging over the sample, so that the line-spread
    function can be undone. It is linear least squares, solved by conjugate gradients.

    Args:
        batches: Normalised flux (N, L), ivar (N, L) and redshift (N,) of a training sample, which
            is held in memory a few times.
        transform: Gives the rest-frame grid of M pixels.
        rank: Number K of basis spectra.
        iterations: Steps of expectation maximisation.
        seed: Of the random start.
        sharpening: Steps of conjugate gradients.
    """

    batches = list(batches)
    if transform.has_native_resolution:
        return _native_basis(batches, transform, rank, iterations, seed)[0]
    native = RedshiftTransform(transform.observed, transform.z_max, transform.z_min)
    basis, coefficients = _native_basis(batches, native, rank, iterations, seed)
    spectra = torch.cat([basis.mean[None], basis.spectra * basis.variance.sqrt()[:, None]])
    sizes = [len(z) for _, _, z in batches]
    weights = nn.functional.pad(coefficients, (1, 0), value=1).split(sizes)
    with torch.no_grad():
        start = _interpolated(spectra, native.restframe, transform.restframe)
        sharp = _sharpened(batches, weights, transform, start, sharpening)
    return Basis(sharp[0], sharp[1:] / basis.variance.sqrt()[:, None], basis.variance)


def _native_basis(
    batches: Sequence[tuple[Tensor, Tensor, Tensor]],
    transform: RedshiftTransform,
    rank: int,
    iterations: int,
    seed: int,
) -> tuple[Basis, Tensor]:
    """The basis at the sampling of the data, and coefficients of unit variance (N, K)."""

    # Rest-frame spectra are kept as one weighted average per pixel: sums over the four taps.
    weight = torch.cat([transform.adjoint(ivar, z).clamp_min(0) for _, ivar, z in batches])
    weighted_flux = torch.cat([transform.adjoint(ivar * flux, z) for flux, ivar, z in batches])
    # Taps are negative at the sides: next to good pixels there may be flux without any weight, with
    # which coefficients would grow from step to step until nothing can be solved for.
    weighted_flux *= weight > 0
    total = weight.sum(dim=0)
    mean = weighted_flux.sum(dim=0) / (total + _ridge(total))
    covered = total > 0
    residual = weighted_flux.addcmul_(weight, mean, value=-1)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(weight.shape[1], rank, generator=generator)).Q.T
    # The start's scale: the variance of the residuals where they are measured best.
    scale = (residual.square().sum() / weight.square().sum()).sqrt()
    basis = basis * scale * (covered.sum() / rank).sqrt()
    for _ in range(iterations):
        coefficients, covariance = _expectation(residual, weight, basis)
        basis = _maximisation(residual, weight, coefficients, covariance)
    coefficients, covariance = _expectation(residual, weight, basis)
    ordered = _ordered(mean, basis, coefficients, covariance)
    scaled = ordered.spectra * ordered.variance.sqrt()[:, None]
    return ordered, _expectation(residual, weight, scaled)[0]


# Objects whose weights are in double precision at a time.
_CHUNK = 256

# Weight of second differences between rest-frame pixels, over that of the data of a pixel: decides
# only where data say nothing, beyond the resolution.
_SMOOTHNESS = 1e-6


def _sharpened(
    batches: Sequence[tuple[Tensor, Tensor, Tensor]],
    weights: Sequence[Tensor],
    transform: RedshiftTransform,
    start: Tensor,
    steps: int,
) -> Tensor:
    """Spectra (K + 1, M) whose weighted sums, observed, fit the data best.

    Preconditioned by the normal equations of each rest-frame pixel alone, without the line-spread
    function: a step costs a forward and a backward transform of the sample.

    Args:
        batches: The sample.
        weights: Of the spectra in each object, shapes (N, K + 1).
        transform: From rest frame to data.
        start: First guess of the spectra.
        steps: Iterations.
    """

    count, size = start.shape
    information, target = start.new_zeros(size, count * count), torch.zeros_like(start)
    for (flux, ivar, z), weight in zip(batches, weights, strict=True):
        pairs = (weight[:, :, None] * weight[:, None]).flatten(1)
        information.addmm_(transform.adjoint(ivar, z).clamp_min(0).T, pairs)
        target.addmm_(weight.T, transform.adjoint(ivar * flux, z))
    scale = _ridge(information[:, 0])[0] * 1e3
    smoothness = _SMOOTHNESS * scale

    def normal(spectra: Tensor) -> Tensor:
        curvature = spectra.diff(n=2, dim=1)
        output = smoothness * nn.functional.pad(curvature, (2, 2)).diff(n=2, dim=1)
        for (_, ivar, z), weight in zip(batches, weights, strict=True):
            observed = ivar * transform(weight @ spectra, z)
            output.addmm_(weight.T, transform.adjoint(observed, z))
        return output

    ridge = (1e-2 * scale + 6 * smoothness) * torch.eye(count)
    factor = torch.linalg.cholesky(information.unflatten(1, (count, count)) + ridge)

    def preconditioned(residual: Tensor) -> Tensor:
        return torch.cholesky_solve(residual.T[..., None], factor)[..., 0].T

    solution, residual = start, target - normal(start)
    direction = preconditioned(residual)
    product = (residual * direction).sum()
    for _ in range(steps):
        image = normal(direction)
        step = product / (direction * image).sum()
        solution, residual = solution + step * direction, residual - step * image
        better = preconditioned(residual)
        before, product = product, (residual * better).sum()
        direction = better + product / before * direction
    return solution


def _interpolated(spectra: Tensor, source: WavelengthGrid, target: WavelengthGrid) -> Tensor:
    """Spectra (K, M) between two log10 grids, linearly, continued by their last values."""

    at = np.log10(source.wavelength), np.log10(target.wavelength)
    rows = [np.interp(at[1], at[0], row) for row in spectra.double().numpy()]
    return torch.from_numpy(np.stack(rows)).to(spectra.dtype)


def _expectation(residual: Tensor, weight: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean (N, K) and covariance (N, K, K) of coefficients with unit prior.

    In double precision: the information of bright objects about strong components is so large that
    its rounding in single precision exceeds the prior, and the covariance of weak ones would not be
    positive.
    """

    rank = len(basis)
    rows, columns = torch.tril_indices(rank, rank)
    # Pairs of basis spectra, each once.
    products = (basis[rows].double() * basis[columns]).T
    lower = torch.cat([some.double() @ products for some in weight.split(_CHUNK)])
    information = _symmetric(lower, rank)
    covariance = torch.linalg.inv(information + torch.eye(rank, dtype=torch.float64))
    mean = covariance @ (residual @ basis.T).double()[..., None]
    return mean[..., 0].to(basis.dtype), covariance.to(basis.dtype)


def _maximisation(
    residual: Tensor, weight: Tensor, coefficients: Tensor, covariance: Tensor
) -> Tensor:
    """The basis (K, M) that explains the residuals best, pixel by pixel."""

    rank = coefficients.shape[1]
    second = covariance + coefficients[:, :, None] * coefficients[:, None, :]
    rows, columns = torch.tril_indices(rank, rank)
    information = _symmetric(weight.T @ second[:, rows, columns], rank)
    # Pixels that few spectra reach are drawn towards zero instead of towards their noise.
    ridge = _ridge(weight.sum(dim=0))
    information = information + ridge[..., None, None] * torch.eye(rank)
    return torch.linalg.solve(information, (residual.T @ coefficients)).T


def _symmetric(lower: Tensor, size: int) -> Tensor:
    """Symmetric matrices (N, K, K) of their lower triangles (N, K (K + 1) / 2)."""

    rows, columns = torch.tril_indices(size, size)
    matrices = lower.new_empty(len(lower), size, size)
    matrices[:, rows, columns] = lower
    matrices[:, columns, rows] = lower
    return matrices


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
