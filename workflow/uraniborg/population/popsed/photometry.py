"""The photometry of a catalogue: what a population model is compared with, and its noise.

A galaxy's features are its magnitude in one band and the colours of neighbouring bands. Magnitudes
are asinh magnitudes (Lupton et al. 1999), softened at the noise of the catalogue, so that every
flux has one. Data and model get the same treatment where information is missing: a band that was
not observed has the typical colour of the catalogue, and a galaxy that is too faint for a band
has the flux of the limit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.instruments.bands import Band
from uraniborg.population.distances import Standardisation
from uraniborg.tables import read_table

__all__ = ["Catalogue", "Features", "NoiseModel", "Observed", "read_catalogue"]

_POGSON = 2.5 / np.log(10)
# Features further out than this many widths count as being there.
_CLIPPED = 6.0


@dataclass(frozen=True)
class Catalogue:
    """Fluxes of N galaxies in B bands.

    Args:
        bands: The bands.
        reference: Position of the band that every galaxy was measured in.
        flux: Nanomaggies, shape (N, B); the limit where a galaxy was not detected.
        sigma: Standard errors, shape (N, B); NaN where a band was not observed.
        limited: Whether the flux is an upper limit, shape (N, B).
        z: Redshifts, for what judges a result; NaN where there is none, shape (N,).
        set_aside: Objects that were left out because the reference band lacks.
    """

    bands: tuple[Band, ...]
    reference: int
    flux: np.ndarray
    sigma: np.ndarray
    limited: np.ndarray
    z: np.ndarray
    set_aside: int = 0

    def __len__(self) -> int:
        return len(self.flux)

    @property
    def observed(self) -> np.ndarray:
        """Which bands were observed, shape (N, B)."""

        return np.isfinite(self.sigma)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features: the reference band, then colours from blue to red."""

        letters = [band.name.split("_")[-1] for band in self.bands]
        colours = [f"{blue} - {red}" for blue, red in pairwise(letters)]
        return (letters[self.reference], *colours)

    @property
    def digest(self) -> str:
        """What tells catalogues apart."""

        digest = hashlib.sha256()
        for array in (self.flux, self.sigma, self.limited):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def take(self, rows: np.ndarray) -> Self:
        """The galaxies at positions `rows`, which may repeat."""

        parts = (array[rows] for array in (self.flux, self.sigma, self.limited, self.z))
        return type(self)(self.bands, self.reference, *parts, self.set_aside)


def read_catalogue(
    files: Sequence[str | Path], bands: Sequence[Band], reference: str, most: int | None = None
) -> Catalogue:
    """Reads the photometry of a survey.

    Args:
        files: Its shards.
        bands: The bands to use.
        reference: Name of the band that every galaxy has to have.
        most: Galaxies to use at most, the first of the survey.

    Raises:
        UserError: The reference is none of the bands, a file is damaged, or fewer than 100
            galaxies are left.
    """

    names = [band.name for band in bands]
    if reference not in names:
        raise UserError(f"popsed: reference {reference!r} is none of the bands {', '.join(names)}.")
    columns = ["z"]
    for name in names:
        columns += [f"{name}_{part}" for part in ("flux", "ivar", "limit", "observed")]
    tables = [read_table(file, columns) for file in files]

    def column(part: str) -> np.ndarray:
        return np.concatenate(
            [table[[f"{name}_{part}" for name in names]].to_numpy() for table in tables]
        )

    flux, ivar, limit = (column(part).astype(float) for part in ("flux", "ivar", "limit"))
    measured = ivar > 0
    limited = column("observed").astype(bool) & ~measured & np.isfinite(limit)
    threshold = np.array([band.limit for band in bands])
    sigma = np.full(flux.shape, np.nan)
    sigma[measured] = ivar[measured] ** -0.5
    sigma = np.where(limited, limit / threshold, sigma)
    flux = np.where(limited, limit, flux)
    z = np.concatenate([table["z"].to_numpy(float) for table in tables])
    kept = np.flatnonzero(measured[:, names.index(reference)])[:most]
    if len(kept) < 100:
        raise UserError(
            f"{files[0]}: {len(kept)} galaxies have a flux in {reference}, and a population needs "
            "at least 100; choose another `reference` or a larger survey."
        )
    catalogue = Catalogue(tuple(bands), names.index(reference), flux, sigma, limited, z)
    lacking = len(measured) - int(measured[:, catalogue.reference].sum())
    return Catalogue(
        catalogue.bands,
        catalogue.reference,
        *(array[kept] for array in (flux, sigma, limited, z)),
        lacking,
    )


class Features(NamedTuple):
    """How fluxes become features, by numbers that come from one catalogue.

    Args:
        softening: Softening of asinh magnitudes in nanomaggies, shape (B,).
        typical: Median magnitude in each band less that in the reference, shape (B,).
        reference: Position of the reference band.
    """

    softening: Tensor
    typical: Tensor
    reference: int

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """The numbers of a catalogue.

        Raises:
            UserError: A band was never observed.
        """

        observed = catalogue.observed
        for band, seen in zip(catalogue.bands, observed.any(axis=0), strict=True):
            if not seen:
                raise UserError(f"popsed: no galaxy was observed in {band.name}; remove it.")
        softening = torch.as_tensor(np.nanmedian(catalogue.sigma, axis=0), dtype=torch.float32)
        flux = torch.as_tensor(catalogue.flux, dtype=torch.float32)
        magnitude = _asinh(flux, softening).numpy()
        colour = magnitude - magnitude[:, [catalogue.reference]]
        typical = np.nanmedian(np.where(observed, colour, np.nan), axis=0)
        return cls(softening, torch.as_tensor(typical), catalogue.reference)

    def __call__(self, flux: Tensor, observed: Tensor) -> Tensor:
        """The magnitude in the reference band and B - 1 colours, shape (N, B).

        Args:
            flux: Nanomaggies, shape (N, B).
            observed: Which are known, shape (N, B).
        """

        magnitude = _asinh(flux, self.softening.to(flux))
        at_reference = magnitude[:, self.reference, None]
        magnitude = torch.where(observed, magnitude, at_reference + self.typical.to(flux))
        return torch.cat([at_reference, -magnitude.diff(dim=1)], dim=1)

    def of_catalogue(self, catalogue: Catalogue) -> Tensor:
        """Features of a catalogue, shape (N, B), float32."""

        flux = torch.as_tensor(catalogue.flux, dtype=torch.float32)
        return self(flux, torch.as_tensor(catalogue.observed))


def _asinh(flux: Tensor, softening: Tensor) -> Tensor:
    return 22.5 - _POGSON * (torch.asinh(flux / (2 * softening)) + softening.log())


class NoiseModel:
    """The noise of a catalogue, taken from its own galaxies.

    A model galaxy is given the errors, and the bands that were observed, of a galaxy of about its
    flux in the reference band: correlations between bands and the patches where a band is missing
    come along.

    Args:
        catalogue: The catalogue.
        neighbours: Among how many galaxies, by flux, the one is chosen at random.
    """

    def __init__(self, catalogue: Catalogue, neighbours: int = 50) -> None:
        order = np.argsort(catalogue.flux[:, catalogue.reference], kind="stable")
        self.reference = catalogue.reference
        self.neighbours = min(neighbours, len(order))
        self._sorted = torch.as_tensor(catalogue.flux[order, self.reference], dtype=torch.float32)
        sigma = catalogue.sigma[order]
        self._observed = torch.as_tensor(np.isfinite(sigma))
        self._sigma = torch.as_tensor(np.nan_to_num(sigma, nan=1.0), dtype=torch.float32)
        forced = [band.forced for band in catalogue.bands]
        limits = [
            -np.inf if each else band.limit
            for each, band in zip(forced, catalogue.bands, strict=True)
        ]
        self._limits = torch.tensor(limits, dtype=torch.float32)

    def observe(
        self,
        flux: Tensor,
        generator: torch.Generator | None = None,
        floor: float = 0.0,
        strength: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Noisy fluxes and which are observed, each (N, B); differentiable in the fluxes.

        Args:
            flux: Noiseless fluxes in nanomaggies, shape (N, B).
            generator: Source of random numbers.
            floor: Further error, as a fraction of the flux, in each band.
            strength: Factor on all errors, for annealing.
        """

        device = flux.device
        number = len(flux)
        place = torch.searchsorted(self._sorted, flux[:, self.reference].detach().contiguous())
        shift = torch.rand(number, generator=generator) * self.neighbours - self.neighbours / 2
        row = (place + shift.to(device).round().long()).clamp(0, len(self._sorted) - 1)
        normal = torch.randn(2, *flux.shape, generator=generator).to(flux)
        sigma = self._sigma[row]
        noisy = flux * (1 + strength * floor * normal[0]) + strength * sigma * normal[1]
        return torch.maximum(noisy, self._limits * sigma), self._observed[row]


class Observed:
    """A catalogue as a population is compared with it: standardised features, and noise.

    Args:
        catalogue: The catalogue.

    Raises:
        UserError: A band was never observed.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.noise = NoiseModel(catalogue)
        self.features = Features.of(catalogue)
        values = self.features.of_catalogue(catalogue)
        self.standardise = Standardisation.of(values.numpy(), limit=_CLIPPED, whiten=True)
        self.data = self.standardise(values).float()

    def observe(
        self,
        flux: Tensor,
        generator: torch.Generator | None = None,
        floor: float = 0.0,
        strength: float = 1.0,
    ) -> Tensor:
        """Features of noiseless fluxes after the survey's noise, shape (N, B).

        Arguments of `NoiseModel.observe`.
        """

        return self.features(*self.noise.observe(flux, generator, floor, strength))
