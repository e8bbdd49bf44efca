"""Line-spread functions."""

import math

import torch
from torch import Tensor

__all__ = ["convolve_lsf", "lsf_kernels"]

# Variance of a boxcar of one pixel, in pixels^2.
_PIXEL_VARIANCE = 1 / 12


def lsf_kernels(sigma: Tensor) -> Tensor:
    """Gaussian kernels, one per pixel, for spectra that are already averaged over pixels.

    An unresolved line comes out with the standard deviation `sigma`: the kernel's own variance
    is smaller by that of the pixel.

    Args:
        sigma: Standard deviation of the line-spread function in pixels, shape (M,).

    Returns:
        Shape (2 R + 1, M), summing to one over the first axis; R is four standard deviations.
    """

    variance = (sigma.double() ** 2 - _PIXEL_VARIANCE).clamp(min=1e-4)
    radius = max(1, math.ceil(4 * math.sqrt(variance.max().item())))
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64, device=sigma.device)
    # Integrated over the pixel, a kernel narrower than a pixel would be too wide; sampled, it
    # keeps its variance down to half a pixel.
    kernels = torch.exp(-(offset[:, None] ** 2) / (2 * variance))
    return (kernels / kernels.sum(0)).to(sigma.dtype)


def convolve_lsf(flux: Tensor, kernels: Tensor) -> Tensor:
    """Convolves spectra with a line-spread function that varies with wavelength.

    Args:
        flux: Shape (N, M); beyond the ends the last value continues.
        kernels: Shape (2 R + 1, M) from `lsf_kernels`.

    Returns:
        Shape (N, M). A constant stays constant.
    """

    radius, size = len(kernels) // 2, flux.shape[1]
    padded = torch.nn.functional.pad(flux[:, None], (radius, radius), mode="replicate")[:, 0]
    return sum(kernels[k] * padded[:, k : k + size] for k in range(len(kernels)))
