"""Measuring the noise of photometric catalogues, and checking it on other objects."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Table
from scipy.optimize import least_squares, minimize
from scipy.stats import norm, rankdata

from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.photometric_noise import LEVELS, BandNoise
from uraniborg.tables import Column

__all__ = ["CHECK_COLUMNS", "Measured", "check_noise", "fit_noise", "read_measured"]

CHECK_COLUMNS = (
    Column("band", pa.string(), "", "Name of the noise"),
    Column("magnitude", pa.float64(), "mag", "Median AB magnitude of the objects"),
    Column("n", pa.int64(), "", "Number of objects"),
    Column("median", pa.float64(), "", "Median error relative to the flux, real"),
    Column("median_ratio", pa.float64(), "", "Median error, simulated over real"),
    Column("width", pa.float64(), "", "Half of the central 68% of ln(error), real"),
    Column("width_ratio", pa.float64(), "", "The same, simulated over real"),
)
"""Columns of the comparison of simulated with real errors, one row per band and magnitude."""

# GALEX: AB magnitude of one count per second (Morrissey et al. 2007, ApJS 173, 682).
_ZERO_POINTS = {"galex_FUV": 18.82, "galex_NUV": 20.08}
# ln(noise) of GALEX below which an object comes from the deeper surveys, not the all-sky one.
_DEEPER = {"galex_FUV": -0.6, "galex_NUV": -0.6}
_BINS = (0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1)


class Measured(NamedTuple):
    """Fluxes and errors in one band, nanomaggies (AB), shapes (N,); NaN where there is none."""

    flux: np.ndarray
    error: np.ndarray


def read_measured(path: str | Path) -> dict[str, Measured]:
    """The measurements of the GALEX-SDSS-2MASS catalogue of kcorrect, by name of the noise.

    Model fluxes of SDSS count as `sdss`, Petrosian fluxes as `nsa`. None is corrected for
    Galactic extinction.
    """

    table = Table.read(path)
    measured = {}
    for kind, column in (("sdss", "MODELFLUX"), ("nsa", "PETROFLUX")):
        for i, band in enumerate(bands_of("sdss")):
            unit = 10 ** (-0.4 * band.offset)
            flux, ivar = (np.asarray(table[f"{column}{x}"][:, i], float) for x in ("", "_IVAR"))
            error = np.where(ivar > 0, ivar, np.nan) ** -0.5
            measured[f"{kind}_{band.name[-1]}"] = _measured(unit * flux, unit * error)
    for band in bands_of("twomass"):
        magnitude, error = (
            np.asarray(table[f"{band.name[-1]}_{x}_EXT"], float) for x in ("M", "MSIG")
        )
        magnitude = np.where(magnitude > 0, magnitude, np.nan)
        flux = 10 ** (0.4 * (22.5 - band.offset - magnitude))
        measured[band.name] = _measured(flux, flux * error * np.log(10) / 2.5)
    for name, zero_point in _ZERO_POINTS.items():
        flux, error = (
            np.asarray(table[f"{name[-3:]}_FLUX{x}_AUTO"], float)
            * 10 ** (0.4 * (22.5 - zero_point))
            for x in ("", "ERR")
        )
        measured[name] = _measured(flux, error)
    return measured


def _measured(flux: np.ndarray, error: np.ndarray) -> Measured:
    known = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    return Measured(*(np.where(known, x, np.nan) for x in (flux, error)))


def fit_noise(measured: Mapping[str, Measured]) -> dict[str, BandNoise]:
    """Fits the noise of every band, and how it correlates among the bands of a photometer.

    Args:
        measured: By name of the noise, `<photometer>_<letter>`; all of the same objects.
    """

    fits, scores = {}, {}
    for name, (flux, error) in measured.items():
        fits[name], scores[name] = _fit_band(flux, error, _DEEPER.get(name, -np.inf))
    for photometer in dict.fromkeys(name.split("_")[0] for name in fits):
        names = [name for name in fits if name.split("_")[0] == photometer]
        shared = _one_factor(np.array([scores[name] for name in names]))
        for name, correlation in zip(names, shared, strict=True):
            fits[name] = BandNoise(**{**vars(fits[name]), "shared": correlation})
    return fits


def _fit_band(flux: np.ndarray, error: np.ndarray, deeper: float) -> tuple[BandNoise, np.ndarray]:
    """The noise of one band, and the normal score of every object's level (NaN: unknown)."""

    known = np.isfinite(error)
    for _ in range(4):
        x, y = flux[known], np.log(error[known])
        median = _fit_median(x, y)
        residual = np.full(len(flux), np.nan)
        residual[known] = y - np.log(median.sigma(x))
        known = residual > deeper
    residual[~known] = np.nan

    def cost(parameters: np.ndarray) -> float:
        """Minus the log-likelihood of a Laplace distribution, which outliers do not rule."""
        log_width = parameters[0] + parameters[1] * np.log1p(np.maximum(x, 0) / median.reference)
        return float(np.mean(np.abs(residual[known]) * np.exp(-log_width) + log_width))

    x = flux[known]
    start = [np.log(np.mean(np.abs(residual[known]))), 0.0]
    log_scatter, trend = minimize(cost, start, method="Nelder-Mead").x
    model = BandNoise(
        **{**vars(median), "scatter": float(np.exp(log_scatter)), "trend": float(trend)}
    )
    standard = residual / model.width(flux)
    levels = np.quantile(standard[known], norm.cdf(LEVELS))
    score = np.full(len(flux), np.nan)
    score[known] = norm.ppf((rankdata(standard[known]) - 0.5) / known.sum())
    return BandNoise(**{**vars(model), "levels": tuple(levels.tolist())}), score


def _fit_median(flux: np.ndarray, log_error: np.ndarray) -> BandNoise:
    reference = float(np.median(flux))
    typical = float(np.exp(np.median(log_error)))
    # Where photons dominate everywhere, as in the ultraviolet, the sky is not constrained.
    least = np.quantile(log_error, 0.01) + np.log(0.5)

    def noise(parameters: np.ndarray) -> BandNoise:
        sky, photon, floor = np.exp(parameters[:3]).tolist()
        growth = float(parameters[3])
        return BandNoise(sky, photon, floor, reference, growth, 0.0, 0.0, 0.0, LEVELS)

    def difference(parameters: np.ndarray) -> np.ndarray:
        return log_error - np.log(noise(parameters).sigma(flux))

    fits = [
        least_squares(
            difference,
            [np.log(0.7 * typical), np.log(share * typical**2 / reference), np.log(0.003), 0.1],
            loss="soft_l1",
            f_scale=0.1,
            bounds=([least, -20, -12, 0], [10, 10, -2, 1.5]),
        )
        for share in (0.01, 0.5)
    ]
    return noise(min(fits, key=lambda fit: fit.cost).x)


def _one_factor(scores: np.ndarray) -> list[float]:
    """Correlations of bands with the one variable that best explains those among them.

    Args:
        scores: Normal scores, shape (B, N).
    """

    matrix = pd.DataFrame(scores.T).corr().to_numpy(copy=True)
    communality = np.full(len(matrix), 0.5)
    for _ in range(200):
        np.fill_diagonal(matrix, communality)
        values, vectors = np.linalg.eigh(matrix)
        loading = np.abs(vectors[:, -1]) * np.sqrt(max(values[-1], 0))
        communality = np.minimum(loading**2, 0.98)
    return np.sqrt(communality).tolist()


def check_noise(
    noise: Mapping[str, BandNoise], measured: Mapping[str, Measured], seed: int = 0
) -> pd.DataFrame:
    """Compares errors that the model gives objects of the same fluxes with their real errors.

    Args:
        noise: The model.
        measured: Objects that it was not fitted to. Those of far deeper exposures than the
            rest, which the fit leaves out, are left out here, too.
        seed: Of the simulated levels.

    Returns:
        `CHECK_COLUMNS`, in bins of magnitude.
    """

    random = np.random.default_rng(seed)
    rows = []
    for name, model in noise.items():
        flux, error = measured[name]
        known = np.log(error / model.sigma(flux)) > _DEEPER.get(name, -np.inf)
        flux, error = flux[known], error[known]
        many = np.repeat(flux, 20)
        simulated = model.sigma(many) * model.level(many, random.standard_normal(len(many)))
        simulated = simulated.reshape(-1, 20)
        edges = np.quantile(flux, _BINS)
        for low, high in pairwise(edges):
            here = (flux >= low) & (flux <= high)
            pair = [np.log(x[here]).ravel() for x in (error, simulated)]
            medians = [np.median(x) for x in pair]
            widths = [np.diff(np.quantile(x, [0.16, 0.84]))[0] / 2 for x in pair]
            middle = max(np.median(flux[here]), 1e-3)
            rows.append(
                {
                    "band": name,
                    "magnitude": 22.5 - 2.5 * np.log10(middle),
                    "n": int(here.sum()),
                    "median": np.exp(medians[0]) / middle,
                    "median_ratio": np.exp(medians[1] - medians[0]),
                    "width": widths[0],
                    "width_ratio": widths[1] / widths[0],
                }
            )
    return pd.DataFrame(rows)
