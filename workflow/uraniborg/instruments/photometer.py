"""A photometer: what imaging surveys measure of the total fluxes of objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from uraniborg.instruments.bands import Band, bands_of
from uraniborg.instruments.galactic_extinction import extinction_coefficients
from uraniborg.instruments.photometric_noise import BandNoise, read_noise, relative_size
from uraniborg.tables import Column

__all__ = ["Photometer", "Photometry", "photometer", "photometry_columns"]

_RESOURCES = Path(__file__).resolve().parents[3] / "resources"


class Photometry(NamedTuple):
    """Measured fluxes of N objects in B bands, arrays of shape (N, B).

    `flux` and `limit` are in nanomaggies (AB), `ivar` in their inverse square. A value without
    information has flux 0 and ivar 0. There are three cases: measured (`ivar` > 0); observed, but
    not detected and therefore not listed by the survey (`observed`, ivar 0, and the flux is below
    `limit`); not observed (not `observed`). Where there is no limit it is infinite.

    `detected` says whether the flux reaches the signal-to-noise ratio that the survey asks for.
    """

    flux: np.ndarray
    ivar: np.ndarray
    limit: np.ndarray
    observed: np.ndarray
    detected: np.ndarray

    def table(self, bands: Sequence[Band]) -> dict[str, np.ndarray]:
        """The columns of `photometry_columns`."""

        columns = {}
        for i, band in enumerate(bands):
            columns[f"{band.name}_flux"] = self.flux[:, i].astype(np.float32)
            columns[f"{band.name}_ivar"] = self.ivar[:, i].astype(np.float32)
            columns[f"{band.name}_limit"] = self.limit[:, i].astype(np.float32)
            columns[f"{band.name}_observed"] = self.observed[:, i]
        return columns


def photometry_columns(bands: Sequence[Band]) -> tuple[Column, ...]:
    """The columns of a table of photometry, four per band."""

    columns: list[Column] = []
    for band in bands:
        name = band.name
        columns += [
            Column(f"{name}_flux", pa.float32(), "nmgy", f"Flux in {name} (AB), 0 if unknown"),
            Column(f"{name}_ivar", pa.float32(), "1 / nmgy2", "Its inverse variance, 0 if unknown"),
            Column(
                f"{name}_limit",
                pa.float32(),
                "nmgy",
                "Upper limit of the flux of an object that was not detected, infinite for others",
            ),
            Column(f"{name}_observed", pa.bool_(), "", f"Whether {name} was observed"),
        ]
    return tuple(columns)


@dataclass(frozen=True)
class Photometer:
    """Imaging of one survey, or of several that are matched to one another.

    Args:
        name: See `photometer`.
        bands: Its B bands.
        noise: The noise of each.
        corrected: Whether fluxes are given as they would be without the dust of the Milky Way.
            They are fainter when they are measured: the correction amplifies their noise.
    """

    name: str
    bands: tuple[Band, ...]
    noise: tuple[BandNoise, ...]
    corrected: bool = True

    @cached_property
    def extinction(self) -> np.ndarray:
        """Magnitudes of Galactic extinction per E(B-V) of Schlegel et al. (1998), shape (B,)."""

        return extinction_coefficients([band.filter for band in self.bands])

    def observe(
        self,
        flux: np.ndarray,
        ebv: np.ndarray,
        generator: np.random.Generator,
        radius: np.ndarray | None = None,
    ) -> Photometry:
        """Measures objects.

        Noise is Gaussian with the variance that is reported. What is not simulated: errors of
        deblending and of the aperture, and errors of the calibration that objects share.

        Args:
            flux: Total flux in nanomaggies (AB), before the dust of the Milky Way, shape (N, B).
            ebv: E(B-V) of Schlegel et al. (1998), shape (N,).
            generator: Source of all randomness. For the same N, its state decides the result to
                the last bit.
            radius: Half-light radii in arcsec, shape (N,). The apertures of large galaxies hold
                more sky. Without radii, the noise varies as in a sample of galaxies of each flux
                in bands whose noise was measured, and is that of points in others.

        Raises:
            ValueError: An array has the wrong shape.
        """

        flux = np.asarray(flux, np.float64)
        if flux.ndim != 2 or flux.shape[1] != len(self.bands) or np.shape(ebv) != flux.shape[:1]:
            raise ValueError(f"flux has shape {flux.shape}, not (N, {len(self.bands)}), or ebv not")
        dimming = 10 ** (-0.4 * np.multiply.outer(np.asarray(ebv, np.float64), self.extinction))
        incident = flux * dimming
        sigma = self._sigma(incident, generator, radius)
        observed = self._covered(len(flux), generator)
        measured = incident + sigma * generator.standard_normal(flux.shape)

        limits = np.array([band.limit for band in self.bands]) * sigma
        detected = observed & (measured >= limits)
        listed = detected | (observed & np.array([band.forced for band in self.bands]))
        unit = dimming if self.corrected else np.ones_like(dimming)
        return Photometry(
            flux=np.where(listed, measured / unit, 0),
            ivar=np.where(listed, (unit / sigma) ** 2, 0),
            limit=np.where(observed & ~listed, limits / unit, np.inf),
            observed=observed,
            detected=detected,
        )

    def _sigma(
        self, flux: np.ndarray, generator: np.random.Generator, radius: np.ndarray | None
    ) -> np.ndarray:
        own = generator.standard_normal(flux.shape)
        measured = np.array([bool(band.noise) for band in self.bands])
        aperture = np.ones_like(flux)
        common = np.empty_like(flux)
        for members in self._photometers:
            drawn = generator.standard_normal(len(flux))
            here = members & measured
            if radius is not None and here.any():
                reference = np.array([noise.reference for noise in self.noise])[here]
                drawn = relative_size(np.asarray(radius)[:, None], flux[:, here], reference)
            common[:, members] = drawn[:, None]
        if radius is not None:
            # An aperture that follows the image of a point source convolved with the galaxy.
            point = np.array([band.psf for band in self.bands])[~measured] / 2
            aperture[:, ~measured] = np.hypot(1, np.asarray(radius)[:, None] / point)
        sigma = np.empty_like(flux)
        for i, noise in enumerate(self.noise):
            score = noise.shared * common[:, i] + np.sqrt(1 - noise.shared**2) * own[:, i]
            usual = noise.sigma(flux[:, i], aperture[:, i])
            sigma[:, i] = usual * noise.level(flux[:, i], score)
        return sigma

    def _covered(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Which objects lie where a survey has looked: the same in all bands of a photometer."""

        observed = np.empty((number, len(self.bands)), bool)
        coverage = np.array([band.coverage for band in self.bands])
        for members in self._photometers:
            place = generator.random(number)[:, None]
            observed[:, members] = place < coverage[members]
        return observed

    @cached_property
    def _photometers(self) -> list[np.ndarray]:
        """Which bands belong to each instrument, by the prefix of their names."""

        prefixes = np.array([band.name.split("_")[0] for band in self.bands])
        return [prefixes == prefix for prefix in dict.fromkeys(prefixes.tolist())]


def photometer(
    name: str, noise_table: str | Path | None = None, corrected: bool = True
) -> Photometer:
    """A photometer by its name.

    Args:
        name: One of `uraniborg.instruments.bands.PHOTOMETERS`, or several joined by `+`.
        noise_table: Its noise table, by default the one that ships in resources/.
        corrected: See `Photometer`.

    Raises:
        UserError: There is no photometer of this name, or its noise table is absent.

    Example:
        >>> galex_sdss = photometer("galex+sdss")
        >>> measured = galex_sdss.observe(flux, ebv, np.random.default_rng(0))
    """

    bands = bands_of(name)
    table = noise_table or _RESOURCES / "photometric_noise.parquet"
    return Photometer(name, bands, read_noise(table, bands), corrected)
