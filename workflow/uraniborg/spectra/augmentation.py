"""Copies of spectra as they would have looked at other redshifts and in worse data."""

import torch
from torch import Tensor

from uraniborg.spectra.dataset import Batch

__all__ = ["augmented"]


def augmented(
    batch: Batch,
    step: float,
    z_range: tuple[float, float] = (0.0, 0.5),
    noise: float = 0.2,
    noisy: float = 0.05,
    masked: float = 0.05,
    detector_noise: bool = False,
) -> Batch:
    """Moves spectra to other redshifts, adds noise to some of their pixels and masks a block.

    For latents that ought not to depend on any of this (arXiv:2302.02496, section 2). Redshifts are
    drawn uniformly, then rounded to a whole number of pixels, by at most half a pixel: so the move
    is a shift, which neither blurs lines nor correlates noise. Random numbers are torch's.

    Args:
        batch: Spectra on a log10 grid; it is not changed.
        step: Distance between the grid's pixels in dex.
        z_range: Redshifts between which new ones are drawn.
        noise: Standard deviation of the added noise in units of the largest flux.
        noisy: Fraction of the pixels that get it; their ivar is lowered accordingly.
        masked: Fraction of the spectrum in the block that is masked.
        detector_noise: Whether pixels are made as noisy as they were before the move, where they
            are not noisier still: shifted data bring the noise of bright sky lines with them, which
            tells an encoder that sees the ivar how far they were moved. Not so as published.

    Returns:
        The copies; pixels without data have no flux and no weight.
    """

    flux, ivar, z = batch
    number, size = flux.shape
    drawn = torch.empty_like(z).uniform_(*z_range)
    shift = ((torch.log10(1 + drawn.double()) - torch.log10(1 + z.double())) / step).round()
    source = torch.arange(size, device=z.device) - shift.long()[:, None]
    inside = (source >= 0) & (source < size)
    source = source.clamp(0, size - 1)
    inside &= ~_block(number, size, round(masked * size), z.device)
    moved, weight = flux.gather(1, source), ivar.gather(1, source) * inside

    if detector_noise:
        here = torch.where(weight > 0, ivar, 0)
        known = (here > 0) & (here < weight)
        missing = torch.where(known, 1 / here - 1 / weight, 0)
        moved = moved + missing.sqrt() * torch.randn_like(moved)
        # Where the detector sees nothing, it would not see the galaxy there either.
        weight = torch.where(known, here, torch.where(ivar > 0, weight, 0))

    # The largest flux that was measured: what is masked may hold anything.
    largest = torch.where(ivar > 0, flux, 0).amax(dim=1, keepdim=True)
    # A pixel may be drawn twice; variances add up just as the noise does.
    pixels = torch.randint(size, (number, round(noisy * size)), device=z.device)
    sigma = (noise * largest).expand(pixels.shape)
    moved = moved.scatter_add(1, pixels, sigma * torch.randn_like(sigma))
    variance = torch.zeros_like(ivar).scatter_add(1, pixels, sigma.square())
    weight = weight / (1 + weight * variance)
    z_new = (1 + z.double()) * 10 ** (shift * step) - 1
    return Batch(torch.where(weight > 0, moved, 0), weight, z_new.to(z.dtype))


def _block(number: int, size: int, length: int, device: torch.device) -> Tensor:
    """One block of `length` pixels somewhere in each spectrum, True there, shape (N, L)."""

    start = torch.randint(size - length + 1, (number, 1), device=device)
    pixels = torch.arange(size, device=device)
    return (pixels >= start) & (pixels < start + length)
