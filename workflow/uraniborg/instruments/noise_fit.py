"""Measuring a noise model on real spectra: empty sky fibres, and galaxies for the photons."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d, median_filter

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.noise import LineFamily, NoiseModel, continuum_shapes, line_shapes

__all__ = ["FibreSpectra", "fit_noise", "read_fibres"]

# Sky lines that share a carrier and hence vary together, Angstrom: the mercury and sodium lamps of
# towns, atomic oxygen, and the Meinel bands of OH by upper vibrational level.
_FAMILIES = {
    "blue": (3800, 5500),
    "[O I] 5577": (5560, 5600),
    "Na I": (5870, 5910),
    "[O I] 6300, 6364": (6280, 6385),
    "OH 6400": (6385, 7150),
    "OH 7400": (7150, 7700),
    "OH 7900": (7700, 8150),
    "OH 8400": (8150, 8600),
    "OH 8800": (8600, 9250),
}
# A pixel belongs to a line where the sky exceeds its continuum by this factor.
_LINE_CONTRAST = 1.3
_CONTINUUM_PIXELS = 101
_DETREND_PIXELS = 151
_CURVE_PIXELS = 150
_SKY_ORDERS = 5
# Residuals beyond this many standard deviations are cosmic rays or real emission.
_CLIP = 6.0
# SDSS adds this fraction of the flux to the error of every exposure (`adderr` in idlspec2d).
_ADDED_ERROR = 0.03


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

    count = len(paths)
    vectors = {name: np.full((count, grid.size), np.nan) for name in ("flux", "ivar", "lsf", "sky")}
    exposure, exposures = np.empty(count), np.empty(count)
    for i, path in enumerate(paths):
        with fits.open(path) as file:
            header, table = file[0].header, file[1].data if len(file) > 1 else None
            if "loglam" not in (name.lower() for name in getattr(table, "names", ())):
                raise UserError(f"{path}: has no table with 'loglam' in extension 1; is it a spec?")
            pixel = np.rint((table["loglam"] - grid.start) / grid.step).astype(int)
            inside = (pixel >= 0) & (pixel < grid.size)
            for name, column in (
                ("flux", "flux"),
                ("ivar", "ivar"),
                ("lsf", "wdisp"),
                ("sky",) * 2,
            ):
                vectors[name][i, pixel[inside]] = table[column][inside]
            # Both arms are counted: a blue and a red frame make one exposure.
            exposure[i], exposures[i] = header["EXPTIME"], header["NEXP"] / 2
    vectors["ivar"] = np.nan_to_num(vectors["ivar"])
    return FibreSpectra(**vectors, exposure=exposure, exposures=exposures)


def fit_noise(sky: FibreSpectra, galaxies: FibreSpectra, grid: WavelengthGrid) -> NoiseModel:
    """Fits a noise model.

    Args:
        sky: Empty sky fibres, at least a dozen.
        galaxies: Bright galaxies, for the photon noise of the object itself.
        grid: The grid of both.
    """

    good = (sky.ivar > 0) & np.isfinite(sky.flux)
    reported = np.where(good, sky.ivar, np.nan) ** -0.5
    sigma = _filled(_median(reported))
    night = _filled(_median(sky.sky))
    continuum = median_filter(night, _CONTINUUM_PIXELS)
    family = _line_families(night, continuum, grid)
    line = np.where(family >= 0, night - continuum, 0).clip(0)
    continuum = gaussian_filter1d(continuum, _CONTINUUM_PIXELS / 4)

    x = np.linspace(-1, 1, grid.size)
    level, tilt = _level(np.log(reported / sigma), x)

    chi = np.where(good, sky.flux * np.sqrt(sky.ivar), 0)
    chi -= np.array([median_filter(row, _DETREND_PIXELS) for row in chi])
    chi[~good | (np.abs(chi) > _CLIP)] = np.nan
    families, chi = _line_residuals(chi, np.sqrt(sky.ivar), line, family)

    scatter = _scatter(chi, family)
    chi /= scatter
    spread = np.log(np.nanstd(chi, axis=1))
    lags = _autocorrelation(chi)
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
            "lsf": gaussian_filter1d(_filled(_median(sky.lsf)), 5),
        }
    )
    measured = curves.columns.difference(["wavelength", "family"])
    curves[measured] = curves[measured].apply(_shortened)
    starts, ends = _extent(sky, grid)
    runs, length, singles = _bad_pixels(sky)
    return NoiseModel(
        curves,
        families,
        level=level,
        tilt=tilt,
        spread=float(np.std(spread)),
        tails=_tails(chi / np.exp(spread)[:, None]),
        floor=float(_ADDED_ERROR / np.sqrt(exposures)),
        sky_errors=_sky_errors(sky, continuum),
        starts=starts,
        ends=ends,
        bad_runs=runs,
        bad_run_length=length,
        bad_singles=singles,
    )


def _median(values: np.ndarray) -> np.ndarray:
    """Median over spectra where at least a third of them have data."""

    enough = np.isfinite(values).sum(0) >= max(1, len(values) // 3)
    output = np.full(values.shape[1], np.nan)
    output[enough] = np.nanmedian(values[:, enough], axis=0)
    return output


def _filled(curve: np.ndarray) -> np.ndarray:
    """Continues a curve beyond its ends with the mean of the last few values."""

    (known,) = np.nonzero(np.isfinite(curve))
    left, right = np.mean(curve[known[:5]]), np.mean(curve[known[-5:]])
    return np.interp(np.arange(curve.size), known, curve[known], left, right)


def _shortened(curve: np.ndarray) -> np.ndarray:
    """Float32 with the last 11 bits cleared, a relative precision of 1e-4, for a small file."""

    return (np.asarray(curve, np.float32).view(np.int32) & ~0x7FF).view(np.float32)


def _robust(values: np.ndarray) -> float:
    """Standard deviation from the median absolute deviation, without outliers' weight."""

    return float(1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values))))


def _line_families(night: np.ndarray, continuum: np.ndarray, grid: WavelengthGrid) -> np.ndarray:
    in_line = night > _LINE_CONTRAST * continuum
    in_line = np.convolve(in_line, np.ones(3), "same") > 0
    family = np.full(grid.size, -1)
    # Later, narrower families take precedence over the wide one in the blue.
    for number, (low, high) in enumerate(_FAMILIES.values()):
        family[in_line & (grid.wavelength >= low) & (grid.wavelength < high)] = number
    return family


def _level(log_ratio: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Scatter of the reported noise between spectra: constant and slope."""

    fits = []
    for row in log_ratio:
        known = np.isfinite(row)
        fits.append(np.polyfit(x[known], np.clip(row[known], -0.5, 0.5), 1))
    slope, constant = np.array(fits).T
    return _robust(constant), _robust(slope)


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


def _line_residuals(
    chi: np.ndarray, weight: np.ndarray, line: np.ndarray, family: np.ndarray
) -> tuple[tuple[LineFamily, ...], np.ndarray]:
    """Fits the residuals of each family in each spectrum; returns what is left of chi, too."""

    rest = chi.copy()
    families = []
    for number, name in enumerate(_FAMILIES):
        where = family == number
        shapes = line_shapes(line, where)[:, where]
        amplitudes, variances = [], []
        for i, row in enumerate(chi):
            used = np.isfinite(row[where])
            if used.sum() <= 2 * len(shapes):
                continue
            design = (shapes * weight[i, where])[:, used].T
            values = row[where][used]
            fit = np.linalg.lstsq(design, values, rcond=None)[0]
            # The fit takes up degrees of freedom; what is left keeps its variance.
            lost = used.sum() / (used.sum() - len(shapes))
            left = (values - design @ fit) * np.sqrt(lost)
            rest[i, np.flatnonzero(where)[used]] = left
            amplitudes.append(fit)
            variances.append(np.mean(left**2) * np.diag(np.linalg.inv(design.T @ design)))
        # The scatter of the fits is that of the residuals plus that of the noise.
        excess = np.square(amplitudes).mean(0) - np.mean(variances, axis=0)
        scale, shift, width = (float(value) for value in np.sqrt(excess.clip(0)))
        families.append(LineFamily(name, scale, shift, width))
    return tuple(families), rest


def _scatter(chi: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Running rms of chi along the spectrum, sky lines apart from the rest."""

    known, square = np.isfinite(chi), np.nan_to_num(chi) ** 2
    output = np.empty(chi.shape[1])
    for where in (family >= 0, family < 0):
        count = gaussian_filter1d((known * where).sum(0).astype(float), _CURVE_PIXELS)
        total = gaussian_filter1d((square * where).sum(0), _CURVE_PIXELS)
        output[where] = np.sqrt(total / count)[where]
    return output


def _autocorrelation(chi: np.ndarray) -> list[np.ndarray]:
    """Running autocorrelation of chi at lags of one to three pixels."""

    def smooth(lag: int) -> np.ndarray:
        product = np.nansum(chi[:, lag:] * chi[:, : chi.shape[1] - lag], axis=0)
        return gaussian_filter1d(np.pad(product, (0, lag)), _CURVE_PIXELS)

    variance = smooth(0)
    return [smooth(lag) / variance for lag in (1, 2, 3)]


def _tails(chi: np.ndarray) -> float:
    """Scatter of the logarithm of a Gaussian's width that gives chi its kurtosis."""

    kurtosis = np.nanmean(chi**4) / np.nanmean(chi**2) ** 2
    return float(np.sqrt(np.log(max(kurtosis / 3, 1)) / 4))


def _photon(galaxies: FibreSpectra, sigma: np.ndarray, exposure: float) -> np.ndarray:
    """Photon noise variance per flux density at the given exposure time.

    The floor that the pipeline adds, and the variance of the sky scaled to the galaxy's exposure
    time, are subtracted from the reported variance; their sum must be the smaller part.
    """

    time = (galaxies.exposure / exposure)[:, None]
    floor = (_ADDED_ERROR * galaxies.flux) ** 2 / galaxies.exposures[:, None]
    variance = np.where(galaxies.ivar > 0, galaxies.ivar, np.nan) ** -1
    photons = variance - floor - sigma**2 / time
    clear = (photons > 0.5 * variance) & (galaxies.flux > 0)
    coefficient = np.where(clear, photons * time / galaxies.flux, np.nan)
    curve = median_filter(_filled(_median(coefficient)), _CONTINUUM_PIXELS)
    return gaussian_filter1d(curve, _CONTINUUM_PIXELS / 4)


def _extent(sky: FibreSpectra, grid: WavelengthGrid) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Quantiles of the spectra's ends in log10(Angstrom)."""

    known = np.isfinite(sky.flux)
    first, last = known.argmax(1), grid.size - 1 - known[:, ::-1].argmax(1)
    probability = np.linspace(0, 1, 11)
    quantiles = [
        np.quantile(np.log10(grid.wavelength[pixel]), probability) for pixel in (first, last)
    ]
    return tuple(tuple(row.round(5).tolist()) for row in quantiles)


def _bad_pixels(sky: FibreSpectra) -> tuple[float, float, float]:
    """Mean number and length of runs of bad pixels in a spectrum, and of single ones."""

    lengths = []
    for flux, ivar in zip(sky.flux, sky.ivar, strict=True):
        bad = np.isfinite(flux) & (ivar <= 0)
        changes = np.flatnonzero(np.diff(np.concatenate([[0], bad, [0]])))
        lengths.extend(changes[1::2] - changes[::2])
    lengths = np.array(lengths)
    runs = lengths[lengths > 1]
    length = float(np.median(runs) / np.log(2)) if len(runs) else 1.0
    return len(runs) / len(sky.flux), length, float(np.sum(lengths == 1) / len(sky.flux))
