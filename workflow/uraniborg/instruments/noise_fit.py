"""Measuring a noise model on real spectra: empty sky fibres, and galaxies for the photons."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d, median_filter

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.noise import NoiseModel, continuum_shapes
from uraniborg.instruments.noise_measures import (
    CLIP,
    CONTINUUM_PIXELS,
    bad_pixel_runs,
    extents,
    filled,
    line_families,
    line_residuals,
    median_curve,
    robust_std,
    running_autocorrelation,
    running_scatter,
    shortened,
    tail_width,
)
from uraniborg.instruments.spec_files import ADDED_ERROR, read_spec_file

__all__ = ["FibreSpectra", "fit_noise", "read_fibres"]

_DETREND_PIXELS = 151
_SKY_ORDERS = 5


class FibreSpectra(NamedTuple):
    """Spectra on one grid with what their pipeline says of them.

    `flux`, `ivar`, `lsf` (pixels) and `sky` have shape (N, size), NaN (ivar: 0) beyond a
    spectrum's ends; `exposure` (seconds, all exposures together) and `exposures` (their number)
    have shape (N,).
    """

    flux: np.ndarray
    ivar: np.ndarray
    lsf: np.ndarray
    sky: np.ndarray
    exposure: np.ndarray
    exposures: np.ndarray


def read_fibres(paths: Sequence[str | Path], grid: WavelengthGrid) -> FibreSpectra:
    """Reads SDSS `spec` or `spec-lite` files of the first spectrographs.

    Raises:
        UserError: A file has no coadded spectrum in its first extension.
    """

    files = [read_spec_file(path, grid) for path in paths]
    return FibreSpectra(
        *(
            np.array([getattr(file, name) for file in files])
            for name in ("flux", "ivar", "lsf", "sky")
        ),
        exposure=np.array([file.header["EXPTIME"] for file in files], float),
        exposures=np.array([file.exposures for file in files]),
    )


def fit_noise(sky: FibreSpectra, galaxies: FibreSpectra, grid: WavelengthGrid) -> NoiseModel:
    """Fits a noise model.

    Args:
        sky: Empty sky fibres, at least a dozen.
        galaxies: Bright galaxies, for the photon noise of the object itself.
        grid: The grid of both.
    """

    good = (sky.ivar > 0) & np.isfinite(sky.flux)
    reported = np.where(good, sky.ivar, np.nan) ** -0.5
    sigma = filled(median_curve(reported))
    night = filled(median_curve(sky.sky))
    continuum = median_filter(night, CONTINUUM_PIXELS)
    family, names = line_families(night, continuum, grid)
    line = np.where(family >= 0, night - continuum, 0).clip(0)
    continuum = gaussian_filter1d(continuum, CONTINUUM_PIXELS / 4)

    x = np.linspace(-1, 1, grid.size)
    level, tilt = _level(np.log(reported / sigma), x)

    chi = np.where(good, sky.flux * np.sqrt(sky.ivar), 0)
    chi -= np.array([median_filter(row, _DETREND_PIXELS) for row in chi])
    chi[~good | (np.abs(chi) > CLIP)] = np.nan
    families, chi = line_residuals(chi, np.sqrt(sky.ivar), line, family, names)

    scatter = running_scatter(chi, family)
    chi /= scatter
    spread = np.log(np.nanstd(chi, axis=1))
    lags = running_autocorrelation(chi)
    exposures = np.median(sky.exposures)
    curves = pd.DataFrame(
        {
            "wavelength": grid.wavelength,
            "sigma": sigma,
            "photon": _photon(galaxies, sigma, np.median(sky.exposure)),
            "scatter": scatter,
            "lag_1": lags[0],
            "lag_2": lags[1],
            "lag_3": lags[2],
            "sky": continuum,
            "line": line,
            "family": family.astype(np.int16),
            "lsf": gaussian_filter1d(filled(median_curve(sky.lsf)), 5),
        }
    )
    measured = curves.columns.difference(["wavelength", "family"])
    curves[measured] = curves[measured].apply(shortened)
    starts, ends = extents(sky.flux, grid)
    runs, length, singles = bad_pixel_runs(sky.flux, sky.ivar)
    return NoiseModel(
        curves,
        families,
        level=level,
        tilt=tilt,
        spread=float(np.std(spread)),
        tails=tail_width(chi / np.exp(spread)[:, None]),
        floor=float(ADDED_ERROR / np.sqrt(exposures)),
        sky_errors=_sky_errors(sky, continuum),
        starts=starts,
        ends=ends,
        bad_runs=runs,
        bad_run_length=length,
        bad_singles=singles,
    )


def _level(log_ratio: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Scatter of the reported noise between spectra: constant and slope."""

    fits = []
    for row in log_ratio:
        known = np.isfinite(row)
        fits.append(np.polyfit(x[known], np.clip(row[known], -0.5, 0.5), 1))
    slope, constant = np.array(fits).T
    return robust_std(constant), robust_std(slope)


def _sky_errors(sky: FibreSpectra, continuum: np.ndarray) -> tuple[float, ...]:
    """Rms coefficients, by Legendre order, of the sky continuum's subtraction error."""

    shapes = continuum_shapes(continuum, _SKY_ORDERS)
    fits = []
    for flux, ivar in zip(sky.flux, sky.ivar, strict=True):
        used = ivar > 0
        weight = np.sqrt(ivar[used])
        design = (shapes[:, used] * weight).T
        fits.append(np.linalg.lstsq(design, flux[used] * weight, rcond=None)[0])
    return tuple(np.sqrt(np.square(fits).mean(0)).tolist())


def _photon(galaxies: FibreSpectra, sigma: np.ndarray, exposure: float) -> np.ndarray:
    """Photon noise variance per flux density at the given exposure time.

    The floor that the pipeline adds, and the variance of the sky scaled to the galaxy's exposure
    time, are subtracted from the reported variance; their sum must be the smaller part.
    """

    time = (galaxies.exposure / exposure)[:, None]
    floor = (ADDED_ERROR * galaxies.flux) ** 2 / galaxies.exposures[:, None]
    variance = np.where(galaxies.ivar > 0, galaxies.ivar, np.nan) ** -1
    photons = variance - floor - sigma**2 / time
    clear = (photons > 0.5 * variance) & (galaxies.flux > 0)
    coefficient = np.where(clear, photons * time / galaxies.flux, np.nan)
    curve = median_filter(filled(median_curve(coefficient)), CONTINUUM_PIXELS)
    return gaussian_filter1d(curve, CONTINUUM_PIXELS / 4)
