"""The noise of a fibre spectrograph: curves by pixel and scatter between spectra."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.tables import FLUX_UNIT, Column, read_metadata, read_table, write_table

__all__ = [
    "NOISE_COLUMNS",
    "LineFamily",
    "NoiseModel",
    "continuum_shapes",
    "line_shapes",
    "read_noise",
    "write_noise",
]

NOISE_COLUMNS = (
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength of the pixel centre"),
    Column("sigma", pa.float32(), FLUX_UNIT, "Reported noise of an empty sky fibre"),
    Column("photon", pa.float32(), FLUX_UNIT, "Photon noise variance per flux density"),
    Column("scatter", pa.float32(), "", "True random noise relative to the reported noise"),
    Column("lag_1", pa.float32(), "", "Autocorrelation of the noise at a lag of one pixel"),
    Column("lag_2", pa.float32(), "", "Autocorrelation of the noise at a lag of two pixels"),
    Column("lag_3", pa.float32(), "", "Autocorrelation of the noise at a lag of three pixels"),
    Column("sky", pa.float32(), FLUX_UNIT, "Continuum of the night sky within the fibre"),
    Column("line", pa.float32(), FLUX_UNIT, "Emission lines of the night sky above its continuum"),
    Column("family", pa.int16(), "", "Which family of sky lines the pixel belongs to, -1 for none"),
    Column("lsf", pa.float32(), "", "Standard deviation of the line-spread function in pixels"),
)
"""Columns of a noise table, one row per pixel."""


@dataclass(frozen=True)
class LineFamily:
    """Sky lines that rise and fall together, and how well they are subtracted.

    A residual is `scale * line + shift * line' + width * line''`, derivatives by pixel: an error
    of the brightness, the wavelength and the line width of the sky model.

    Args:
        name: What emits them.
        scale: Standard deviation between spectra of the brightness error, a fraction.
        shift: The same of the wavelength error, in pixels.
        width: The same of the error of half the squared line width, in pixels^2.
    """

    name: str
    scale: float
    shift: float
    width: float


@dataclass(frozen=True)
class NoiseModel:
    """What the noise of one spectrum looks like.

    The reported variance is `level^2 (sigma^2 + photon * flux) + (floor * flux)^2`. The random
    noise has the first term's variance times the squares of `scatter`, of a factor per spectrum
    and of one per pixel, is slightly correlated between neighbours, and residuals of the
    subtraction of sky continuum and sky lines add to it.

    Args:
        curves: Columns `NOISE_COLUMNS`, one row per pixel.
        families: The families of sky lines that `family` counts.
        level: Standard deviation of ln(level) between spectra (exposure, throughput).
        tilt: The same of its slope from the middle to the end of the grid.
        spread: The same of ln(scatter) between spectra.
        tails: The same of ln(scatter) between pixels, which makes the noise heavy-tailed.
        floor: Error that the pipeline adds, as a fraction of the flux. It is no random noise.
        sky_errors: Standard deviations of the coefficients, by Legendre order from zero along the
            grid, of the sky continuum's subtraction error as a fraction of it.
        starts: Quantiles, evenly spaced from 0 to 1, of the first pixel's log10(Angstrom).
        ends: The same of the last pixel's.
        bad_runs: Mean number of runs of bad pixels (CCD columns) in a spectrum.
        bad_run_length: Their mean length in pixels.
        bad_singles: Mean number of single bad pixels (cosmic rays) in a spectrum.
    """

    curves: pd.DataFrame
    families: tuple[LineFamily, ...]
    level: float
    tilt: float
    spread: float
    tails: float
    floor: float
    sky_errors: tuple[float, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    bad_runs: float
    bad_run_length: float
    bad_singles: float

    @property
    def templates(self) -> tuple[np.ndarray, np.ndarray]:
        """Shapes of the sky residuals, (K, M), and their standard deviations, (K,).

        First those of the sky continuum, then three shapes per family of lines.
        """

        line, family = self.curves["line"].to_numpy(), self.curves["family"].to_numpy()
        shapes = list(continuum_shapes(self.curves["sky"].to_numpy(), len(self.sky_errors)))
        amplitudes = list(self.sky_errors)
        for number, member in enumerate(self.families):
            shapes.extend(line_shapes(line, family == number))
            amplitudes.extend((member.scale, member.shift, member.width))
        return np.array(shapes), np.array(amplitudes)


def continuum_shapes(sky: np.ndarray, orders: int) -> np.ndarray:
    """The sky continuum times the first Legendre polynomials along the grid, (orders, M)."""

    x = np.linspace(-1, 1, len(sky))
    return sky * np.polynomial.legendre.legvander(x, orders - 1).T


def line_shapes(line: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The lines of one family and their first two derivatives by pixel, shape (3, M)."""

    slope = np.gradient(line)
    return np.where(where, [line, slope, np.gradient(slope)], 0)


def write_noise(path: str | Path, model: NoiseModel, provenance: str) -> None:
    """Writes a noise model as a Parquet file, its scalars as JSON in the metadata."""

    scalars = {key: value for key, value in asdict(model).items() if key != "curves"}
    metadata = {"noise": json.dumps(scalars), "provenance": provenance}
    write_table(path, model.curves, NOISE_COLUMNS, metadata)


def read_noise(path: str | Path) -> NoiseModel:
    """Reads a file that `write_noise` wrote.

    Raises:
        UserError: The file is missing, damaged or no noise table.
    """

    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such noise table; restore it or run its rule.")
    curves = read_table(path, [column.name for column in NOISE_COLUMNS])
    metadata = read_metadata(path)
    if "noise" not in metadata:
        raise UserError(f"{path}: is not a noise table; its metadata has no entry 'noise'.")
    scalars = json.loads(metadata["noise"])
    families = tuple(LineFamily(**family) for family in scalars.pop("families"))
    scalars = {key: tuple(x) if isinstance(x, list) else x for key, x in scalars.items()}
    return NoiseModel(curves, families, **scalars)
