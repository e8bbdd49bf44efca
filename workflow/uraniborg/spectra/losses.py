"""What spectrum autoencoders minimise, and how their fit is judged.

All losses are means over objects, so that they add up as published, where they are sums.
"""

import torch
from torch import Tensor

__all__ = [
    "consistency",
    "fidelity",
    "imitation",
    "low_rank_distances",
    "reduced_chi2",
    "restframe_distances",
    "restframe_medians",
    "restframe_weight",
    "similarity",
    "similarity_slope",
]


def fidelity(flux: Tensor, ivar: Tensor, model: Tensor) -> Tensor:
    """Mean over objects of half the mean weighted squared residual (arXiv:2211.07890, equation 1).

    Args:
        flux: Observed spectra (N, L).
        ivar: Their inverse variance (N, L), 0 where masked.
        model: Reconstructions (N, L).
    """

    return 0.5 * (ivar * (flux - model).square()).mean()


def similarity(latent: Tensor, distances: Tensor, slope: float) -> Tensor:
    """How far distances of latents are from distances of spectra (arXiv:2302.02496, section 2).

    The mean over objects i of sum_j [sigmoid(k u_ij - 2.5) + sigmoid(-k u_ij - 2.5)] / N without
    j = i, where u_ij is the mean squared difference of two latents minus that of their spectra.

    Args:
        latent: Latents (N, S).
        distances: Of their rest-frame spectra, shape (N, N); see `restframe_distances`.
        slope: The steepness k; see `similarity_slope`.
    """

    number, size = latent.shape
    difference = slope * (_squared_distances(latent) / size - distances)
    penalty = torch.sigmoid(difference - 2.5) + torch.sigmoid(-difference - 2.5)
    return (penalty.sum() - penalty.diagonal().sum()) / number**2


def consistency(latent: Tensor, latent_augmented: Tensor, sigma: float = 0.1) -> Tensor:
    """How far the latents of augmented copies are from the originals (arXiv:2302.02496, section 2).

    The mean over objects of sigmoid(|s - s'|^2 / (sigma^2 S)) - 1/2: 0 if they agree, at most 1/2.

    Args:
        latent: Latents (N, S).
        latent_augmented: Latents of copies of the same spectra (N, S); see `augmented`.
        sigma: What counts as a small difference of latents.
    """

    difference = (latent - latent_augmented).square().mean(dim=1)
    return (torch.sigmoid(difference / sigma**2) - 0.5).mean()


def imitation(latent: Tensor, taught: Tensor) -> Tensor:
    """How far latents are from those of a teacher: the mean distance in units of their rms spread.

    Args:
        latent: Latents (N, S).
        taught: Latents of the same objects by another encoder (N, S).
    """

    spread = (taught - taught.mean(dim=0)).square().sum(dim=1).mean()
    return ((latent - taught).square().sum(dim=1) / spread + 1e-6).sqrt().mean()


def similarity_slope(
    epoch: int, epochs: int, peak: float = 9.9, cycle: int = 100, silent: int = 10
) -> float:
    """The steepness k of `similarity` in an epoch: it rises from 0 to its peak again and again, and
    is 0 in the end (arXiv:2302.02496: 100 epochs a cycle, 1,000 in all).

    Args:
        epoch: From 1.
        epochs: Epochs of the training.
        peak: The largest steepness.
        cycle: Epochs from 0 to the peak.
        silent: Epochs at the end in which it is 0.
    """

    if epoch > epochs - silent:
        return 0.0
    return peak * ((epoch - 1) % cycle) / max(cycle - 1, 1)


def restframe_weight(
    wavelength: Tensor, amplitude: float = 20.0, centre: float = 5000.0, width: float = 1000.0
) -> Tensor:
    """Weights A exp(-[(l - l0) / (2 w)]^2) of rest-frame pixels (arXiv:2302.02496), shape (M,).

    Args:
        wavelength: Of the pixels in Angstrom, shape (M,).
        amplitude: The largest weight A.
        centre: Where it is reached, l0, in Angstrom.
        width: The scale w in Angstrom.
    """

    return amplitude * torch.exp(-(0.5 * (wavelength - centre) / width).square())


def restframe_medians(
    restframe: Tensor, wavelength: Tensor, window: tuple[float, float] = (4000.0, 7000.0)
) -> Tensor:
    """Medians of rest-frame spectra (N, M) in a window in Angstrom, shape (N,).

    Spectra are compared in units of them (arXiv:2302.02496).
    """

    inside = (wavelength > window[0]) & (wavelength < window[1])
    first, last = inside.nonzero()[[0, -1], 0].tolist()
    return restframe[:, first : last + 1].median(dim=1).values


def restframe_distances(restframe: Tensor, medians: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared differences of all pairs of spectra, shape (N, N).

    A product of matrices: the differences themselves, shape (N, N, M), are never formed.

    Args:
        restframe: Spectra (N, M).
        medians: What each is divided by, shape (N,).
        weight: Weights of the pixels, shape (M,).
    """

    return _squared_distances(restframe / medians[:, None] * (weight / len(weight)).sqrt())


def low_rank_distances(
    coefficients: Tensor, components: Tensor, medians: Tensor, weight: Tensor
) -> Tensor:
    """The same as `restframe_distances` for the spectra `coefficients @ components`, exactly.

    The pixels enter through a metric (K, K) of the components alone, which is cheap however many
    spectra there are.

    Args:
        coefficients: Shape (N, K); of a mean plus a basis, those of the mean are one.
        components: Spectra (K, M).
        medians: What each spectrum is divided by, shape (N,).
        weight: Weights of the pixels, shape (M,).
    """

    metric = components * (weight / len(weight)) @ components.T
    relative = coefficients / medians[:, None]
    relative = relative - relative.mean(dim=0)
    return _of_products(relative @ metric @ relative.T)


def reduced_chi2(flux: Tensor, ivar: Tensor, model: Tensor, parameters: int) -> Tensor:
    """Chi-squared per degree of freedom of each object, shape (N,).

    Args:
        flux: Observed spectra (N, L).
        ivar: Their inverse variance (N, L), 0 where masked.
        model: Reconstructions (N, L).
        parameters: Fitted numbers per object, which reduce the degrees of freedom.
    """

    freedom = ((ivar > 0).sum(dim=1) - parameters).clamp_min(1)
    return (ivar * (flux - model).square()).sum(dim=1) / freedom


def _squared_distances(vectors: Tensor) -> Tensor:
    """Squared distances of all pairs of vectors (N, S), shape (N, N)."""

    # Distances do not depend on the origin; near it, large terms do not cancel.
    centred = vectors - vectors.mean(dim=0)
    return _of_products(centred @ centred.T)


def _of_products(products: Tensor) -> Tensor:
    """Squared distances of vectors whose scalar products are given, shape (N, N)."""

    squares = products.diagonal()
    return squares[:, None] + squares - 2 * products
