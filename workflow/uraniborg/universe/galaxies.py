"""Galaxies' spectra from their parameters."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.cosmology import observed_flux
from uraniborg.universe.dust import attenuation_curve, transmission
from uraniborg.universe.histories import DirichletHistory, History
from uraniborg.universe.nebular import NebularEmission, place_lines
from uraniborg.universe.ssp_grid import LYMAN_LIMIT
from uraniborg.universe.stellar_populations import StellarPopulations

__all__ = ["GalaxyModel", "broaden", "library_dispersion"]

_C = 299792.458


class GalaxyModel:
    """Stars, ionised gas and dust of galaxies on a rest-frame grid.

    Stars are spread by their velocity dispersion less the resolution of the stellar library, gas
    lines by the gas' dispersion alone. The memory needed is about ten float32 arrays of N x M.

    Args:
        path: The file of the rule `ssp_grid`.
        grid: Rest-frame grid, log10, vacuum, within 900 A to 5 um.
        history: The basis of star-formation histories.

    Raises:
        UserError: The file is missing or damaged.
        ValueError: The grid is not log10 or reaches too far.

    Example:
        >>> model = GalaxyModel("resources/ssp_grid.safetensors", observed.restframe(0.4))
        >>> flux = model.flux(GalaxyPopulation(0.4).sample(0, 100, seed=1))  # (100, grid.size)
    """

    def __init__(
        self, path: str | Path, grid: WavelengthGrid, history: History | None = None
    ) -> None:
        if grid.kind != "log10":
            raise ValueError("velocities are constant shifts on a log10 grid only")
        self.grid = grid
        self.history = history or DirichletHistory()
        self.populations = StellarPopulations.load(path).on(grid)
        self.nebular = NebularEmission.load(path).on(grid)
        self.curve = attenuation_curve(self.populations.wavelength)
        self.line_curve = attenuation_curve(self.nebular.line_wavelength)
        self._escaping = (self.populations.wavelength > LYMAN_LIMIT).float()

    def weights(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Mass formed in each age cell in M_sun, shape (N, A), that leaves the stellar mass."""

        p = _tensors(parameters)
        weights = self.history.weights(p["fractions"], p["z"], self.populations.age_edges)
        remaining = self.populations.remaining_mass(weights, p["log_metallicity"])
        return weights * (10 ** p["stellar_mass"] / remaining)[:, None]

    def line_luminosities(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Luminosities of `nebular.names` after dust in L_sun, shape (N, L)."""

        p = _tensors(parameters)
        absorbed = self.nebular.absorbed(self.weights(p), p["log_metallicity"], p["log_u"])
        A_V = p["A_V"] * (1 + p["birth_cloud_ratio"])
        return self.nebular.lines(absorbed) * transmission(self.line_curve, A_V)

    def luminosity(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Luminosity density in L_sun/Angstrom, shape (N, M).

        Args:
            parameters: By name, see `galaxy_population.PARAMETERS`: `z`, `stellar_mass`,
                `fractions`, `log_metallicity`, `A_V`, `birth_cloud_ratio`, `log_u`,
                `velocity_dispersion` and `gas_dispersion`.
        """

        p = _tensors(parameters)
        weights = self.weights(p)
        young = weights * self.populations.young_fraction
        absorbed = self.nebular.absorbed(weights, p["log_metallicity"], p["log_u"])
        clouds = transmission(self.curve, p["A_V"] * p["birth_cloud_ratio"])
        diffuse = transmission(self.curve, p["A_V"])

        # Nebulae absorb all ionising light of the young stars within them.
        young_light = self.populations.luminosity(young, p["log_metallicity"]) * self._escaping
        stars = self.populations.luminosity(weights - young, p["log_metallicity"])
        stars = (stars + young_light * clouds) * diffuse
        spectrum = broaden(stars, self.grid, p["velocity_dispersion"])
        spectrum = spectrum + self.nebular.continuum(absorbed) * clouds * diffuse
        return place_lines(
            spectrum,
            self.grid,
            self.nebular.line_wavelength,
            self.line_luminosities(p),
            p["gas_dispersion"],
        )

    def flux(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Flux density through the aperture in 1e-17 erg/s/cm2/Angstrom, shape (N, M).

        Per observed Angstrom, at the grid's wavelengths times 1 + z.

        Args:
            parameters: As for `luminosity`, and `aperture_fraction`.
        """

        p = _tensors(parameters)
        flux = observed_flux(self.luminosity(p), p["z"])
        return flux * p["aperture_fraction"][:, None]


def _tensors(parameters: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
    """float32, but for redshifts; float64 tensors keep their precision."""

    return {
        name: values
        if isinstance(values, Tensor)
        else torch.as_tensor(values, dtype=torch.float64 if name == "z" else torch.float32)
        for name, values in parameters.items()
    }


# Resolution of the spectra within the populations, standard deviations in km/s between which
# spectra are broadened.
_FINEST, _COARSEST = 30.0, 90.0


def library_dispersion(wavelength: Tensor) -> Tensor:
    """Instrumental dispersion of the stellar spectra in km/s, shape of `wavelength`.

    FWHM of 1 A below 3540 A (theoretical atmospheres, sampled at 0.5 A), 2.5 A to 7500 A (MILES;
    Falcon-Barroso et al. 2011), 3 A to 8750 A (STELIB; Le Borgne et al. 2003), coarser
    beyond, where features are lost in any case. Limited to 30 to 90 km/s.
    """

    fwhm = torch.full_like(wavelength, 10.0)
    for end, value in ((8750, 3.0), (7500, 2.5), (3540, 1.0)):
        fwhm[wavelength < end] = value
    sigma = fwhm / math.sqrt(8 * math.log(2)) / wavelength * _C
    return sigma.clamp(_FINEST, _COARSEST)


def broaden(spectrum: Tensor, grid: WavelengthGrid, dispersion: Tensor) -> Tensor:
    """Spreads stellar spectra to the given velocity dispersion.

    The library's own resolution is subtracted in quadrature; where it is coarser than the
    dispersion the spectrum stays as it is. It varies with wavelength: every pixel is a mean of two
    Gaussian convolutions, for the finest and the coarsest resolution, weighted to the right
    variance (exact for dispersions above 90 km/s). Ends are continued by their last values.

    Args:
        spectrum: Shape (N, grid.size).
        grid: Its grid, log10.
        dispersion: Standard deviations in km/s, shape (N,).
    """

    pixel = _C * math.log(10) * grid.step
    sigma = library_dispersion(torch.as_tensor(grid.wavelength))
    share = (sigma**2 - _FINEST**2) / (_COARSEST**2 - _FINEST**2)
    share = share.to(spectrum.dtype)

    margin = math.ceil(5 * float(dispersion.detach().max()) / pixel) + 1 if len(dispersion) else 1
    size = _fast_length(grid.size + 2 * margin)
    padding = (margin, size - grid.size - margin)
    padded = nn.functional.pad(spectrum[:, None], padding, mode="replicate")[:, 0]
    frequency = 2 * math.pi * torch.fft.rfftfreq(size, dtype=spectrum.dtype)
    transform = torch.fft.rfft(padded)

    def convolved(resolution: float) -> Tensor:
        variance = (dispersion**2 - resolution**2).clamp(min=0) / pixel**2
        kernel = torch.exp(-0.5 * variance[:, None].to(spectrum.dtype) * frequency**2)
        return torch.fft.irfft(transform * kernel, n=size)[:, margin : margin + grid.size]

    return convolved(_FINEST) * (1 - share) + convolved(_COARSEST) * share


def _fast_length(size: int) -> int:
    """The next length without prime factors above 5."""

    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1
