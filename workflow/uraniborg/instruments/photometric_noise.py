"""The noise of photometric catalogues: how large it is by flux, and how it differs by object."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.instruments.bands import Band
from uraniborg.tables import Column, read_table, write_table

__all__ = [
    "LEVELS",
    "NOISE_COLUMNS",
    "BandNoise",
    "documented_noise",
    "read_noise",
    "relative_size",
    "write_noise",
]

LEVELS = (-2.326, -1.645, -1.0, -0.5, 0.0, 0.5, 1.0, 1.645, 2.326)
"""Normal scores at which the distribution of the noise level is tabulated (1% to 99%)."""

_LEVEL_NAMES = tuple(f"level_{i}" for i in range(len(LEVELS)))

NOISE_COLUMNS = (
    Column("band", pa.string(), "", "Name of the noise, which bands refer to"),
    Column("sky", pa.float64(), "nmgy", "Noise of a faint object"),
    Column("photon", pa.float64(), "nmgy", "Photon noise variance per flux"),
    Column("floor", pa.float64(), "", "Error that is proportional to the flux"),
    Column("reference", pa.float64(), "nmgy", "Flux from which on sky noise and scatter change"),
    Column("growth", pa.float64(), "", "Power of 1 + flux / reference that sky noise goes with"),
    Column("scatter", pa.float64(), "", "Width of ln(noise) between faint objects of one flux"),
    Column("trend", pa.float64(), "", "Power of 1 + flux / reference that the width goes with"),
    Column(
        "shared", pa.float64(), "", "Correlation of ln(noise) with the photometer's other bands"
    ),
    *(
        Column(name, pa.float64(), "", f"ln(noise) over its width at the normal score {score:g}")
        for name, score in zip(_LEVEL_NAMES, LEVELS, strict=True)
    ),
)
"""Columns of a noise table, one row per band."""

# LSST's share of sky in the variance at 5 sigma, times 0.04 (Ivezic et al. 2019, table 2).
_GAMMA = 0.039
# Assumed where no catalogue was measured: calibration error, scatter of depth over the sky.
_FLOOR, _SCATTER = 0.005, 0.1


@dataclass(frozen=True)
class BandNoise:
    """The noise of one band.

    The variance of an object of flux F is
    `level^2 (sky^2 (1 + F / reference)^(2 growth) + photon F + (floor F)^2)`. Brighter galaxies
    are larger, so their apertures hold more sky: hence `growth`. The level varies from object to
    object, with size, seeing and exposure: ln(level) is `scatter (1 + F / reference)^trend`
    times a number whose quantiles are `levels`, and is correlated between bands.

    Args:
        sky, photon, floor, reference, growth, scatter, trend, shared: See `NOISE_COLUMNS`.
        levels: Quantiles at the normal scores `LEVELS`.
    """

    sky: float
    photon: float
    floor: float
    reference: float
    growth: float
    scatter: float
    trend: float
    shared: float
    levels: tuple[float, ...]

    def sigma(self, flux: np.ndarray, aperture: np.ndarray | float = 1.0) -> np.ndarray:
        """Noise of an object of the usual level, shape of `flux`.

        Args:
            flux: Nanomaggies. Below zero it counts as zero.
            aperture: Factor by which sky noise is larger than usual.
        """

        flux = np.maximum(flux, 0)
        sky = aperture * self.sky * (1 + flux / self.reference) ** self.growth
        return np.sqrt(sky**2 + self.photon * flux + (self.floor * flux) ** 2)

    def width(self, flux: np.ndarray) -> np.ndarray:
        """Width of ln(level) among objects of one flux, shape of `flux`."""

        return self.scatter * (1 + np.maximum(flux, 0) / self.reference) ** self.trend

    def level(self, flux: np.ndarray, score: np.ndarray) -> np.ndarray:
        """The level of objects whose rank among those of one flux is a normal score."""

        return np.exp(self.width(flux) * np.interp(score, LEVELS, self.levels))


def documented_noise(band: Band) -> BandNoise:
    """The noise that follows from a survey's depth.

    The split into sky and photon noise is that of LSST (Ivezic et al. 2019, ApJ 873, 111, eq. 5);
    that depths vary over the sky by 10% and calibration errs by 0.5% is assumed.
    """

    faintest = 10 ** (0.4 * (22.5 - band.depth))
    return BandNoise(
        sky=np.sqrt(_GAMMA) * faintest,
        photon=(0.04 - _GAMMA) * faintest,
        floor=_FLOOR,
        reference=faintest,
        growth=0.0,
        scatter=_SCATTER,
        trend=0.0,
        shared=0.5,
        levels=LEVELS,
    )


def relative_size(radius: np.ndarray, flux: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """How much larger a galaxy is than others of its flux, in standard deviations of ln(radius).

    The median half-light radius in r goes as 2.8 arcsec (flux / reference)^0.26, with a scatter of
    0.42 in ln(radius): measured on 6,492 spectroscopic galaxies of SDSS at r of 14 to 17.8, see
    resources/photometric_noise.md.

    Args:
        radius: Half-light radius in arcsec, shape (N, 1).
        flux: Shape (N, B).
        reference: The flux in each band of a galaxy of r = 16.8, shape (B,).

    Returns:
        The mean over the bands, shape (N,).
    """

    faintness = np.maximum(flux / reference, 1e-4)
    typical = np.log(2.8) + 0.26 * np.log(faintness)
    return ((np.log(np.maximum(radius, 0.1)) - typical) / 0.42).mean(axis=1).clip(-3, 3)


def write_noise(path: str | Path, noise: Mapping[str, BandNoise], provenance: str) -> None:
    """Writes a noise table, `NOISE_COLUMNS`."""

    rows = []
    for name, model in noise.items():
        row = {"band": name, **asdict(model)}
        row |= dict(zip(_LEVEL_NAMES, row.pop("levels"), strict=True))
        rows.append(row)
    write_table(path, pd.DataFrame(rows), NOISE_COLUMNS, {"provenance": provenance})


def read_noise(path: str | Path, bands: Sequence[Band]) -> tuple[BandNoise, ...]:
    """The noise of bands: from a table that `write_noise` wrote, or from their depth.

    Raises:
        UserError: The file is absent or damaged, or lacks a band.
    """

    if not any(band.noise for band in bands):
        return tuple(documented_noise(band) for band in bands)
    table = read_table(path, [column.name for column in NOISE_COLUMNS]).set_index("band")
    models = []
    for band in bands:
        if band.noise and band.noise not in table.index:
            raise UserError(f"{path}: has no noise {band.noise!r}; run the rule that makes it.")
        if band.noise:
            row = table.loc[band.noise].to_dict()
            levels = tuple(row.pop(name) for name in _LEVEL_NAMES)
            models.append(BandNoise(**row, levels=levels))
        else:
            models.append(documented_noise(band))
    return tuple(models)
