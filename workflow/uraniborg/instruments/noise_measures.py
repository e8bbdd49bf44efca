"""Measurements on many noisy spectra that the fits of noise models share."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.noise import LineFamily, line_shapes

__all__ = [
    "CLIP",
    "CONTINUUM_PIXELS",
    "SKY_LINES",
    "bad_pixel_runs",
    "extents",
    "filled",
    "line_families",
    "line_residuals",
    "median_curve",
    "robust_std",
    "running_autocorrelation",
    "running_scatter",
    "shortened",
    "tail_width",
]

SKY_LINES = {
    "blue": (3800, 5500),
    "[O I] 5577": (5560, 5600),
    "Na I": (5870, 5910),
    "[O I] 6300, 6364": (6280, 6385),
    "OH 6400": (6385, 7150),
    "OH 7400": (7150, 7700),
    "OH 7900": (7700, 8150),
    "OH 8400": (8150, 8600),
    "OH 8800": (8600, 9250),
    "OH 9400": (9250, 9690),
    "OH 9800": (9690, 9900),
    "OH 10200": (9900, 10450),
}
"""Sky lines that share a carrier and hence vary together, Angstrom: the mercury and sodium lamps of
towns, atomic oxygen, and the Meinel bands of OH by upper vibrational level."""

CLIP = 6.0
"""Residuals beyond this many standard deviations are cosmic rays or real emission."""

CONTINUUM_PIXELS = 101
"""Width of the running median that tells sky lines from their continuum."""

# A pixel belongs to a line where the sky exceeds its continuum by this factor.
_LINE_CONTRAST = 1.3
_CURVE_PIXELS = 150
# Median of the square of a standard normal variable.
_MEDIAN_SQUARE = 0.4549


def median_curve(values: np.ndarray) -> np.ndarray:
    """Median over spectra where at least a third of them have data."""

    enough = np.isfinite(values).sum(0) >= max(1, len(values) // 3)
    output = np.full(values.shape[1], np.nan)
    output[enough] = np.nanmedian(values[:, enough], axis=0)
    return output


def filled(curve: np.ndarray) -> np.ndarray:
    """Continues a curve beyond its ends with the mean of the last few values."""

    (known,) = np.nonzero(np.isfinite(curve))
    left, right = np.mean(curve[known[:5]]), np.mean(curve[known[-5:]])
    return np.interp(np.arange(curve.size), known, curve[known], left, right)


def shortened(curve: np.ndarray) -> np.ndarray:
    """Float32 with the last 11 bits cleared, a relative precision of 1e-4, for a small file."""

    return (np.asarray(curve, np.float32).view(np.int32) & ~0x7FF).view(np.float32)


def robust_std(values: np.ndarray) -> float:
    """Standard deviation from the median absolute deviation, without outliers' weight."""

    return float(1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values))))


def line_families(
    night: np.ndarray, continuum: np.ndarray, grid: WavelengthGrid
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which pixels sky lines reach.

    Args:
        night: Spectrum of the night sky, shape (M,).
        continuum: The same without lines.
        grid: Their grid.

    Returns:
        The number of each pixel's family, -1 for none, shape (M,); and the names of the families
        whose middle lies within the grid.
    """

    last = grid.wavelength[-1]
    names = tuple(name for name, ends in SKY_LINES.items() if sum(ends) / 2 < last)
    in_line = night > _LINE_CONTRAST * continuum
    in_line = np.convolve(in_line, np.ones(3), "same") > 0
    family = np.full(grid.size, -1)
    # Later, narrower families take precedence over the wide one in the blue.
    for number, (low, high) in enumerate(SKY_LINES[name] for name in names):
        family[in_line & (grid.wavelength >= low) & (grid.wavelength < high)] = number
    return family, names


def line_residuals(
    chi: np.ndarray,
    weight: np.ndarray,
    line: np.ndarray,
    family: np.ndarray,
    names: tuple[str, ...],
    robust: bool = False,
) -> tuple[tuple[LineFamily, ...], np.ndarray]:
    """Fits the residuals of sky lines in each spectrum.

    Args:
        chi: Residuals in units of their errors, shape (N, M), NaN where there are none.
        weight: Inverse errors, shape (N, M).
        line: The sky lines, shape (M,).
        family: Number of each pixel's family, shape (M,), from `line_families`.
        names: Names of the families.
        robust: Take the median spectrum for typical, not the mean, as some may be peculiar.

    Returns:
        The families, and what is left of chi.
    """

    rest = chi.copy()
    families = []
    for number, name in enumerate(names):
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
        if not amplitudes:
            families.append(LineFamily(name, 0.0, 0.0, 0.0))
            continue
        # The scatter of the fits is that of the residuals plus that of the noise.
        if robust:
            typical = np.median(np.square(amplitudes), axis=0) / _MEDIAN_SQUARE
            excess = typical - np.median(variances, axis=0)
        else:
            excess = np.square(amplitudes).mean(0) - np.mean(variances, axis=0)
        scale, shift, width = (float(value) for value in np.sqrt(excess.clip(0)))
        families.append(LineFamily(name, scale, shift, width))
    return tuple(families), rest


def running_scatter(chi: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Running rms of chi along the spectrum, sky lines apart from the rest."""

    known, square = np.isfinite(chi), np.nan_to_num(chi) ** 2
    output = np.empty(chi.shape[1])
    for where in (family >= 0, family < 0):
        count = gaussian_filter1d((known * where).sum(0).astype(float), _CURVE_PIXELS)
        total = gaussian_filter1d((square * where).sum(0), _CURVE_PIXELS)
        output[where] = np.sqrt(total[where] / count[where])
    return output


def running_autocorrelation(chi: np.ndarray) -> list[np.ndarray]:
    """Running autocorrelation of chi at lags of one to three pixels."""

    def smooth(lag: int) -> np.ndarray:
        product = np.nansum(chi[:, lag:] * chi[:, : chi.shape[1] - lag], axis=0)
        return gaussian_filter1d(np.pad(product, (0, lag)), _CURVE_PIXELS)

    variance = smooth(0)
    return [smooth(lag) / variance for lag in (1, 2, 3)]


def tail_width(chi: np.ndarray) -> float:
    """Scatter of the logarithm of a Gaussian's width that gives chi its kurtosis."""

    kurtosis = np.nanmean(chi**4) / np.nanmean(chi**2) ** 2
    return float(np.sqrt(np.log(max(kurtosis / 3, 1)) / 4))


def extents(flux: np.ndarray, grid: WavelengthGrid) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Quantiles of the spectra's ends in log10(Angstrom), flux being NaN beyond them."""

    known = np.isfinite(flux)
    first, last = known.argmax(1), grid.size - 1 - known[:, ::-1].argmax(1)
    probability = np.linspace(0, 1, 11)
    quantiles = [
        np.quantile(np.log10(grid.wavelength[pixel]), probability) for pixel in (first, last)
    ]
    return tuple(tuple(row.round(5).tolist()) for row in quantiles)


def bad_pixel_runs(flux: np.ndarray, ivar: np.ndarray) -> tuple[float, float, float]:
    """Mean number and length of runs of bad pixels in a spectrum, and of single ones."""

    lengths = []
    for row, inverse in zip(flux, ivar, strict=True):
        bad = np.isfinite(row) & (inverse <= 0)
        changes = np.flatnonzero(np.diff(np.concatenate([[0], bad, [0]])))
        lengths.extend(changes[1::2] - changes[::2])
    lengths = np.array(lengths)
    runs = lengths[lengths > 1]
    length = float(np.median(runs) / np.log(2)) if len(runs) else 1.0
    return len(runs) / len(flux), length, float(np.sum(lengths == 1) / len(flux))
