"""Spectra of the components of star-formation histories, tabulated for speed.

The light of a galaxy is linear in the mass that each component of its history formed. What remains
is a function of redshift, which sets the ages, and of metallicity: a polynomial in the one, linear
between the nodes of the grid in the other, as in the grid itself. A galaxy's spectrum before dust
is then one product of matrices.
"""

import numpy as np
import torch
from torch import Tensor

from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.gas import log_ionisation
from uraniborg.universe.stellar_populations import metallicity_weights

__all__ = ["ComponentSpectra"]

# Light of birth clouds is what clouds without end, and no other dust, take away.
_NO_DUST, _OPAQUE = 1e-12, 1e15


class ComponentSpectra:
    """Spectra without dust of mixtures of components, differentiable.

    Gas has the metallicity of the stars and the mean ionisation of its metallicity.

    Args:
        model: The model, whose history has K components that enter linearly (`nmf`).
        z_max: Largest redshift.
        low: Smallest log metallicity, in solar units.
        order: Number of Chebyshev polynomials in redshift.
    """

    def __init__(self, model: GalaxyModel, z_max: float, low: float, order: int = 5) -> None:
        self.z_max, self.order = z_max, order
        self.count = model.history.size
        nodes = model.populations.metallicity
        first = max(int(torch.searchsorted(nodes, torch.tensor(10.0**low))) - 1, 0)
        self.metallicity = nodes[first:]
        polynomials = np.polynomial.chebyshev
        x = np.cos(np.pi * (np.arange(order) + 0.5) / order)
        inverse = torch.as_tensor(np.linalg.inv(polynomials.chebvander(x, order - 1)))
        rows = [self._tabulate(model, float(z)) for z in (x + 1) / 2 * z_max]
        # Values at the nodes become coefficients of the polynomials.
        table = torch.einsum("po,ozkm->pzkm", inverse, torch.stack(rows))
        self._table = table.flatten(0, 2).float()
        self._pixels = model.grid.size

    def __call__(
        self, history: Tensor, z: Tensor, log_metallicity: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Luminosity densities in L_sun/Angstrom per M_sun of living stars.

        Args:
            history: Fractions of mass formed, shape (N, K).
            z: Redshifts up to `z_max`, shape (N,).
            log_metallicity: log10 of metallicity over Z_sun, shape (N,).

        Returns:
            Light that only diffuse dust dims, and light of birth clouds, each (N, M).
        """

        x = 2 * z / self.z_max - 1
        powers = [torch.ones_like(x), x]
        while len(powers) < self.order:
            powers.append(2 * x * powers[-1] - powers[-2])
        polynomials = torch.stack(powers[: self.order], dim=1)
        by_metallicity = metallicity_weights(log_metallicity, self.metallicity.to(z.device))
        mixture = by_metallicity.to(history.dtype)[:, :, None] * history[:, None]
        weights = polynomials[:, :, None] * mixture.flatten(1)[:, None]
        values = weights.flatten(1) @ self._table.to(history)
        old, clouds, living = values.split([self._pixels, self._pixels, 1], dim=1)
        return old / living, clouds / living

    def _tabulate(self, model: GalaxyModel, z: float) -> Tensor:
        """Per M_sun formed, shape (Z, K, 2 M + 1): both spectra, and the mass that still lives."""

        count = len(self.metallicity) * self.count
        log_metallicity = torch.log10(self.metallicity.double()).repeat_interleave(self.count)
        zero = torch.zeros(count, dtype=torch.float64)
        parameters = {
            "z": zero + z,
            "stellar_mass": zero,
            "history": torch.eye(self.count, dtype=torch.float64).repeat(len(self.metallicity), 1),
            "log_metallicity": log_metallicity,
            "A_V": zero,
            "birth_cloud_ratio": zero,
            "dust_slope": zero,
            "log_u": log_ionisation(log_metallicity),
        }
        everything = model.luminosity(parameters)
        opaque = parameters | {"A_V": zero + _NO_DUST, "birth_cloud_ratio": zero + _OPAQUE}
        old = model.luminosity(opaque)
        living = 1 / model.weights(parameters).sum(1)
        spectra = torch.cat([old, everything - old], dim=1) * living[:, None]
        return torch.cat([spectra, living[:, None]], dim=1).unflatten(0, (-1, self.count))
