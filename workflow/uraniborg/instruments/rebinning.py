"""Spectra on wavelength grids of their own."""

from typing import NamedTuple

import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid

__all__ = ["ResampledSpectra", "pixel_edges", "resample_spectra"]


class ResampledSpectra(NamedTuple):
    """Spectra on another grid.

    Attributes:
        flux: Mean flux density over each pixel, 0 where nothing is known, shape (N, L).
        ivar: Its inverse variance, 0 where nothing is known, shape (N, L).
    """

    flux: Tensor
    ivar: Tensor


def resample_spectra(
    flux: Tensor,
    ivar: Tensor,
    wavelength: Tensor,
    grid: WavelengthGrid,
    min_coverage: float = 0.5,
) -> ResampledSpectra:
    """Spectra given on any wavelengths as a model's grid wants them, so that they can be encoded.

    A spectrum is taken to be constant within each of its pixels, and averaged over those of the
    grid: the flux between any two edges is conserved. Masked pixels are left out of the average.
    The variance of each average is that of its weights; neighbouring pixels that share a pixel of
    the original have correlated noise, which the result does not say. Chi-squared is right in the
    mean, and uncertainties derived from it are too small by up to the square root of the number of
    new pixels per old one, or by a fifth or less if the old pixels are at most half as wide.

    Args:
        flux: Flux densities, any unit, shape (N, P).
        ivar: Inverse variances, 0 where masked, shape (N, P).
        wavelength: Pixel centres in Angstrom, vacuum, rising; shape (P,) for all or (N, P).
        grid: The model's.
        min_coverage: Share of a pixel that has to be known for it to count.

    Raises:
        ValueError: Wavelengths do not rise, or shapes do not fit.

    Example:
        >>> flux, ivar = resample_spectra(flux, ivar, wavelength, model.transform.observed)
        >>> latent = model.encode(flux, ivar, z)
    """

    if flux.shape != ivar.shape or flux.shape[-1:] != wavelength.shape[-1:]:
        raise ValueError(
            f"shapes of flux {tuple(flux.shape)}, ivar {tuple(ivar.shape)} and wavelength "
            f"{tuple(wavelength.shape)} do not fit"
        )
    good = ivar > 0
    value = torch.where(good, flux, 0).double()
    variance = torch.where(good, 1 / ivar.double(), 0)
    edges = pixel_edges(wavelength).expand(len(flux), -1).contiguous()
    target = torch.as_tensor(grid.edges, device=flux.device).expand(len(flux), -1)
    target = target.clamp(edges[:, :1], edges[:, -1:]).contiguous()
    pixel = (torch.searchsorted(edges, target, right=True) - 1).clamp(0, flux.shape[1] - 1)
    # How far each edge of the grid lies within the pixel of the original that it cuts.
    within = target - edges.gather(1, pixel)

    width = edges.diff(dim=1)
    known = _between(width * good, good.double(), pixel, within)
    integral = _between(width * value, value, pixel, within)
    summed = _squares_between(width, variance, pixel, within)

    enough = known >= min_coverage * torch.as_tensor(grid.edges, device=flux.device).diff()
    enough &= summed > 0
    mean = torch.where(enough, integral / known, 0)
    inverse = torch.where(enough, known.square() / summed, 0)
    return ResampledSpectra(mean.to(flux.dtype), inverse.to(ivar.dtype))


def pixel_edges(wavelength: Tensor) -> Tensor:
    """Edges halfway between pixel centres, the outermost as far out as the next is in, float64.

    Args:
        wavelength: Pixel centres, rising along the last axis, shape (..., P) with P of at least 2.

    Returns:
        Shape (..., P + 1).

    Raises:
        ValueError: They do not rise.
    """

    centre = wavelength.double()
    if centre.shape[-1] < 2 or not (centre.diff(dim=-1) > 0).all():
        raise ValueError("wavelengths of a spectrum are at least two, and rise")
    middle = (centre[..., 1:] + centre[..., :-1]) / 2
    first = 2 * centre[..., :1] - middle[..., :1]
    last = 2 * centre[..., -1:] - middle[..., -1:]
    return torch.cat([first, middle, last], dim=-1)


def _between(area: Tensor, height: Tensor, pixel: Tensor, within: Tensor) -> Tensor:
    """Integrals between successive edges of a function that is constant within pixels."""

    below = torch.nn.functional.pad(area.cumsum(dim=1), (1, 0)).gather(1, pixel)
    return (below + height.gather(1, pixel) * within).diff(dim=1)


def _squares_between(width: Tensor, variance: Tensor, pixel: Tensor, within: Tensor) -> Tensor:
    """Sums over pixels between successive edges of overlap squared times variance."""

    whole = torch.nn.functional.pad((width.square() * variance).cumsum(dim=1), (1, 0))
    first, last = pixel[:, :-1], pixel[:, 1:]
    left, right = width.gather(1, first) - within[:, :-1], within[:, 1:]
    ends = left.square() * variance.gather(1, first) + right.square() * variance.gather(1, last)
    several = ends + whole.gather(1, last) - whole.gather(1, (first + 1).minimum(last))
    one = within.diff(dim=1).square() * variance.gather(1, first)
    return torch.where(first == last, one, several)
