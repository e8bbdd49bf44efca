"""The light of stars: composite spectra as contractions with a basis of simple populations."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.pixels import on_grid
from uraniborg.universe.ssp_grid import age_edges, overlaps, read_grid

__all__ = ["BIRTH_CLOUD_AGE", "StellarPopulations", "linear_weights", "metallicity_weights"]

BIRTH_CLOUD_AGE = 1e7
"""Age in yr until which stars stay in the clouds they formed in (Charlot & Fall 2000)."""


@dataclass(frozen=True, eq=False)
class StellarPopulations:
    """Simple stellar populations of Z metallicities and A ages on M wavelengths.

    Attributes:
        wavelength: Vacuum wavelengths in Angstrom, shape (M,), float64.
        age: Age of each population in yr, shape (A,), float64.
        metallicity: In units of Z_sun = 0.02, shape (Z,), float64.
        coefficients: Shape (Z, A, K).
        basis: Shape (K, M); `coefficients @ basis` is L_sun/Angstrom per M_sun formed.
        live_fraction: Mass in living stars over mass formed, without remnants, shape (Z, A).
        ionising_rate: Photons below the Lyman limit in 1e46/s per M_sun formed, shape (Z, A).

    Example:
        >>> populations = StellarPopulations.load("resources/ssp_grid.safetensors").on(grid)
        >>> populations.luminosity(weights, log_metallicity)  # (N, grid.size)
    """

    wavelength: Tensor
    age: Tensor
    metallicity: Tensor
    coefficients: Tensor
    basis: Tensor
    live_fraction: Tensor
    ionising_rate: Tensor

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads the file of the rule `ssp_grid`.

        Raises:
            UserError: The file is missing or damaged.
        """

        tensors, _ = read_grid(path)
        return cls(**{name: tensors[name] for name in cls.__dataclass_fields__})

    def on(self, grid: WavelengthGrid) -> Self:
        """The same populations as means over the pixels of a rest-frame grid.

        Raises:
            ValueError: The grid reaches beyond the wavelengths.
        """

        basis = on_grid(self.wavelength.numpy(), self.basis.numpy(), grid)
        return replace(
            self,
            wavelength=torch.as_tensor(grid.wavelength),
            basis=torch.as_tensor(basis, dtype=self.basis.dtype),
        )

    @cached_property
    def age_edges(self) -> Tensor:
        """Edges of the age cells in yr, shape (A + 1,), float64."""

        return torch.as_tensor(age_edges(self.age.numpy()))

    @cached_property
    def young_fraction(self) -> Tensor:
        """Fraction of each age cell that is younger than birth clouds live, shape (A,)."""

        cells = self.age_edges.numpy()
        young = overlaps(cells, np.array([0, BIRTH_CLOUD_AGE]))[:, 0] / np.diff(cells)
        return torch.as_tensor(young, dtype=self.basis.dtype)

    def luminosity(self, weights: Tensor, log_metallicity: Tensor) -> Tensor:
        """Luminosity density in L_sun/Angstrom, shape (N, M), linear in the weights.

        Args:
            weights: Mass formed in each age cell in M_sun, shape (N, A).
            log_metallicity: log10 of metallicity over Z_sun, shape (N,).
        """

        # Few numbers per galaxy up to the last product: it is the only one of N x M.
        amplitude = self._mix(self.coefficients, weights, log_metallicity)
        return amplitude @ self.basis.to(weights.dtype)

    def young_and_old(self, weights: Tensor, log_metallicity: Tensor) -> tuple[Tensor, Tensor]:
        """Luminosity densities of the stars within birth clouds and of all others, each (N, M).

        Arguments of `luminosity`.
        """

        # Few of the age cells are young.
        cells = int((self.young_fraction > 0).sum())
        young = weights[:, :cells] * self.young_fraction[:cells]
        mixed = self._mix(self.coefficients, weights, log_metallicity)
        young = self._mix(self.coefficients[:, :cells], young, log_metallicity)
        basis = self.basis.to(weights.dtype)
        return young @ basis, (mixed - young) @ basis

    def remaining_mass(self, weights: Tensor, log_metallicity: Tensor) -> Tensor:
        """Mass in living stars in M_sun, shape (N,); arguments of `luminosity`."""

        return self._mix(self.live_fraction[..., None], weights, log_metallicity)[:, 0]

    def ionising_photons(self, weights: Tensor, log_metallicity: Tensor) -> Tensor:
        """Photons below the Lyman limit in 1e46/s, shape (N,); arguments of `luminosity`."""

        return self._mix(self.ionising_rate[..., None], weights, log_metallicity)[:, 0]

    def _mix(self, table: Tensor, weights: Tensor, log_metallicity: Tensor) -> Tensor:
        """Contracts a table (Z, A, K) with ages and metallicities to (N, K)."""

        by_metallicity = torch.einsum("na,zak->nzk", weights, table.to(weights.dtype))
        mixture = metallicity_weights(log_metallicity, self.metallicity).to(weights.dtype)
        return torch.einsum("nz,nzk->nk", mixture, by_metallicity)


def metallicity_weights(log_metallicity: Tensor, metallicity: Tensor) -> Tensor:
    """Weights of the grid's metallicities, summing to one, shape (N, Z).

    Linear in metallicity between neighbours, constant beyond the ends: the light of a mixture of
    stars of the two neighbouring metallicities with the right mean. bagpipes does the same; an
    interpolation in log10 of metallicity differs by several percent in the optical between the
    grid's 0.02 and 0.2 Z_sun.

    Args:
        log_metallicity: log10 of metallicity over Z_sun, shape (N,).
        metallicity: The grid's values over Z_sun, increasing, shape (Z,).
    """

    return linear_weights(10 ** log_metallicity.double(), metallicity)


def linear_weights(x: Tensor, nodes: Tensor) -> Tensor:
    """Weights of linear interpolation between nodes, constant beyond them, shape (N, nodes)."""

    x = x.clamp(nodes[0], nodes[-1])
    right = torch.searchsorted(nodes, x.detach()).clamp(1, len(nodes) - 1)
    fraction = (x - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
    one_hot = torch.nn.functional.one_hot
    low, high = one_hot(right - 1, len(nodes)), one_hot(right, len(nodes))
    return low * (1 - fraction)[:, None] + high * fraction[:, None]
