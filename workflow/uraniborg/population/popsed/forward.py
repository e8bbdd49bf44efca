"""From a galaxy's parameters to the photometry of a survey: spectrum, selection, noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from uraniborg.instruments.bands import Band
from uraniborg.population.popsed.components import ComponentSpectra
from uraniborg.population.popsed.parameters import BOUNDS, ParameterSpace
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.cosmology import comoving_volume_element, observed_flux
from uraniborg.universe.dust import attenuation, power_law_curve
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import Limit
from uraniborg.universe.histories import NMFHistory
from uraniborg.universe.photometry import read_filter

__all__ = ["ForwardModel", "Seen", "Selection"]

STEP = 4e-3
"""Step of the rest-frame spectra in dex: magnitudes are those of the finer default to some mmag."""


class Seen(NamedTuple):
    """What a survey sees of N galaxies."""

    flux: Tensor
    """Noiseless fluxes in nanomaggies, shape (N, B)."""

    log_selected: Tensor
    """Log of the probability that the survey has selected the galaxy, shape (N,)."""


@dataclass(frozen=True)
class Selection:
    """Which galaxies a survey contains.

    Args:
        limits: Magnitude limits by the name of an astro-sedpy filter.
    """

    limits: Mapping[str, Limit]

    def log_probability(self, magnitudes: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Log of the probability to be within all limits, shape (N,), by filters' magnitudes."""

        total = torch.zeros_like(like)
        for name, limit in self.limits.items():
            margin = (limit.magnitude - magnitudes[name]) / limit.width
            total = total + torch.special.log_ndtr(margin)
        return total


class ForwardModel:
    """The model of a galaxy's photometry, differentiable in all its parameters.

    Stars form in the components of the rule `history_basis`, dust attenuates by a power law
    (Charlot & Fall 2000), gas has the metallicity of the stars and its mean ionisation. The
    simulated universe has other histories and another law of dust, so that nothing is recovered
    from a simulation only because it was made by the same formulas.

    Args:
        space: Ranges of the parameters.
        bands: Bands of the photometry.
        selection: Which galaxies the survey contains; its filters need no photometry.
        ssp_grid: The file of the rule `ssp_grid`.
        history_basis: The file of the rule `history_basis`.
        step: Step of the rest-frame spectra in dex.

    Raises:
        UserError: A file is missing or damaged, or a filter is unknown.
    """

    def __init__(
        self,
        space: ParameterSpace,
        bands: Sequence[Band],
        selection: Selection,
        ssp_grid: str | Path,
        history_basis: str | Path,
        step: float = STEP,
    ) -> None:
        self.space, self.selection = space, selection
        self._names = tuple(band.filter for band in bands)
        self._filters = tuple(dict.fromkeys([*self._names, *selection.limits]))
        filters = [read_filter(name) for name in self._filters]
        grid = band_grid(filters, space.z_max, step=step)
        self.history = NMFHistory.load(history_basis)
        self.model = GalaxyModel(
            ssp_grid, grid, self.history, velocities=False, dust_curve=power_law_curve
        )
        self.components = ComponentSpectra(self.model, space.z_max, BOUNDS[1].low)
        self.bands = BandFluxes(filters, grid)
        self._columns = [self._filters.index(name) for name in self._names]

    def __call__(self, parameters: Mapping[str, Tensor]) -> Seen:
        """What the survey sees, by parameters of `ParameterSpace.parameters`."""

        p = parameters
        old, clouds = self.components(p["history"], p["z"], p["log_metallicity"])
        optical_depth = (0.4 * math.log(10) * p["A_V"])[:, None] * attenuation(
            self.model.curve, p["dust_slope"]
        )
        dimmed = old + clouds * torch.exp(-p["birth_cloud_ratio"][:, None] * optical_depth)
        spectrum = dimmed * torch.exp(-optical_depth) * (10 ** p["stellar_mass"])[:, None]
        flux = self.bands(observed_flux(spectrum, p["z"]), p["z"])
        magnitude = 22.5 - 2.5 * torch.log10(flux)
        by_name = dict(zip(self._filters, magnitude.unbind(1), strict=True))
        log_selected = self.selection.log_probability(by_name, parameters["z"])
        return Seen(flux[:, self._columns], log_selected)

    @torch.no_grad()
    def volume(self, parameters: Mapping[str, Tensor], nodes: int = 24) -> Tensor:
        """Comoving volume per solid angle in which the survey would select each galaxy, Mpc^3/sr.

        By the trapezoidal rule over evenly spaced redshifts, each galaxy as old relative to the
        universe as it is (Schmidt 1968, ApJ 151, 393).

        Args:
            parameters: Of N galaxies.
            nodes: Redshifts.

        Returns:
            Shape (N,), float64.
        """

        z = torch.linspace(self.space.z_min, self.space.z_max, nodes)
        element = comoving_volume_element(z)
        chances = [
            self({**parameters, "z": parameters["z"] * 0 + each}).log_selected.double().exp()
            for each in z
        ]
        return torch.trapezoid(torch.stack(chances, dim=1) * element, z.double(), dim=1)
