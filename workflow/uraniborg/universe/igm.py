"""Absorption by neutral hydrogen between the galaxies, as a function of redshift.

The mean transmission is the analytic model of Inoue et al. (2014, MNRAS 442, 1805): the
Lyman-alpha forest (LAF) and damped systems (DLA), in 39 Lyman lines and the continuum.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid

__all__ = ["LYMAN_ALPHA", "forest_transmission", "igm_transmission", "optical_depth"]

LYMAN_ALPHA = 1215.67
"""Vacuum wavelength in Angstrom."""

_LIMIT = 911.8
# Wavelength, coefficients of the forest for three ranges of redshift, and of damped systems for
# two, of the Lyman lines from alpha on (Inoue et al. 2014, table 2).
_LINES = np.array(
    [
        (1215.67, 1.690e-02, 2.354e-03, 1.026e-04, 1.617e-04, 5.390e-05),
        (1025.72, 4.692e-03, 6.536e-04, 2.849e-05, 1.545e-04, 5.151e-05),
        (972.537, 2.239e-03, 3.119e-04, 1.360e-05, 1.498e-04, 4.992e-05),
        (949.743, 1.319e-03, 1.837e-04, 8.010e-06, 1.460e-04, 4.868e-05),
        (937.803, 8.707e-04, 1.213e-04, 5.287e-06, 1.429e-04, 4.763e-05),
        (930.748, 6.178e-04, 8.606e-05, 3.752e-06, 1.402e-04, 4.672e-05),
        (926.226, 4.609e-04, 6.421e-05, 2.799e-06, 1.377e-04, 4.590e-05),
        (923.150, 3.569e-04, 4.971e-05, 2.167e-06, 1.355e-04, 4.516e-05),
        (920.963, 2.843e-04, 3.960e-05, 1.726e-06, 1.335e-04, 4.448e-05),
        (919.352, 2.318e-04, 3.229e-05, 1.407e-06, 1.316e-04, 4.385e-05),
        (918.129, 1.923e-04, 2.679e-05, 1.168e-06, 1.298e-04, 4.326e-05),
        (917.181, 1.622e-04, 2.259e-05, 9.847e-07, 1.281e-04, 4.271e-05),
        (916.429, 1.385e-04, 1.929e-05, 8.410e-07, 1.265e-04, 4.218e-05),
        (915.824, 1.196e-04, 1.666e-05, 7.263e-07, 1.250e-04, 4.168e-05),
        (915.329, 1.043e-04, 1.453e-05, 6.334e-07, 1.236e-04, 4.120e-05),
        (914.919, 9.174e-05, 1.278e-05, 5.571e-07, 1.222e-04, 4.075e-05),
        (914.576, 8.128e-05, 1.132e-05, 4.936e-07, 1.209e-04, 4.031e-05),
        (914.286, 7.251e-05, 1.010e-05, 4.403e-07, 1.197e-04, 3.989e-05),
        (914.039, 6.505e-05, 9.062e-06, 3.950e-07, 1.185e-04, 3.949e-05),
        (913.826, 5.868e-05, 8.174e-06, 3.563e-07, 1.173e-04, 3.910e-05),
        (913.641, 5.319e-05, 7.409e-06, 3.230e-07, 1.162e-04, 3.872e-05),
        (913.480, 4.843e-05, 6.746e-06, 2.941e-07, 1.151e-04, 3.836e-05),
        (913.339, 4.427e-05, 6.167e-06, 2.689e-07, 1.140e-04, 3.800e-05),
        (913.215, 4.063e-05, 5.660e-06, 2.467e-07, 1.130e-04, 3.766e-05),
        (913.104, 3.738e-05, 5.207e-06, 2.270e-07, 1.120e-04, 3.732e-05),
        (913.006, 3.454e-05, 4.811e-06, 2.097e-07, 1.110e-04, 3.700e-05),
        (912.918, 3.199e-05, 4.456e-06, 1.943e-07, 1.101e-04, 3.668e-05),
        (912.839, 2.971e-05, 4.139e-06, 1.804e-07, 1.091e-04, 3.637e-05),
        (912.768, 2.766e-05, 3.853e-06, 1.680e-07, 1.082e-04, 3.607e-05),
        (912.703, 2.582e-05, 3.596e-06, 1.568e-07, 1.073e-04, 3.578e-05),
        (912.645, 2.415e-05, 3.364e-06, 1.466e-07, 1.065e-04, 3.549e-05),
        (912.592, 2.263e-05, 3.153e-06, 1.375e-07, 1.056e-04, 3.521e-05),
        (912.543, 2.126e-05, 2.961e-06, 1.291e-07, 1.048e-04, 3.493e-05),
        (912.499, 2.000e-05, 2.785e-06, 1.214e-07, 1.040e-04, 3.466e-05),
        (912.458, 1.885e-05, 2.625e-06, 1.145e-07, 1.032e-04, 3.440e-05),
        (912.420, 1.779e-05, 2.479e-06, 1.080e-07, 1.024e-04, 3.414e-05),
        (912.385, 1.682e-05, 2.343e-06, 1.022e-07, 1.017e-04, 3.389e-05),
        (912.353, 1.593e-05, 2.219e-06, 9.673e-08, 1.009e-04, 3.364e-05),
        (912.324, 1.510e-05, 2.103e-06, 9.169e-08, 1.002e-04, 3.339e-05),
    ]
)
_NODES = np.linspace(np.log(900.0), np.log(14000.0), 3000)


def igm_transmission(grid: WavelengthGrid, z: Tensor) -> Tensor:
    """Mean transmission at the wavelengths of a rest-frame grid times 1 + z.

    Args:
        grid: Rest-frame grid in vacuum Angstrom.
        z: Redshifts of the sources, 0 to 10, shape (N,).

    Returns:
        Shape (N, grid.size), float32; one redward of Lyman alpha.
    """

    transmission = torch.ones(len(z), grid.size)
    below = int(np.searchsorted(grid.wavelength, LYMAN_ALPHA))
    if below:
        depth = optical_depth(torch.as_tensor(grid.wavelength[:below]), z)
        transmission[:, :below] = torch.exp(-depth)
    return transmission


def optical_depth(rest_wavelength: Tensor, z: Tensor) -> Tensor:
    """Mean optical depth, shape (N, M), float32.

    Args:
        rest_wavelength: Wavelengths in the frame of the sources in Angstrom, shape (M,).
        z: Redshifts of the sources, shape (N,).
    """

    rest, z = rest_wavelength.double(), z.double()
    # The number of lines that a photon has met grows with its rest wavelength's distance from
    # Lyman alpha; the sum of their optical depths is a function of the observed wavelength alone.
    met = (rest[:, None] < torch.as_tensor(_LINES[:, 0])).sum(1)
    position = (torch.log1p(z)[:, None] + torch.log(rest) - _NODES[0]) / (_NODES[1] - _NODES[0])
    position = position.clamp(0, len(_NODES) - 1.001)
    node = position.long()
    table = _table()
    index = met * table.shape[1] + node
    low, high = table.flatten()[index], table.flatten()[index + 1]
    depth = low + (high - low) * (position - node).float()
    ionising = int((rest < _LIMIT).sum())
    if ionising:
        x = (1 + z)[:, None] * rest[:ionising] / _LIMIT
        depth[:, :ionising] += _continuum(x.clamp(min=1), (1 + z)[:, None]).float()
    return depth


def forest_transmission(
    grid: WavelengthGrid, z: Tensor, seeds: Iterable[int], spread: float = 2.0, width: float = 70.0
) -> Tensor:
    """Random transmission whose mean is that of `igm_transmission`, as `grid` resolves it.

    Optical depths are lognormal about a local level (Bi & Davidsen 1997, ApJ 479, 523): `spread`
    and `width` are assumed, to look like the forest at a resolution of 2000. Only the Lyman-alpha
    line casts random absorption; higher lines and the continuum add their means.

    Args:
        grid: Rest-frame grid, log10.
        z: Redshifts, shape (N,).
        seeds: A seed for each object; those below 0 get the mean.
        spread: Standard deviation of the logarithm of the optical depth.
        width: Standard deviation of the correlation in km/s.
    """

    transmission = igm_transmission(grid, z)
    below = int(np.searchsorted(grid.wavelength, LYMAN_ALPHA))
    seeds = np.asarray(list(seeds))
    (random,) = np.nonzero(seeds >= 0)
    if not below or not len(random):
        return transmission
    pixel = 299792.458 * np.log(10) * grid.step
    sigma = max(width / pixel, 0.3)
    offset = torch.arange(-int(4 * sigma) - 1, int(4 * sigma) + 2)
    kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
    kernel = kernel / kernel.square().sum().sqrt()
    size = below + len(kernel) - 1
    white = np.stack([np.random.default_rng([int(s)]).standard_normal(size, np.float32)
                      for s in seeds[random]])  # fmt: skip
    field = nn.functional.conv1d(torch.as_tensor(white)[:, None], kernel[None, None])[:, 0]
    mean = transmission[random, :below]
    level = _level(mean.clamp(1e-4, 1 - 1e-5), spread)
    transmission[random, :below] = torch.exp(-level * torch.exp(spread * field))
    return transmission


def _level(mean: Tensor, spread: float) -> Tensor:
    """The median optical depth at which lognormal depths have a given mean transmission."""

    node, weight = np.polynomial.hermite_e.hermegauss(40)
    depth = np.geomspace(1e-7, 1e4, 600)
    transmission = np.exp(-depth[:, None] * np.exp(spread * node)) @ (weight / weight.sum())
    at = np.interp(-np.log(mean.numpy()), -np.log(np.maximum(transmission, 1e-300)), np.log(depth))
    return torch.exp(torch.as_tensor(at).float())


def _table() -> Tensor:
    """Optical depth of the first k lines at the nodes of observed wavelength, (40, nodes)."""

    x = np.exp(_NODES) / _LINES[:, :1]
    forest = np.where(
        x < 2.2,
        _LINES[:, 1:2] * x**1.2,
        np.where(x < 5.7, _LINES[:, 2:3] * x**3.7, _LINES[:, 3:4] * x**5.5),
    )
    damped = np.where(x < 3, _LINES[:, 4:5] * x**2, _LINES[:, 5:6] * x**3)
    lines = np.where(x >= 1, forest + damped, 0)
    depth = np.concatenate([np.zeros_like(lines[:1]), lines.cumsum(0)])
    return torch.as_tensor(depth, dtype=torch.float32)


def _continuum(x: Tensor, s: Tensor) -> Tensor:
    """Photoelectric optical depth (Inoue et al. 2014, eqs. 25 to 29), zero where x exceeds s.

    Args:
        x: Observed wavelength over the Lyman limit.
        s: 1 + z of the source.
    """

    near = 0.325 * (x**1.2 - s**-0.9 * x**2.1)
    middle = 2.55e-2 * (s**1.6 * x**2.1 - x**3.7)
    far = 5.22e-4 * (s**3.4 * x**2.1 - x**5.5)
    middle_near = 2.55e-2 * s**1.6 * x**2.1 + 0.325 * x**1.2 - 0.250 * x**2.1
    far_middle = 5.22e-4 * s**3.4 * x**2.1 + 0.218 * x**2.1 - 2.55e-2 * x**3.7
    far_near = 5.22e-4 * s**3.4 * x**2.1 + 0.325 * x**1.2 - 3.14e-2 * x**2.1
    at_middle = torch.where(x < 2.2, middle_near, middle)
    at_far = torch.where(x < 2.2, far_near, torch.where(x < 5.7, far_middle, far))
    forest = torch.where(s < 2.2, near, torch.where(s < 5.7, at_middle, at_far))

    damped_near = 0.211 * s**2 - 7.66e-2 * s**2.3 * x**-0.3 - 0.135 * x**2
    common = 4.70e-2 * s**3 - 1.78e-2 * s**3.3 * x**-0.3
    damped_far = torch.where(
        x < 3, 0.634 + common - 0.135 * x**2 - 0.291 * x**-0.3, common - 2.92e-2 * x**3
    )
    damped = torch.where(s < 3, damped_near, damped_far)
    return torch.where(x < s, forest + damped, 0).clamp(min=0)
