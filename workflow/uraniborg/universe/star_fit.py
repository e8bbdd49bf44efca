"""Fits the basis of stars to observed spectra (rule `star_basis`).

Two public sets of templates: those that SDSS-III fitted its stars with (Bolton et al. 2012, AJ 144,
144; spectra of the Indo-US library, Valdes et al. 2004, ApJS 152, 251, continued beyond 3460 and
9460 A by theoretical ones), and for M dwarfs, which these lack, means of MaStar (Yan et al. 2019,
ApJ 883, 175) from the data analysis pipeline of MaNGA (Westfall et al. 2019, AJ 158, 231).

Temperatures and gravities start from the spectral type (dwarfs: Pecaut & Mamajek 2013; others:
assumed scales through typical values) or, for metal-poor stars and some others, from typical values
in the literature; M dwarfs from r - i. Fit of the basis and of each star's parameters, within their
uncertainties, alternate. Each star may have a smooth error of its flux calibration.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.star_basis import StarBasis, dwarf_gravity, penalty, predictors
from uraniborg.universe.white_dwarfs import white_dwarfs

__all__ = ["Templates", "fit_basis", "labels", "read_mastar", "read_sdss", "read_white_dwarfs"]

GRID = WavelengthGrid("log10", 3.4915, 1e-4, 5213)
"""3101 to 10298 A in vacuum."""

# Effective temperatures by spectral type: O, B, A ... count from 0, 10, 20 ...
_DWARFS = ((8, 35000), (9, 33000), (10, 31000), (12, 20600), (13, 17000), (15, 15500), (18, 12300),
           (19, 10700), (20, 9700), (22, 8850), (25, 8080), (27, 7800), (30, 7220), (32, 6820),
           (35, 6550), (38, 6180), (40, 5930), (42, 5770), (45, 5660), (48, 5480), (50, 5270),
           (52, 5100), (53, 4830), (55, 4440), (57, 4050), (60, 3850))  # fmt: skip
_GIANTS = ((8, 34000), (10, 29000), (12, 20000), (15, 14800), (18, 12200), (20, 9800), (25, 8100),
           (30, 7300), (35, 6470), (40, 5600), (45, 5050), (48, 4900), (50, 4780), (51, 4600),
           (52, 4430), (53, 4270), (54, 4100), (55, 3950), (60, 3850), (62, 3730), (63, 3640),
           (64, 3530), (65, 3400), (66, 3280), (67, 3100), (68, 2900))  # fmt: skip
_SUPERGIANTS = ((8, 34000), (10, 26500), (12, 18000), (15, 14000), (18, 12000), (20, 9700),
                (22, 9000), (25, 8300), (30, 7500), (35, 6800), (38, 6150), (40, 5700), (45, 5000),
                (49, 4700), (53, 4250), (54, 4100), (62, 3650), (65, 3400))  # fmt: skip
_GIANT_GRAVITY = ((8, 3.6), (20, 3.6), (30, 3.4), (40, 2.9), (48, 2.7), (50, 2.5), (53, 2.0),
                  (55, 1.6), (60, 1.4), (63, 1.0), (65, 0.6), (67, 0.2), (68, 0.0))  # fmt: skip
_SUPERGIANT_GRAVITY = ((8, 3.1), (15, 2.3), (20, 1.9), (30, 1.6), (40, 1.3), (50, 0.9), (60, 0.4),
                       (65, 0.2))  # fmt: skip
_SUBGIANT_GRAVITY = ((10, 3.7), (20, 3.8), (40, 3.8), (50, 3.2))
# Temperature, log g and [Fe/H] of stars whose type says too little, by HD number or name.
_KNOWN = {
    "G_165-39": (6300, 4.2, -2.0), "G_37-26": (5950, 4.3, -1.9), "G_243-63": (6000, 4.2, -1.0),
    "G_101-29": (6000, 4.3, -1.0), "G_84-29": (6300, 4.1, -2.5), "G_19-24": (4400, 4.6, -1.5),
    "63791": (4700, 1.7, -1.7), "26297": (4450, 1.1, -1.8), "165195": (4400, 1.1, -2.2),
    "25329": (4850, 4.7, -1.8), "140283": (5750, 3.7, -2.4), "110281": (3900, 0.8, -1.5),
    "143761": (5780, 4.2, -0.2), "32147": (4700, 4.5, 0.25), "75732": (5220, 4.4, 0.3),
    "157910": (5100, 2.0, 0.0), "30562": (5900, 4.1, 0.2), "33256": (6400, 4.0, -0.3),
    "100030": (4900, 3.2, -0.3), "136064": (6100, 4.0, 0.0), "191026": (5050, 3.5, 0.0),
    "142091": (4800, 3.2, 0.1), "10780": (5350, 4.5, 0.0), "101501": (5500, 4.5, 0.0),
    "95128": (5850, 4.3, 0.0), "14214": (6000, 4.1, 0.1), "32923": (5680, 4.1, -0.2),
    "16673": (6260, 4.3, 0.0), "118100": (4250, 4.6, 0.0), "204445": (3750, 1.5, 0.0),
}  # fmt: skip
# Its spectrum is that of another star.
_WRONG = ("154660",)
# Means of MaStar that are M dwarfs, with temperatures after r - i = 0.76 to 1.98 (types of West et
# al. 2011, AJ 141, 97, and the dwarfs' scale).
_M_DWARFS = {"26": 3760, "23": 3640, "22": 3430, "03": 3200, "02": 2800}

# Standard deviations of log10 temperature, log g and [Fe/H] before the fit.
_UNCERTAINTY = np.array([0.035, 0.25, 0.2])
_UNCERTAINTY_M_DWARFS = np.array([0.004, 0.03, 0.03])
_STEP = np.array([0.004, 0.05, 0.05])
# Relative error of the model and how many pixels share one, for the weights of stars' parameters.
_MODEL_ERROR, _CORRELATED = 0.04, 15
# Fluxes below this fraction of the median are noise.
_FAINTEST = 2e-3
_COLUMNS = ("temperature", "log_g", "metallicity", "rms", "left_out")
# How fast log flux of cool stars rises per Angstrom where it is not observed.
_BLUE_SLOPE = 1.5e-3


class Templates(NamedTuple):
    """Spectra and first guesses of what they show."""

    names: list[str]
    parameters: np.ndarray
    """Temperature in K, log g and [Fe/H], shape (S, 3)."""
    log_flux: np.ndarray
    """On `GRID`, up to a constant each, shape (S, GRID.size)."""
    weight: np.ndarray
    """One where observed, zero elsewhere, the shape of `log_flux`."""
    calibration: np.ndarray
    """Standard deviation of the coefficients of calibration errors, shape (S,)."""


def labels(name: str) -> tuple[float, float, float] | None:
    """Temperature, log g and [Fe/H] after a name such as `K3III (101673)`, None if not a star.

    Emission-line stars between 3500 and 22,000 K have no place in the fit either.
    """

    match = re.match(r"(?:sd:?)?([OBAFGKM])(\d\.?\d*)(.*?)\((.*)\)", name)
    if not match or match[4] in _WRONG:
        return None
    number = 10 * "OBAFGKM".index(match[1]) + float(match[2])
    suffix = match[3]
    supergiant = re.search(r"I(a|b)", suffix) is not None
    giant = "II" in suffix and not supergiant
    scale = _SUPERGIANTS if supergiant else _GIANTS if giant else _DWARFS
    temperature = 10 ** np.interp(number, *_columns(scale, np.log10))
    gravity = dwarf_gravity(temperature)
    if supergiant or giant:
        bright = np.interp(number, *_columns(_SUPERGIANT_GRAVITY))
        faint = np.interp(number, *_columns(_GIANT_GRAVITY))
        gravity = bright if supergiant else faint if "III" in suffix else (bright + faint) / 2
    elif "IV" in suffix:
        gravity = np.interp(number, *_columns(_SUBGIANT_GRAVITY))
    if "e" in suffix.replace("var", "") and 3500 < temperature < 22000:
        return None
    return _KNOWN.get(match[4], (float(temperature), float(gravity), 0.0))


def read_sdss(path: str | Path) -> Templates:
    """The templates of `spEigenStar-55734.fits`, and its L dwarf as the cool end (2300 K)."""

    with fits.open(path) as file:
        header, data = file[0].header, file[0].data.astype(np.float64)
    coordinate = header["COEFF0"] + header["COEFF1"] * np.arange(data.shape[1])
    names, parameters, spectra, weight, calibration = [], [], [], [], []
    here = np.log10(GRID.wavelength)
    for row, flux in enumerate(data):
        name = header[f"NAME{row}"]
        known = labels(name)
        observed = np.ones(GRID.size)
        if name == "Ldwarf":
            known = (2300.0, 5.1, 0.0)
            flux = np.convolve(flux, np.full(15, 1 / 15), mode="same")
            observed = 0.3 * ((here > 3.70) & (here < 4.01))
        if known is None:
            continue
        names.append(name)
        parameters.append(known)
        spectrum, observed = _extrapolate(np.interp(here, coordinate, _log(flux)), observed)
        spectra.append(spectrum)
        weight.append(observed)
        # Metal-poor stars have the spectral energy distribution of another type.
        calibration.append(0.5 if known[2] <= -0.9 else 0.05)
    return Templates(names, *map(np.array, (parameters, spectra, weight, calibration)))


def read_mastar(paths: Iterable[str | Path], *, everything: bool = False) -> Templates:
    """Means of MaStar, `MaStarHC_<number>_*.fits`: its M dwarfs, or all of them.

    Parameters of other stars are those of the Sun, to be found.
    """

    names, parameters, spectra, weight = [], [], [], []
    here = np.log10(GRID.wavelength)
    for path in sorted(map(Path, paths)):
        number = path.name.split("_")[1]
        if number not in _M_DWARFS and not everything:
            continue
        with fits.open(path) as file:
            header, flux, ivar = file[0].header, file[0].data, file["IVAR"].data
        coordinate = header["CRVAL1"] + header["CDELT1"] * np.arange(len(flux))
        good = ivar > 0
        temperature = _M_DWARFS.get(number, 5770)
        names.append(f"MaStar {number}")
        parameters.append((temperature, float(dwarf_gravity(np.array(temperature))), 0.0))
        # Means of few faint stars are noise in the blue.
        start = 3.60 if number == "02" else coordinate[good][0]
        spectrum = np.interp(here, coordinate[good], _log(flux)[good])
        observed = (here > start) & (here < coordinate[good][-1])
        spectrum, observed = _extrapolate(spectrum, observed.astype(np.float64))
        spectra.append(spectrum)
        weight.append(observed)
    calibration = np.full(len(names), 0.05)
    return Templates(names, *map(np.array, (parameters, spectra, weight)), calibration)


def read_white_dwarfs(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Wavelengths and flux densities of the DA templates of `spEigenStar-55734.fits`."""

    with fits.open(path) as file:
        header, data = file[0].header, file[0].data.astype(np.float64)
    wavelength = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(data.shape[1]))
    inside = (wavelength > 3700) & (wavelength < 9000)
    names = [header[f"NAME{row}"] for row in range(len(data))]
    return {
        name: (wavelength[inside], flux[inside])
        for name, flux in zip(names, data, strict=True)
        if name in ("WDcooler", "WDhotter")
    }


def _extrapolate(log_flux: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Continues the spectrum to the blue by a line, of little weight, where it is not observed.

    Its slope keeps u - g of M dwarfs near 2.6 (West et al. 2011).
    """

    first = int(np.argmax(weight > 0))
    wavelength = GRID.wavelength
    mean = log_flux[first : first + 100].mean()
    line = mean - _BLUE_SLOPE * (wavelength[min(first + 50, GRID.size - 1)] - wavelength)
    unseen = np.arange(GRID.size) < first
    return np.where(unseen, line, log_flux), np.where(unseen, 0.1, weight)


def fit_basis(templates: Iterable[Templates], rank: int, iterations: int = 4) -> StarBasis:
    """The basis, and in its metadata each star's parameters and residuals.

    Residuals `rms` are standard deviations of log flux between 3500 and 9200 A with the star in the
    fit, `left_out` without it (predicted residuals, exact for a linear fit).

    Args:
        templates: Spectra to fit together.
        rank: Number K of basis spectra.
        iterations: How often stars' parameters are improved.
    """

    sets = list(templates)
    names = [name for one in sets for name in one.names]
    first, log_flux, weight, calibration = (
        np.concatenate([one[i] for one in sets]).astype(np.float64) for i in range(1, 5)
    )
    wavelength = GRID.wavelength
    reference = (wavelength > 5500) & (wavelength < 7000)
    log_flux -= log_flux[:, reference].mean(1, keepdims=True)
    shapes = _calibration_shapes(reference)
    start = np.stack([np.log10(first[:, 0]), first[:, 1], first[:, 2]], axis=1)
    theta, errors = start.copy(), np.zeros((len(start), len(shapes)))
    used = (wavelength > 3500) & (wavelength < 9200)
    sparse = np.flatnonzero(used)[::4]
    for _ in range(iterations):
        spectra = _solve(_predict(theta), log_flux - errors @ shapes, weight)
        for s in range(len(theta)):
            pixels = sparse[weight[s, sparse] > 0]
            theta[s], errors[s] = _improve(
                theta[s], errors[s], start[s], calibration[s],
                log_flux[s, pixels], spectra[:, pixels], shapes[:, pixels],
            )  # fmt: skip
    predicted = _predict(theta)
    target = log_flux - errors @ shapes
    spectra = _solve(predicted, target, weight)
    residual = (target - predicted @ spectra) * (weight > 0)
    leverage = np.einsum("sp,ps->s", predicted, np.linalg.solve(
        predicted.T @ predicted + penalty(), predicted.T))  # fmt: skip
    coefficients, basis = _low_rank(predicted, spectra, weight, rank)
    rms = residual[:, used].std(1)
    stars = {
        name: [round(float(x), 3) for x in (10 ** t[0], t[1], t[2], r, r / (1 - h))]
        for name, t, r, h in zip(names, theta, rms, leverage, strict=True)
    }
    metadata = {"stars": stars, "columns": list(_COLUMNS)}
    return StarBasis(GRID, coefficients, basis, white_dwarfs(), metadata)


def _predict(theta: np.ndarray) -> np.ndarray:
    return predictors(10 ** theta[:, 0], theta[:, 1], theta[:, 2])


def _calibration_shapes(reference: np.ndarray) -> np.ndarray:
    """A slope and a bend of log flux, zero on average over the reference range."""

    x = (np.log10(GRID.wavelength) - 3.75) / 0.3
    shapes = np.stack([x, x**2])
    return shapes - shapes[:, reference].mean(1, keepdims=True)


def _solve(predicted: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Spectra of the predictors, shape (P, M): penalised least squares in every pixel."""

    spectra = np.empty((predicted.shape[1], target.shape[1]))
    patterns, which = np.unique(weight.T, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        pixels = which.ravel() == number
        weighted = predicted * pattern[:, None]
        normal = predicted.T @ weighted + penalty()
        spectra[:, pixels] = np.linalg.solve(normal, weighted.T @ target[:, pixels])
    return spectra


def _improve(
    theta: np.ndarray,
    error: np.ndarray,
    start: np.ndarray,
    calibration: float,
    log_flux: np.ndarray,
    spectra: np.ndarray,
    shapes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One damped Gauss-Newton step of a star's parameters and its calibration error."""

    model = (_predict(theta[None]) @ spectra)[0]
    moved = _predict(theta + np.diag(_STEP)) @ spectra
    jacobian = np.concatenate([(moved - model) / _STEP[:, None], shapes])
    residual = log_flux - model - error @ shapes
    dwarf = start[0] < 3.6 and start[1] > 4
    uncertainty = _UNCERTAINTY_M_DWARFS if dwarf else _UNCERTAINTY
    sigma = np.concatenate([uncertainty, np.full(len(shapes), calibration)])
    prior = np.concatenate([start - theta, -error]) / sigma**2
    scale = _MODEL_ERROR**2 * _CORRELATED
    normal = jacobian @ jacobian.T / scale + np.diag(sigma**-2)
    step = np.linalg.solve(normal, jacobian @ residual / scale + prior)
    largest = np.array([0.02, 0.15, 0.15, 0.3, 0.3])
    step = np.clip(0.6 * step, -largest, largest)
    theta = theta + step[:3]
    theta[2] = np.clip(theta[2], -2.8, 0.5)
    return theta, error + step[3:]


def _low_rank(
    predicted: np.ndarray, spectra: np.ndarray, weight: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """The product of rank K that is nearest for the stars of the fit, dim ones counting less."""

    model = predicted @ spectra
    importance = 1 / np.maximum(1, model.std(1) / 0.6)
    _, _, basis = np.linalg.svd(model * importance[:, None], full_matrices=False)
    basis = basis[:rank]
    return spectra @ basis.T, basis


def _columns(table: tuple, scale=lambda x: x) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN001
    number, value = np.array(table, dtype=np.float64).T
    return number, scale(value)


def _log(flux: np.ndarray) -> np.ndarray:
    flux = np.asarray(flux, np.float64)
    return np.log(np.maximum(flux, _FAINTEST * np.median(flux)))
