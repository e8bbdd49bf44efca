"""Galaxies' spectra from their parameters."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.agn import BOLOMETRIC_CORRECTION, NarrowLines
from uraniborg.universe.cosmology import observed_flux
from uraniborg.universe.dust import (
    AttenuationCurve,
    attenuation,
    attenuation_curve,
    transmission,
)
from uraniborg.universe.dust_emission import DustEmission, torus
from uraniborg.universe.gas import line_factors
from uraniborg.universe.histories import RECENT, DirichletHistory, History
from uraniborg.universe.nebular import NebularEmission, place_lines, shares_of_pixels
from uraniborg.universe.ssp_grid import LYMAN_LIMIT
from uraniborg.universe.stellar_populations import StellarPopulations

__all__ = ["IONISING_ENERGY", "TORUS_COVERING", "GalaxyModel", "broaden", "library_dispersion"]

_C = 299792.458

IONISING_ENERGY = 83.7
"""L_sun per 1e46 ionising photons/s at 20 eV each, typical of young stars (assumed)."""

TORUS_COVERING = 0.5
"""Share of an active nucleus' light that its torus turns into infrared light (assumed)."""


class GalaxyModel:
    """Stars, ionised gas and dust of galaxies on a rest-frame grid.

    Stars are spread by their velocity dispersion less the resolution of the stellar library, gas
    lines by the gas' dispersion alone; with `velocities=False` neither is, for coarse grids. The
    memory needed is about ten float32 arrays of N x M.

    Args:
        path: The file of the rule `ssp_grid`.
        grid: Rest-frame grid, log10, vacuum, from 900 A; starlight beyond the file's 5.3 um is
            continued.
        history: The basis of star-formation histories.
        velocities: Whether stars and gas move.
        dust_emission: The file of the rule `dust_emission`, for emission by dust; the grid must
            begin at the Lyman limit, or light that dust absorbs is missed.
        corrected_lines: Whether the lines of the grid of nebulae are corrected to those of real
            galaxies, see `uraniborg.universe.gas`.
        starlight: Factor on the light of stars by pixel, shape (M,), such as
            `uraniborg.universe.relations.starlight_correction`; None for one.
        ionising_fraction: Share of the ionising photons that gas absorbs; dust takes the rest.
        dust_curve: The law of attenuation, of `uraniborg.universe.dust`.

    Raises:
        UserError: The file is missing or damaged.
        ValueError: The grid is not log10, reaches too far, or begins too late for dust emission.

    Example:
        >>> model = GalaxyModel("resources/ssp_grid.safetensors", observed.restframe(0.4))
        >>> flux = model.flux(GalaxyPopulation(0.4).sample(0, 100, seed=1))  # (100, grid.size)
    """

    def __init__(
        self,
        path: str | Path,
        grid: WavelengthGrid,
        history: History | None = None,
        velocities: bool = True,
        dust_emission: str | Path | None = None,
        corrected_lines: bool = True,
        starlight: np.ndarray | None = None,
        ionising_fraction: float = 1.0,
        dust_curve: Callable[[Tensor], AttenuationCurve] = attenuation_curve,
    ) -> None:
        if grid.kind != "log10":
            raise ValueError("velocities are constant shifts on a log10 grid only")
        self.grid = grid
        self.history = history or DirichletHistory()
        self.velocities = velocities
        self.ionising_fraction = ionising_fraction
        self.populations = StellarPopulations.load(path).on(grid)
        if starlight is not None:
            basis = self.populations.basis * torch.as_tensor(starlight).float()
            self.populations = replace(self.populations, basis=basis)
        self.nebular = NebularEmission.load(path).on(grid)
        self.curve = dust_curve(self.populations.wavelength)
        self.line_curve = dust_curve(self.nebular.line_wavelength)
        self._escaping = (self.populations.wavelength > LYMAN_LIMIT).float()
        self.narrow_lines = NarrowLines(self.nebular.names)
        self.corrected_lines = corrected_lines
        self.dust_emission = None
        if dust_emission is not None:
            if grid.edges[0] > LYMAN_LIMIT * 1.01:
                raise ValueError("dust emission needs a grid that begins at the Lyman limit")
            self.dust_emission = DustEmission.load(dust_emission).on(grid)
            self._torus = torus(self.populations.wavelength)
        self._width = torch.as_tensor(np.diff(grid.edges)).float()
        self._line_pixels = shares_of_pixels(grid, self.nebular.line_wavelength)

    def weights(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Mass formed in each age cell in M_sun, shape (N, A), that leaves the stellar mass."""

        p = _tensors(parameters)
        weights = self.history.weights(p["history"], p["z"], self.populations.age_edges)
        remaining = self.populations.remaining_mass(weights, p["log_metallicity"])
        return weights * (10 ** p["stellar_mass"] / remaining)[:, None]

    def line_luminosities(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Luminosities of `nebular.names` after dust in L_sun, shape (N, L)."""

        p = _tensors(parameters)
        return self._lines(p, self.nebular.lines(self._absorbed(p, self.weights(p))))[1]

    def _absorbed(self, p: Mapping[str, Tensor], weights: Tensor) -> Tensor:
        metallicity, gas = p["log_metallicity"], p.get("gas_metallicity")
        weights = self.ionising_fraction * weights
        return self.nebular.absorbed(weights, metallicity, p["log_u"], gas)

    def _lines(self, p: Mapping[str, Tensor], stellar: Tensor) -> tuple[Tensor, Tensor]:
        """Luminosities of lines before and after dust, from those that `nebular` gives; those of
        an active nucleus see no birth clouds."""

        gas = p.get("gas_metallicity", p["log_metallicity"])
        if self.corrected_lines:
            stellar = stellar * line_factors(self.nebular.names, gas)
        diffuse = transmission(self.line_curve, p["A_V"], p["dust_slope"])
        emergent = stellar * diffuse ** (1 + p["birth_cloud_ratio"])[:, None]
        if "agn_luminosity" not in p:
            return stellar, emergent
        active = self.narrow_lines.luminosities(p["agn_luminosity"], p["agn_ionisation"], gas)
        return stellar + active, emergent + active * diffuse

    def formation(self, parameters: Mapping[str, np.ndarray | Tensor]) -> dict[str, np.ndarray]:
        """What the star-formation history amounts to, each of shape (N,).

        Returns:
            `log_sfr`, log10 of the mean star-formation rate of the last 100 Myr in M_sun/yr, and
            `age`, the mean age of the stars by mass formed in Gyr.
        """

        weights = self.weights(parameters).double()
        edges = self.populations.age_edges
        recent = ((RECENT - edges[:-1]) / edges.diff()).clamp(0, 1)
        ages = (edges[:-1] + edges[1:]) / 2e9
        rate = (weights @ recent / RECENT).clamp(min=1e-10)
        return {
            "log_sfr": torch.log10(rate).numpy(),
            "age": (weights @ ages / weights.sum(1)).numpy(),
        }

    def luminosity(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Luminosity density in L_sun/Angstrom, shape (N, M).

        Args:
            parameters: By name, see `galaxy_population.PARAMETERS`: `z`, `stellar_mass`,
                `history`, `log_metallicity`, `A_V`, `birth_cloud_ratio`, `dust_slope` and `log_u`,
                with velocities also `velocity_dispersion` and `gas_dispersion`. A second component
                of gas, a share `second_share` of all lines, moves at `second_velocity` with
                `second_dispersion`, while the first moves at `first_velocity` (all km/s).
        """

        p = _tensors(parameters)
        weights = self.weights(p)
        absorbed = self._absorbed(p, weights)
        curve = attenuation(self.curve, p["dust_slope"])
        optical_depth = 0.4 * math.log(10) * p["A_V"][:, None] * curve
        clouds = torch.exp(-p["birth_cloud_ratio"][:, None] * optical_depth)
        diffuse = torch.exp(-optical_depth)

        # Nebulae absorb all ionising light of the young stars within them.
        young, old = self.populations.young_and_old(weights, p["log_metallicity"])
        young = young * self._escaping
        lines, nebular = self.nebular.lines_and_continuum(absorbed)
        if self.velocities:
            stars = (old + young * clouds) * diffuse
            stars = broaden(stars, self.grid, p["velocity_dispersion"])
            spectrum = stars + nebular * clouds * diffuse
        else:
            spectrum = (old + (young + nebular) * clouds) * diffuse
        intrinsic_lines, lines = self._lines(p, lines)
        if self.dust_emission is not None:
            dimmed = (old + (young + nebular) - spectrum) @ self._width.to(spectrum.dtype)
            dimmed = dimmed + (intrinsic_lines - lines).sum(1)
            if self.ionising_fraction < 1:
                photons = absorbed.flatten(1).sum(1) * (1 / self.ionising_fraction - 1)
                dimmed = dimmed + IONISING_ENERGY * photons
            spectrum = spectrum + self._dust_light(p, dimmed)
        if not self.velocities:
            return torch.addmm(spectrum, lines, self._line_pixels.to(lines.dtype))
        share = p.get("second_share", torch.zeros(()))[..., None]
        components = [(lines * (1 - share), p["gas_dispersion"], p.get("first_velocity"))]
        if share.any():
            components.append((lines * share, p["second_dispersion"], p["second_velocity"]))
        for component, dispersion, velocity in components:
            spectrum = place_lines(
                spectrum,
                self.grid,
                self.nebular.line_wavelength,
                component,
                dispersion,
                velocity,
            )
        return spectrum

    def _dust_light(self, p: Mapping[str, Tensor], absorbed: Tensor) -> Tensor:
        """Emission of interstellar dust, and of the torus around an active nucleus."""

        emitted = self.dust_emission.luminosity(absorbed, p["q_pah"], p["u_min"], p["gamma"])
        if "agn_luminosity" in p:
            power = TORUS_COVERING * BOLOMETRIC_CORRECTION * 10 ** p["agn_luminosity"]
            emitted = torch.addmm(emitted, power[:, None], self._torus.to(power.dtype)[None])
        return emitted

    def flux(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Flux density of the whole galaxy in 1e-17 erg/s/cm2/Angstrom, shape (N, M).

        Per observed Angstrom, at the grid's wavelengths times 1 + z.

        Args:
            parameters: As for `luminosity`.
        """

        p = _tensors(parameters)
        return observed_flux(self.luminosity(p), p["z"])


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
