"""Infrared light: what dust emits of the starlight that it absorbed, and of its AGN's.

The file of dust emission holds, for Q abundances of polycyclic aromatic hydrocarbons (PAHs), U
starlight intensities and M wavelengths (vacuum, Angstrom, 1 to 10,000 um):

    wavelength    (M,)          wavelength
    q_pah         (Q,)          mass fraction of the dust in PAHs in percent
    u_min         (U,)          intensity of starlight over that near the Sun
    coefficients  (2, Q, U, K)  and
    basis         (K, M)        product: spectrum per Angstrom, of dust in starlight of intensity
                                u_min and in intensities up to 10^6, per power at intensity 1

`basis` is in half precision, to be multiplied along the last axis by `basis_scale`. The metadata is
one JSON text: provenance, and how well the products reproduce the original spectra.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.grids import WavelengthGrid
from uraniborg.universe.pixels import pixel_means
from uraniborg.universe.stellar_populations import linear_weights

__all__ = ["DustEmission", "draw_dust_emission", "torus", "write_dust"]

_TENSORS = {"wavelength", "q_pah", "u_min", "coefficients", "basis", "basis_scale"}


def write_dust(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Writes the file; the same contents give the same bytes.

    Args:
        path: The safetensors file.
        tensors: All tensors listed above.
        metadata: Anything that JSON can hold.
    """

    tensors = {name: tensors[name].contiguous() for name in sorted(tensors)}
    with atomic(path) as temporary:
        temporary.write_bytes(save(tensors, {"uraniborg": json.dumps(metadata, sort_keys=True)}))


@dataclass(frozen=True, eq=False)
class DustEmission:
    """The emission of interstellar dust (Draine & Li 2007, Milky Way dust).

    A share gamma of the dust is in starlight of intensities from U_min to 10^6, distributed as
    U^-2; the rest is in starlight of intensity U_min (Draine et al. 2007). Spectra per mass of
    dust are linear in gamma, and linear in q_PAH and U_min between the grid's values, constant
    beyond.

    Attributes:
        wavelength: Vacuum wavelengths in Angstrom, shape (M,), float64.
        q_pah: Mass fractions in PAHs in percent, shape (Q,), float64.
        u_min: Starlight intensities, shape (U,), float64.
        coefficients: Shape (2, Q, U, K).
        basis: Shape (K, M).
        power: Integrals of the basis over all wavelengths, whatever `wavelength` is, shape (K,).

    Example:
        >>> dust = DustEmission.load("resources/dust_emission.safetensors").on(grid)
        >>> dust.luminosity(absorbed, q_pah, u_min, gamma)  # (N, grid.size)
    """

    wavelength: Tensor
    q_pah: Tensor
    u_min: Tensor
    coefficients: Tensor
    basis: Tensor
    power: Tensor

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads the file of the rule `dust_emission`.

        Raises:
            UserError: The file is missing, damaged, or another kind of file.
        """

        remedy = "restore it, or build it again with the rule dust_emission"
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise UserError(f"{path}: the file of dust emission is missing; {remedy}.") from error
        except (safetensors.SafetensorError, OSError) as error:
            raise UserError(f"{path}: is not a complete safetensors file; {remedy}.") from error
        if set(tensors) != _TENSORS:
            raise UserError(f"{path}: is not a file of dust emission; {remedy}.")
        basis = tensors["basis"].float() * tensors.pop("basis_scale")
        power = torch.trapezoid(basis.double(), tensors["wavelength"]).float()
        return cls(**{**tensors, "basis": basis}, power=power)

    def on(self, grid: WavelengthGrid) -> Self:
        """The same as means over the pixels of a grid; shortward of 1 um there is none.

        Raises:
            ValueError: The grid reaches beyond 1 cm.
        """

        wavelength = np.insert(self.wavelength.numpy(), 0, [0.0, self.wavelength[0] - 1e-3])
        basis = np.insert(self.basis.numpy().astype(np.float64), [0, 0], 0.0, axis=1)
        basis = pixel_means(wavelength, basis, grid.edges)
        return replace(
            self,
            wavelength=torch.as_tensor(grid.wavelength),
            basis=torch.as_tensor(basis, dtype=self.basis.dtype),
        )

    def luminosity(self, absorbed: Tensor, q_pah: Tensor, u_min: Tensor, gamma: Tensor) -> Tensor:
        """Luminosity density in L_sun/Angstrom, shape (N, M).

        Dust emits what it absorbs (da Cunha et al. 2008): over 1 um to 1 cm the spectrum's
        integral is the absorbed luminosity. Differentiable in all arguments.

        Args:
            absorbed: Luminosity that dust absorbs in L_sun, shape (N,).
            q_pah: Mass fraction of PAHs in percent, shape (N,).
            u_min: Intensity of the diffuse starlight, shape (N,).
            gamma: Share of the dust in more intense starlight, shape (N,).
        """

        by_q = linear_weights(q_pah.double(), self.q_pah).to(absorbed.dtype)
        by_u = linear_weights(u_min.double(), self.u_min).to(absorbed.dtype)
        share = torch.stack([1 - gamma, gamma], dim=1).to(absorbed.dtype)
        coefficients = self.coefficients.to(absorbed.dtype)
        amplitude = torch.einsum("ns,nq,nu,squk->nk", share, by_q, by_u, coefficients)
        amplitude = amplitude * (absorbed / (amplitude @ self.power.to(absorbed.dtype)))[:, None]
        return amplitude @ self.basis.to(absorbed.dtype)


def draw_dust_emission(
    log_ssfr: np.ndarray, log_metallicity: np.ndarray, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random parameters of the emission of galaxies' dust: `q_pah`, `u_min` and `gamma`.

    - `q_pah`: log-normal about a median that rises from 1.0% to 3.55% about log Z/Z_sun = -0.2,
      the medians of galaxies on either side of 12 + log O/H = 8.1 (Draine et al. 2007) on a scale
      of metallicities that lies 0.4 dex below that of `gas.gas_metallicity` (difference, width of
      the step, 0.1 dex, and scatter, 0.15 dex, assumed).
    - `u_min`: log-normal about 2 (sSFR / 10^-10 yr)^0.4 within 0.7 to 25, the range of the fits of
      Draine et al. (2007); dependence and scatter (0.2 dex) assumed: starlight is more intense
      where stars form.
    - `gamma`: log-normal about 0.015 (sSFR / 10^-10 yr)^0.5, at most 0.3, scatter 0.45 dex:
      assumed, of the size of the fits of Draine et al. (2007).

    Args:
        log_ssfr: log10 of the specific star-formation rate per yr, shape (N,).
        log_metallicity: log10 of the gas' metallicity over Z_sun, shape (N,).
        random: Takes three normal numbers per galaxy.
    """

    normal = random.standard_normal((3, len(log_ssfr)))
    activity = np.clip(log_ssfr, -13, -8) + 10
    metal_rich = 1 / (1 + np.exp(-(log_metallicity + 0.2) / 0.1))
    q_pah = 1.0 * 3.55**metal_rich * 10 ** (0.15 * normal[0])
    u_min = 2 * 10 ** (0.4 * activity + 0.2 * normal[1])
    gamma = 0.015 * 10 ** (0.5 * activity + 0.45 * normal[2])
    return {
        "q_pah": np.clip(q_pah, 0.47, 4.58),
        "u_min": np.clip(u_min, 0.7, 25.0),
        "gamma": np.minimum(gamma, 0.3),
    }


# h c / k in Angstrom K.
_HC_K = 1.438777e8


def torus(wavelength: Tensor) -> Tensor:
    """Spectrum of the warm dust around an active nucleus per luminosity, 1/Angstrom, shape (M,).

    Blackbodies of 150 to 1500 K, the sublimation of dust, with equal luminosity per logarithm of
    temperature: a stand-in for the flat nu L_nu of tori from 3 to 20 um (assumed; no silicate
    features), red enough for the AGN's colour W1 - W2 > 0.8 (Stern et al. 2012).

    Args:
        wavelength: Vacuum wavelengths in Angstrom, shape (M,).
    """

    temperature = torch.logspace(math.log10(150), math.log10(1500), 24, dtype=torch.float64)
    x = _HC_K / (wavelength.double()[:, None] * temperature)
    # Planck's law over its integral, 15/pi^4 x^5 / (e^x - 1) times k T / (h c).
    shape = 15 / math.pi**4 * x**5 / torch.expm1(x.clamp(max=600)) * (temperature / _HC_K)
    return shape.mean(1).float()
