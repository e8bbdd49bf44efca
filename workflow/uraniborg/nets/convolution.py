"""Convolutions of long kernels by Fourier transforms, and what may be done before an activation.

Sequences are (N, L, C) here, channels last, so that every step is a product of matrices.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["convolution_stage", "fourier_convolution"]


def convolution_stage(
    sequence: Tensor, convolution: nn.Conv1d, activation: nn.PReLU, pool: int | None
) -> Tensor:
    """Convolution, instance normalisation, PReLU and max-pooling, exactly but in another order.

    Normalisation and a rising activation keep the order of values, so that what is not the largest
    in its window need not pass through them.

    Args:
        sequence: Shape (N, L, C).
        convolution: With zeros beyond the ends, so that the length stays.
        activation: One without a negative slope.
        pool: Size and step of the windows, which reach half a window beyond the ends; None for no
            pooling.

    Returns:
        Shape (N, P, O).
    """

    weight, bias = convolution.weight, convolution.bias
    if convolution.in_channels == 1:
        convolved, mean, variance = _single_channel(sequence[..., 0], weight[:, 0], pool)
    else:
        convolved = fourier_convolution(sequence, weight)
        mean = convolved.mean(dim=1, keepdim=True)
        variance = convolved.square().mean(dim=1, keepdim=True) - mean.square()
        if pool is not None:
            convolved = _largest(convolved, pool)[0]
    # The constant is what InstanceNorm1d adds by default. The bias makes no difference to a
    # normalised sequence; it is here for the sake of its gradient, which is zero.
    scale = (variance.clamp_min(0) + 1e-5).rsqrt()
    normalised = (convolved + bias - (mean + bias)) * scale
    return torch.where(normalised > 0, normalised, activation.weight * normalised)


def fourier_convolution(sequence: Tensor, weight: Tensor) -> Tensor:
    """What `torch.nn.Conv1d` computes without a bias and with zeros beyond the ends, by the
    overlap-save method.

    The sequence is cut into overlapping tiles; in their Fourier space a kernel of any length is a
    product per frequency. Transforms of so few pixels are products with a matrix.

    Args:
        sequence: Shape (N, L, C).
        weight: Of the convolution, shape (O, C, K), K odd.

    Returns:
        Shape (N, L, O).
    """

    number, length, inputs = sequence.shape
    outputs, _, kernel = weight.shape
    tile = _tile(length, inputs, outputs, kernel)
    step = tile - kernel + 1
    tiles = -(-length // step)
    forward, inverse = (matrix.to(sequence) for matrix in _transforms(tile, step))

    half = kernel // 2
    padded = nn.functional.pad(sequence, (0, 0, half, tiles * step + half - length))
    spectra = forward @ padded.unfold(1, tile, step).transpose(2, 3)
    # Real and imaginary parts side by side: (frequencies, N * tiles, 2 C).
    spectra = spectra.reshape(number * tiles, tile // 2 + 1, 2 * inputs).transpose(0, 1)

    # Conv1d correlates, so that spectra are multiplied by the conjugate of the kernels'.
    cosine, sine = forward[0::2, :kernel], forward[1::2, :kernel]
    complex_product = torch.stack([cosine, -sine, sine, cosine], dim=1).unflatten(1, (2, 2))
    product = torch.einsum("fabk,kco->facbo", complex_product, weight.permute(2, 1, 0))
    product = product.reshape(-1, 2 * inputs, 2 * outputs)
    convolved = torch.bmm(spectra, product).transpose(0, 1)
    tiles_out = inverse[0] @ convolved[..., :outputs] + inverse[1] @ convolved[..., outputs:]
    return tiles_out.reshape(number, tiles * step, outputs)[:, :length]


def _single_channel(
    sequence: Tensor, weight: Tensor, pool: int | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Convolution of one channel (N, L) with kernels (O, K), the largest of each window (N, P, O),
    and the mean and the variance of the whole along the sequence, (N, 1, O).

    Both moments follow from those of the kernel's windows, without a look at the result.
    """

    size = weight.shape[1]
    padded = nn.functional.pad(sequence, (size // 2, size // 2))
    windows = padded.unfold(1, size, 1)
    centre = windows.mean(dim=1, keepdim=True)
    centred = windows - centre
    covariance = centred.transpose(1, 2) @ centred / sequence.shape[1]
    variance = ((weight @ covariance) * weight).sum(dim=2)[:, None]
    mean = centre @ weight.T
    if pool is None:
        return windows @ weight.T, mean, variance

    # The long result is never kept: a few spectra at a time, and only where the largest are.
    with torch.no_grad():
        parts = [_largest(part @ weight.T, pool) for part in windows.split(8)]
        largest, pixels = (torch.cat(kind) for kind in zip(*parts, strict=True))
    if not torch.is_grad_enabled():
        return largest, mean, variance
    flat = pixels.flatten(1)
    found = sum(weight[:, k] * padded.gather(1, flat + k).view_as(pixels) for k in range(size))
    return found, mean, variance


def _largest(sequence: Tensor, pool: int) -> tuple[Tensor, Tensor]:
    """The largest values of a sequence (N, L, C) in windows, and their positions, (N, P, C)."""

    image = sequence.transpose(1, 2).unsqueeze(2)
    pooled, positions = nn.functional.max_pool2d(
        image, (1, pool), (1, pool), (0, pool // 2), return_indices=True
    )
    return pooled.squeeze(2).transpose(1, 2), positions.squeeze(2).transpose(1, 2)


@cache
def _tile(length: int, inputs: int, outputs: int, kernel: int) -> int:
    """The even number of pixels per tile that takes the least arithmetic."""

    def cost(tile: int) -> int:
        step = tile - kernel + 1
        product = 2 * (tile + 2) * inputs * outputs
        transforms = (tile + 2) * (tile * inputs + step * outputs)
        return -(-length // step) * (product + transforms)

    # Longer tiles have more frequencies, for each of which there is a matrix of kernels.
    return min(range(kernel + 1, max(64, 3 * kernel) + 1, 2), key=cost)


@cache
def _transforms(tile: int, step: int) -> tuple[Tensor, Tensor]:
    """Matrices of the real Fourier transform of a tile and of its inverse.

    The first (2 F, tile) gives real and imaginary parts in turn; the second (2, step, F) takes
    them apart and gives the first `step` pixels.
    """

    # Kept for later calls, which may need gradients though this one does not.
    with torch.inference_mode(False):
        frequencies = torch.arange(tile // 2 + 1, dtype=torch.float64)[:, None]
        angle = 2 * math.pi * frequencies * torch.arange(tile) / tile
        forward = torch.stack([angle.cos(), -angle.sin()], dim=1).flatten(0, 1)
        # Every frequency but the first and the last stands for its negative as well.
        share = torch.full_like(frequencies, 2 / tile)
        share[0] = share[-1] = 1 / tile
        inverse = torch.stack([share * angle.cos(), -share * angle.sin()])[:, :, :step]
        return forward, inverse.transpose(1, 2).contiguous()
