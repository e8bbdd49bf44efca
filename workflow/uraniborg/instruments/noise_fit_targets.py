"""Measuring a noise model on spectra of faint targets, where there are no empty sky fibres.

The reported variance of a target is that of the background, of its own photons, and what the
pipeline adds: `V = L^2 (sigma^2 + photon f) + (floor f)^2`, level `L` and flux density `f`. Spectra
of different brightness and depth tell these terms apart. What is left of a spectrum after its
running median is subtracted is noise where the target has no narrow features.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.optimize import least_squares

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.noise import NoiseModel
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
from uraniborg.instruments.spec_files import ADDED_ERROR, SpecFile, read_spec_file

__all__ = [
    "TargetSpectra",
    "detrended",
    "fit_target_noise",
    "read_boss_targets",
    "read_desi_targets",
    "smooth_flux",
]

# Narrow enough to follow the broad lines of quasars; takes up 1% of the variance of white noise.
_DETREND_PIXELS = 51
_BIN_PIXELS = 40
_BIN_ERROR = 0.15
_LYMAN_ALPHA = 1215.67
# Signal-to-noise ratio up to which narrow features, some 10% in galaxies and less in quasars, stay
# well below the noise.
_FAINT, _QUASAR_FAINT = 3.0, 8.0
# Prior scatter of ln(level): between spectra of one pointing, of its slope, between pointings.
_LEVEL_PRIOR, _TILT_PRIOR, _POINTING_PRIOR = 0.1, 0.1, 1.0
# Prior of ln(background flux density), a parabola in wavelength: about that of sky and detector in
# a fibre of some arcsec, uncertain by a factor of two.
_BACKGROUND_PRIOR, _BACKGROUND_ORDER = (1.8, 0.7), 2
# A line exceeds its continuum by this factor; how often the continuum is estimated.
_CONTRAST, _ITERATIONS = 1.15, 8


class TargetSpectra(NamedTuple):
    """Spectra of targets on one grid with what their pipeline says of them.

    Attributes:
        flux: Flux densities, shape (N, size), NaN beyond a spectrum's ends.
        ivar: Inverse variances, shape (N, size), zero where there are no data.
        lsf: Standard deviation of the line-spread function in pixels, shape (N, size).
        sky: Flux density of the sky, shape (N, size), NaN where it is not known.
        quiet: Pixels where the target may be taken for smooth, shape (N, size).
        floor: Error that the pipeline adds, as a fraction of the flux, shape (N,).
        pointing: What was observed at the same time, shape (N,).
        depth: Exposure relative to the nominal one, shape (N,), NaN where it is not known.
    """

    flux: np.ndarray
    ivar: np.ndarray
    lsf: np.ndarray
    sky: np.ndarray
    quiet: np.ndarray
    floor: np.ndarray
    pointing: np.ndarray
    depth: np.ndarray


def read_boss_targets(paths: Sequence[str | Path], grid: WavelengthGrid) -> TargetSpectra:
    """Reads SDSS `spec` or `spec-lite` files of the BOSS spectrographs.

    Quasars are taken for smooth redward of Lyman alpha, other objects where they are faint. The
    nominal depth is that of the average plate.

    Raises:
        UserError: A file has no coadded spectrum in its first extension.
    """

    files = [read_spec_file(path, grid) for path in paths]
    flux, ivar, lsf, sky = (
        np.array([getattr(file, name) for file in files]) for name in ("flux", "ivar", "lsf", "sky")
    )
    return TargetSpectra(
        flux,
        ivar,
        lsf,
        sky,
        quiet=np.array([_is_quiet(file, grid) for file in files]),
        floor=ADDED_ERROR / np.sqrt([file.exposures for file in files]),
        pointing=np.array([file.header["PLATEID"] for file in files], object),
        depth=np.ones(len(files)),
    )


def _is_quiet(file: SpecFile, grid: WavelengthGrid) -> np.ndarray:
    """Where the target of BOSS may be taken for smooth, shape (size,)."""

    ratio = smooth_flux(file.flux) * np.sqrt(file.ivar)
    if file.about["CLASS"].strip() != "QSO":
        return ratio < _FAINT
    forest = grid.wavelength < 1.02 * _LYMAN_ALPHA * (1 + file.about["Z"])
    return (ratio < _QUASAR_FAINT) & ~forest


def read_desi_targets(paths: Sequence[str | Path], grid: WavelengthGrid) -> TargetSpectra:
    """Reads DESI `coadd` files whose cameras are apart, and merges the cameras by inverse variance.

    Fibres that saw nothing or are flagged are left out. Targets are taken for smooth redward of
    5000 Angstrom, beyond the Lyman-alpha forests of nearly all of them, and where they are faint.
    The nominal depth is 180 s of effective time, that of the bright programme; effective times
    follow from template signal-to-noise ratios as in `desispec`, 12.15 s times that of luminous red
    galaxies, where a file has them for a single well-placed exposure sequence.

    Raises:
        UserError: A file has no flux of the blue camera.
    """

    rows = []
    for path in paths:
        with fits.open(path) as file:
            if "B_FLUX" not in file:
                raise UserError(f"{path}: has no extension B_FLUX; is it a DESI coadd?")
            for row in range(len(file["B_FLUX"].data)):
                if _is_used(file, row):
                    pointing = Path(path).name
                    rows.append((*_merged(file, row, grid), pointing, _depth(file, row)))
    flux, ivar, lsf, pointing, depth = (np.array(column) for column in zip(*rows, strict=True))
    smooth = np.array([smooth_flux(row) for row in flux])
    quiet = (grid.wavelength > 5000) | (smooth * np.sqrt(ivar) < 1)
    return TargetSpectra(
        flux,
        ivar,
        lsf,
        sky=np.full(flux.shape, np.nan),
        quiet=quiet,
        floor=np.zeros(len(flux)),
        pointing=pointing,
        depth=depth,
    )


def _is_used(file: fits.HDUList, row: int) -> bool:
    names = file["FIBERMAP"].data.names
    flagged = "COADD_FIBERSTATUS" in names and file["FIBERMAP"].data["COADD_FIBERSTATUS"][row] != 0
    return not flagged and bool((file["B_IVAR"].data[row] > 0).any())


def _merged(
    file: fits.HDUList, row: int, grid: WavelengthGrid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, inverse variance and line-spread function of a spectrum, its cameras merged."""

    total = np.zeros((3, grid.size))
    for camera in "BRZ":
        wavelength = file[f"{camera}_WAVELENGTH"].data
        pixel = np.rint((wavelength - grid.start) / grid.step).astype(int)
        good = file[f"{camera}_MASK"].data[row] == 0
        ivar = np.where(good, file[f"{camera}_IVAR"].data[row], 0).astype(float)
        variance = _lsf_variance(file[f"{camera}_RESOLUTION"].data[row])
        # A masked pixel has a line-spread function all the same.
        weight = np.maximum(ivar, 1e-12)
        total[:, pixel] += weight * np.stack(
            [np.where(good, file[f"{camera}_FLUX"].data[row], 0), np.ones(len(pixel)), variance]
        )
    flux, ivar, variance = total[0] / total[1], total[1], total[2] / total[1]
    return flux, np.where(ivar > 1e-10, ivar, 0), np.sqrt(variance)


def _lsf_variance(resolution: np.ndarray) -> np.ndarray:
    """Variance in pixels^2 of the columns of a resolution matrix, stored by diagonals."""

    radius = len(resolution) // 2
    # Diagonal k of the file holds the matrix elements (j - offset, j).
    offset = np.arange(-radius, radius + 1)[:, None]
    total = resolution.sum(0)
    # At the ends of a camera the matrix may be cut off.
    total = np.where(total > 0.5, total, np.nan)
    mean = (offset * resolution).sum(0) / total
    return filled((offset**2 * resolution).sum(0) / total - mean**2)


def _depth(file: fits.HDUList, row: int) -> float:
    """Effective time in units of 180 s."""

    names = [hdu.name for hdu in file]
    if "SCORES" not in names or "TSNR2_LRG" not in (file["SCORES"].data.names or ()):
        return np.nan
    if file["FIBERMAP"].data["MEAN_PSF_TO_FIBER_SPECFLUX"][row] < 0.7:
        return np.nan
    return 12.15 * float(file["SCORES"].data["TSNR2_LRG"][row]) / 180


def smooth_flux(flux: np.ndarray) -> np.ndarray:
    """The running median of a spectrum, slightly smoothed; gaps are bridged."""

    known = np.isfinite(flux)
    bridged = np.interp(np.arange(len(flux)), np.flatnonzero(known), flux[known])
    return gaussian_filter1d(median_filter(bridged, _DETREND_PIXELS), _DETREND_PIXELS / 10)


def detrended(flux: np.ndarray, ivar: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """What is left of spectra after their running median, NaN where that is no noise."""

    rest = np.array([row - smooth_flux(row) for row in np.where(ivar > 0, flux, np.nan)])
    good = quiet & (ivar > 0)
    good &= np.abs(np.nan_to_num(rest)) * np.sqrt(ivar) < CLIP
    return np.where(good, rest, np.nan)


def fit_target_noise(
    spectra: TargetSpectra, grid: WavelengthGrid, sky_errors: tuple[float, ...]
) -> NoiseModel:
    """Fits a noise model to spectra of targets.

    Args:
        spectra: Targets of various brightness, most of them faint.
        grid: Their grid.
        sky_errors: Errors of the sky continuum (see `NoiseModel`), which targets do not show.
    """

    good = (spectra.ivar > 0) & np.isfinite(spectra.flux)
    variance = np.where(good, spectra.ivar, np.nan) ** -1
    smooth = np.array([smooth_flux(row) for row in np.where(good, spectra.flux, np.nan)])
    smooth = smooth.clip(0)
    variance -= (spectra.floor[:, None] * smooth) ** 2
    variance[variance <= 0] = np.nan
    level, tilt, background = _levels(variance, smooth, spectra)
    x = np.linspace(-1, 1, grid.size)
    variance *= np.exp(-2 * (level[:, None] + tilt[:, None] * x))

    # Background alone, where it outweighs the target; pointings count alike.
    alone = variance / (1 + smooth / background)
    alone[smooth > background] = np.nan
    sigma2 = _by_pointing(alone, spectra.pointing)
    photon = gaussian_filter1d(_continuum(sigma2) / background, CONTINUUM_PIXELS / 8)
    night = spectra.sky
    night = filled(median_curve(night)) if np.isfinite(night).any() else sigma2 / photon
    sky = _continuum(night)
    family, names = line_families(night, sky, grid)
    line = np.where(family >= 0, night - sky, 0).clip(0)
    sky = gaussian_filter1d(sky, CONTINUUM_PIXELS / 4)

    chi = detrended(spectra.flux, spectra.ivar, spectra.quiet) * np.sqrt(spectra.ivar)
    families, chi = line_residuals(chi, np.sqrt(spectra.ivar), line, family, names, robust=True)
    scatter = running_scatter(chi, family)
    chi /= scatter
    enough = np.isfinite(chi).sum(1) > grid.size / 10
    spread = np.log(np.nanstd(chi[enough], axis=1))
    lags = running_autocorrelation(chi)
    # Single pixels without a width are bridged.
    lsf = median_filter(filled(median_curve(spectra.lsf)), _DETREND_PIXELS)
    curves = pd.DataFrame(
        {
            "wavelength": grid.wavelength,
            "sigma": np.sqrt(sigma2),
            "photon": photon,
            "scatter": scatter,
            "lag_1": lags[0],
            "lag_2": lags[1],
            "lag_3": lags[2],
            "sky": sky,
            "line": line,
            "family": family.astype(np.int16),
            "lsf": gaussian_filter1d(lsf, 5),
        }
    )
    measured = curves.columns.difference(["wavelength", "family"])
    curves[measured] = curves[measured].apply(shortened)
    starts, ends = extents(spectra.flux, grid)
    runs, length, singles = bad_pixel_runs(spectra.flux, spectra.ivar)
    return NoiseModel(
        curves,
        families,
        level=_level_scatter(level, spectra),
        tilt=robust_std(tilt),
        spread=float(np.std(spread)),
        tails=tail_width(chi[enough] / np.exp(spread)[:, None]),
        floor=float(np.median(spectra.floor)),
        sky_errors=sky_errors,
        starts=starts,
        ends=ends,
        bad_runs=runs,
        bad_run_length=length,
        bad_singles=singles,
    )


def _continuum(night: np.ndarray) -> np.ndarray:
    """The running median of what is no sky line."""

    continuum = night
    for _ in range(_ITERATIONS):
        smooth = median_filter(continuum, CONTINUUM_PIXELS)
        # Where a line is, the next lower estimate of the continuum takes its place.
        continuum = np.where(night > _CONTRAST * smooth, np.minimum(continuum, smooth), night)
    return median_filter(continuum, CONTINUUM_PIXELS)


def _by_pointing(values: np.ndarray, pointing: np.ndarray) -> np.ndarray:
    """Geometric mean over pointings of the median over their spectra, by pixel."""

    curves = [np.log(median_curve(values[pointing == name])) for name in np.unique(pointing)]
    known = np.isfinite(curves).any(0)
    output = np.full(values.shape[1], np.nan)
    output[known] = np.nanmean(np.array(curves)[:, known], axis=0)
    return np.exp(filled(output))


def _levels(
    variance: np.ndarray, smooth: np.ndarray, spectra: TargetSpectra
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level and tilt of each spectrum, (N,), and the background's flux density, (M,).

    The background is the flux density of an object whose photons are as noisy as sky and detector
    together, a smooth function of wavelength.
    """

    count, size = variance.shape
    # On sky lines the background is more than its continuum.
    night = filled(median_curve(variance / np.nanmedian(variance, axis=1, keepdims=True)))
    variance = np.where(night > _CONTRAST * _continuum(night), np.nan, variance)
    bins = size // _BIN_PIXELS
    shape = (count, bins, _BIN_PIXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of bins without data
        binned = np.log(np.nanmedian(variance[:, : bins * _BIN_PIXELS].reshape(shape), axis=2))
    flux = np.median(smooth[:, : bins * _BIN_PIXELS].reshape(shape), axis=2)
    known = np.isfinite(binned)
    x = np.linspace(-1, 1, bins)
    names, pointing = np.unique(spectra.pointing, return_inverse=True)
    legendre = np.polynomial.legendre.legvander(x, _BACKGROUND_ORDER)
    lengths = np.cumsum([count, count, len(names), _BACKGROUND_ORDER + 1])

    def model(parameters: np.ndarray) -> tuple[np.ndarray, ...]:
        level, tilt, mean, polynomial, curve = np.split(parameters, lengths)
        background = np.exp(legendre @ polynomial)
        own = 2 * (level[:, None] + tilt[:, None] * x) + np.log1p(flux / background)
        return level, tilt, mean, polynomial, own + curve

    # Errors of neighbouring bins have much in common, so that the priors must not be outvoted; the
    # noise of a running median limits what is known of the flux.
    typical = np.exp(_BACKGROUND_PRIOR[0])
    error = np.hypot(_BIN_ERROR, np.exp(binned / 2) / np.sqrt(_BIN_PIXELS) / (typical + flux))

    def residuals(parameters: np.ndarray) -> np.ndarray:
        level, tilt, mean, polynomial, prediction = model(parameters)
        data = ((binned - prediction) / error)[known]
        priors = [
            (level - mean[pointing]) / _LEVEL_PRIOR,
            tilt / _TILT_PRIOR,
            mean / _POINTING_PRIOR,
            (polynomial - [_BACKGROUND_PRIOR[0], 0, 0]) / _BACKGROUND_PRIOR[1],
        ]
        return np.concatenate([data, *priors])

    background = binned - np.log1p(flux / typical)
    relative = background - np.nanmedian(background, axis=1, keepdims=True)
    curve = filled(median_curve(relative))
    level = np.nanmedian(background - curve, axis=1) / 2
    means = [level[pointing == i].mean() for i in range(len(names))]
    zeros = np.zeros(_BACKGROUND_ORDER)
    start = np.concatenate([level, np.zeros(count), means, _BACKGROUND_PRIOR[:1], zeros, curve])
    # The robust loss has local minima; without it the fit comes close to the right one.
    start = least_squares(residuals, start).x
    fit = least_squares(residuals, start, loss="soft_l1")
    level, tilt, _, polynomial, _ = model(fit.x)
    # Relative to a spectrum of nominal depth.
    level = level - np.nanmean(level + 0.5 * np.log(spectra.depth))
    grid = np.linspace(-1, 1, size)
    return level, tilt, np.exp(np.polynomial.legendre.legval(grid, polynomial))


def _level_scatter(level: np.ndarray, spectra: TargetSpectra) -> float:
    """Scatter of levels about what the depth implies or, where that is not known, the pointing."""

    deviation = level + 0.5 * np.log(spectra.depth)
    unknown = np.isnan(spectra.depth)
    for name in np.unique(spectra.pointing[unknown]):
        here = (spectra.pointing == name) & unknown
        deviation[here] = level[here] - np.mean(level[here])
    return robust_std(deviation)
