"""The light of the gas that young stars ionise: lines and continuum."""

import math
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
from uraniborg.universe.stellar_populations import (
    BIRTH_CLOUD_AGE,
    linear_weights,
    metallicity_weights,
)

__all__ = ["NebularEmission", "place_lines", "shares_of_pixels"]

_C = 299792.458


@dataclass(frozen=True, eq=False)
class NebularEmission:
    """Emission per ionising photon of nebulae of Z metallicities, U ionisations and T ages.

    Every ionising photon of a star younger than `BIRTH_CLOUD_AGE` is absorbed by gas of the star's
    metallicity. The emission depends on the age of the star through the hardness of its
    radiation; it is linear in metallicity, as the light of the stars is (see
    `metallicity_weights`), and linear in log10 of the ionisation parameter, constant beyond the
    grid's ends.

    The grid is not to be trusted everywhere: H-alpha per ionising photon is within 4% of case B up
    to 1 Z_sun, and at 2.5 Z_sun for log10 ionisation parameters up to -3, but a quarter or less of
    it at 2.5 Z_sun above -2.5, and a tenth or less at 5 Z_sun.

    Attributes:
        wavelength: Vacuum wavelengths of the continuum in Angstrom, shape (M,).
        metallicity: In units of Z_sun = 0.02, shape (Z,).
        log_u: log10 of the ionisation parameter, shape (U,).
        photons: Ionising photons that nebulae of each age bin absorb, 1e46/s per M_sun formed in
            each age cell of the stars, shape (Z, A, T).
        names: The L lines as CLOUDY calls them, such as `H 1 6562.80A` (wavelength in air).
        line_wavelength: Vacuum wavelengths in Angstrom, shape (L,).
        line_ratio: L_sun per 1e46 photons/s, shape (Z, U, T, L).
        continuum_coefficients: Shape (Z, U, T, C).
        continuum_basis: Shape (C, M); the product is L_sun/Angstrom per 1e46 photons/s.
    """

    wavelength: Tensor
    metallicity: Tensor
    log_u: Tensor
    photons: Tensor
    names: tuple[str, ...]
    line_wavelength: Tensor
    line_ratio: Tensor
    continuum_coefficients: Tensor
    continuum_basis: Tensor

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads the file of the rule `ssp_grid`.

        Raises:
            UserError: The file is missing or damaged.
        """

        tensors, metadata = read_grid(path)
        cells = age_edges(tensors["age"].numpy())
        edges = tensors["nebular_age_edges"].numpy()
        # Nebulae of older stars, which the file has too, would absorb nothing.
        bins = np.append(edges[edges < BIRTH_CLOUD_AGE], BIRTH_CLOUD_AGE)
        count = len(bins) - 1
        share = torch.as_tensor(overlaps(cells, bins) / np.diff(cells)[:, None]).float()
        return cls(
            wavelength=tensors["wavelength"],
            metallicity=tensors["metallicity"],
            log_u=tensors["log_u"],
            photons=tensors["ionising_rate"][:, :, None] * share,
            names=tuple(metadata["lines"]),
            line_wavelength=tensors["line_wavelength"],
            line_ratio=tensors["line_ratio"][:, :, :count],
            continuum_coefficients=tensors["continuum_coefficients"][:, :, :count],
            continuum_basis=tensors["continuum_basis"],
        )

    def on(self, grid: WavelengthGrid) -> Self:
        """The same with the continuum averaged over pixels and only the lines within the grid.

        Raises:
            ValueError: The grid reaches beyond the wavelengths.
        """

        basis = on_grid(self.wavelength.numpy(), self.continuum_basis.numpy(), grid)
        low, high = grid.edges[[0, -1]]
        inside = (self.line_wavelength > low) & (self.line_wavelength < high)
        return replace(
            self,
            wavelength=torch.as_tensor(grid.wavelength),
            names=tuple(n for n, keep in zip(self.names, inside, strict=True) if keep),
            line_wavelength=self.line_wavelength[inside],
            line_ratio=self.line_ratio[..., inside],
            continuum_basis=torch.as_tensor(basis, dtype=self.continuum_basis.dtype),
        )

    @cached_property
    def _line_index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of a line among the luminosities."""

        return self._line_index[name]

    def absorbed(
        self,
        weights: Tensor,
        log_metallicity: Tensor,
        log_u: Tensor,
        gas_metallicity: Tensor | None = None,
    ) -> Tensor:
        """Ionising photons by the nebulae that absorb them, 1e46/s, shape (N, Z, U, T).

        Args:
            weights: Mass formed in each age cell in M_sun, shape (N, A).
            log_metallicity: log10 of the stars' metallicity over Z_sun, shape (N,).
            log_u: log10 of the ionisation parameter, shape (N,).
            gas_metallicity: log10 of the gas' metallicity over Z_sun, shape (N,); by default that
                of the stars.
        """

        # Photons come from the young cells alone.
        cells = int((self.photons[0].sum(1) > 0).sum())
        photons = self.photons[:, :cells].to(weights.dtype)
        photons = torch.einsum("na,zat->nzt", weights[:, :cells], photons)
        by_z = metallicity_weights(log_metallicity, self.metallicity).to(weights.dtype)
        by_u = linear_weights(log_u.double(), self.log_u).to(weights.dtype)
        if gas_metallicity is None:
            by_gas = photons * by_z[..., None]
        else:
            by_gas = metallicity_weights(gas_metallicity, self.metallicity).to(weights.dtype)
            by_gas = by_gas[..., None] @ (by_z[:, None] @ photons)
        # Products of matrices, for their gradients are sums without intermediate arrays.
        return by_u[:, None, :, None] @ by_gas[:, :, None]

    def lines(self, absorbed: Tensor) -> Tensor:
        """Luminosities of the lines in L_sun, shape (N, L), from what `absorbed` returns."""

        return absorbed.flatten(1) @ self.line_ratio.to(absorbed.dtype).flatten(0, 2)

    def lines_and_continuum(self, absorbed: Tensor) -> tuple[Tensor, Tensor]:
        """What `lines` returns, and the luminosity density in L_sun/Angstrom, shape (N, M)."""

        # What was absorbed is large; it is read once for both, and so is its gradient.
        table = torch.cat([self.line_ratio, self.continuum_coefficients], dim=-1)
        both = absorbed.flatten(1) @ table.to(absorbed.dtype).flatten(0, 2)
        lines, amplitude = both.split([len(self.names), len(self.continuum_basis)], dim=1)
        return lines, amplitude @ self.continuum_basis.to(absorbed.dtype)


def place_lines(
    spectrum: Tensor,
    grid: WavelengthGrid,
    line_wavelength: Tensor,
    luminosity: Tensor,
    dispersion: Tensor,
    velocity: Tensor | None = None,
) -> Tensor:
    """Adds Gaussian lines, integrated over the pixels, so that their flux is conserved.

    Args:
        spectrum: Luminosity density in L_sun/Angstrom, shape (N, grid.size).
        grid: Its grid, log10.
        line_wavelength: Vacuum wavelengths in Angstrom, within the grid, shape (L,).
        luminosity: L_sun, shape (N, L).
        dispersion: Standard deviations of the gas velocities in km/s, shape (N,).
        velocity: Mean velocities of the gas in km/s, positive for redshift, shape (N,); None for
            zero.

    Returns:
        A new tensor of the shape of `spectrum`. Lines are cut off at five standard deviations of
        the broadest one.
    """

    if not len(dispersion):
        return spectrum
    sigma = dispersion.clamp(min=1e-3)[:, None] / _C
    shift = torch.zeros_like(sigma) if velocity is None else velocity[:, None] / _C
    reach = (5 * sigma + shift.abs()).detach().max().item() / (math.log(10) * grid.step)
    edges = torch.as_tensor(grid.edges)
    pieces = torch.zeros_like(spectrum)
    for index, centre in enumerate(line_wavelength.tolist()):
        pixel = (math.log10(centre) - grid.start) / grid.step
        low, high = max(round(pixel - reach) - 1, 0), min(round(pixel + reach) + 2, grid.size)
        inside = edges[low : high + 1]
        # The offset is formed in float64: it is a small difference of wavelengths.
        offset = (inside / centre - 1).to(spectrum.dtype) - shift
        cumulative = torch.erf(offset / (math.sqrt(2) * sigma)) / 2
        profile = cumulative.diff(dim=1) / inside.diff().to(spectrum.dtype)
        pieces[:, low:high] = pieces[:, low:high] + luminosity[:, index, None] * profile
    return spectrum + pieces


def shares_of_pixels(grid: WavelengthGrid, line_wavelength: Tensor) -> Tensor:
    """What lines of no width and a luminosity of one add to the pixels of a coarse grid.

    The two nearest pixels share a line so that its mean wavelength is kept.

    Args:
        grid: A log10 grid.
        line_wavelength: Vacuum wavelengths in Angstrom, within the grid, shape (L,).

    Returns:
        1/Angstrom, shape (L, grid.size), float32.
    """

    pixel = (torch.log10(line_wavelength.double()) - grid.start) / grid.step
    shares = (1 - (pixel[:, None] - torch.arange(grid.size)).abs()).clamp(min=0)
    shares = shares / shares.sum(1, keepdim=True)
    return (shares / torch.as_tensor(np.diff(grid.edges))).float()
