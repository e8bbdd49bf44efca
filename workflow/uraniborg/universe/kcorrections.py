"""K-corrections of simulated galaxies, exact from their spectra, against those of kcorrect.

kcorrect (Blanton & Roweis 2007) infers them from broad-band fluxes by fitting templates of its own.
Its answers ship in a table, with the galaxies' parameters, so that our spectra are compared without
it; only `fit` imports it.
"""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.errors import UserError
from uraniborg.tables import Column, read_table
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit, galaxy_columns
from uraniborg.universe.histories import DirichletHistory
from uraniborg.universe.photometry import read_filter

__all__ = [
    "BANDS",
    "BAND_SHIFTS",
    "CORRECTION_COLUMNS",
    "compare",
    "exact",
    "fit",
    "galaxies",
    "measured_fluxes",
    "reference_columns",
    "reference_table",
    "summary",
]

BANDS = ("u", "g", "r", "i", "z")
BAND_SHIFTS = (0.0, 0.1)
"""Redshifts from which the bands that magnitudes are corrected to are shifted to the rest frame."""

_VERSION = "5.1.9"
_Z_RANGE, _R_LIMIT = (0.02, 0.25), 17.77
# Least errors in mag, by which kcorrect's errors of SDSS are enlarged (Blanton & Roweis 2007), and
# errors of the sky in nanomaggies: a fifth of the flux of SDSS' 5 sigma limits for point sources
# (https://www.sdss4.org/dr16/imaging/other_info), three times over for galaxies (assumed).
_LEAST_ERROR = np.array([0.05, 0.02, 0.02, 0.02, 0.03])
_SKY_ERROR = 3 / 5 * 10 ** (0.4 * (22.5 - np.array([22.15, 23.13, 22.70, 22.20, 20.71])))

CORRECTION_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("band", pa.string(), "", "Band"),
    Column("band_shift", pa.float64(), "", "Redshift by which the rest-frame band is shifted"),
    Column("exact", pa.float64(), "mag", "K-correction of the galaxy's spectrum"),
    Column("kcorrect", pa.float64(), "mag", "That of kcorrect from the galaxy's measured fluxes"),
    Column("shuffled", pa.float64(), "mag", "That of the spectrum at another galaxy's redshift"),
)
"""One row per galaxy, band and shift of the band."""


def galaxies(ssp_grid: str | Path, count: int, seed: int) -> dict[str, np.ndarray]:
    """Galaxies brighter than 17.77 in r at redshifts 0.02 to 0.25, see `GalaxyPopulation`."""

    z_min, z_max = _Z_RANGE
    limits = {"sdss_r0": Limit(_R_LIMIT)}
    return GalaxyPopulation(ssp_grid, z_max, z_min, limits).sample(0, count, seed)


def exact(
    parameters: Mapping[str, np.ndarray],
    ssp_grid: str | Path,
    band_shift: float = 0.0,
    z: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes and K-corrections (Hogg et al. 2002, eq. 8) of galaxies' spectra in ugriz.

    Args:
        parameters: See `GalaxyModel.luminosity`.
        ssp_grid: The file of the rule `ssp_grid`.
        band_shift: K-corrections are to bands shifted to the rest frame from this redshift.
        z: Redshifts that the spectra are put to, other than those of the parameters.

    Returns:
        Fluxes in nanomaggies and K-corrections in mag, both (N, 5).
    """

    filters = [read_filter(f"sdss_{band}0") for band in BANDS]
    grid = band_grid(filters, z_max=_Z_RANGE[1])
    model = GalaxyModel(ssp_grid, grid, DirichletHistory(), velocities=False)
    bands = BandFluxes(filters, grid)
    flux = model.flux(parameters).double()
    redshift = torch.as_tensor(parameters["z"] if z is None else z)
    observed = bands(flux, redshift).numpy()
    # The same flux density as if it were observed at the redshift of the band: what is left is that
    # `bands` takes it per wavelength, which goes as (1 + z)^2 per frequency.
    restframe = bands(flux, torch.full_like(redshift, band_shift)).numpy()
    stretch = (1 + band_shift) ** 2 / (1 + redshift.numpy()[:, None])
    return observed, -2.5 * np.log10(observed / restframe * stretch)


def measured_fluxes(flux: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes with the errors of SDSS and these errors, both in nanomaggies, shape (N, 5)."""

    error = np.hypot(flux * _LEAST_ERROR * np.log(10) / 2.5, _SKY_ERROR)
    return flux + error * np.random.default_rng(seed).standard_normal(flux.shape), error


def fit(flux: np.ndarray, error: np.ndarray, z: np.ndarray) -> dict[float, np.ndarray]:
    """K-corrections by kcorrect.

    Args:
        flux: Nanomaggies in ugriz, shape (N, 5).
        error: Their errors.
        z: Redshifts, shape (N,).

    Returns:
        By each of `BAND_SHIFTS`, shape (N, 5).

    Raises:
        UserError: kcorrect is not installed, or in another version.
    """

    try:
        from kcorrect.kcorrect import Kcorrect
    except ImportError as failure:
        raise UserError(
            "the package kcorrect is not installed; pip install 'uraniborg[peers]'."
        ) from failure
    version = importlib.metadata.version("kcorrect")
    if version != _VERSION:
        raise UserError(f"kcorrect {version} is installed; pip install kcorrect=={_VERSION}.")
    model = Kcorrect(responses=[f"sdss_{band}0" for band in BANDS], redshift_range=[0.0, 1.0])
    coefficients = model.fit_coeffs(redshift=z, maggies=flux * 1e-9, ivar=(error * 1e-9) ** -2)
    return {
        shift: model.kcorrect(redshift=z, coeffs=coefficients, band_shift=shift)
        for shift in BAND_SHIFTS
    }


def reference_columns() -> tuple[Column, ...]:
    """The schema of the table of kcorrect's K-corrections, one row per galaxy."""

    return (
        *(
            replace(column, type=pa.float32()) if column.type == pa.float64() else column
            for column in galaxy_columns(DirichletHistory())
        ),
        *(Column(f"flux_{b}", pa.float32(), "nmgy", f"Measured flux in {b}") for b in BANDS),
        *(Column(f"error_{b}", pa.float32(), "nmgy", f"Error of flux_{b}") for b in BANDS),
        *(
            Column(
                f"K_{shift}_{band}", pa.float32(), "mag", f"K-correction to {band} from z = {shift}"
            )
            for shift in BAND_SHIFTS
            for band in BANDS
        ),
    )


def reference_table(ssp_grid: str | Path, count: int, seed: int) -> pd.DataFrame:
    """Draws galaxies, measures them and has kcorrect correct them, see `reference_columns`."""

    parameters = galaxies(ssp_grid, count, seed)
    flux, error = measured_fluxes(exact(parameters, ssp_grid)[0], seed)
    table = {name: values for name, values in parameters.items() if name != "history"}
    vectors = {"flux_": flux, "error_": error}
    vectors |= {f"K_{k}_": v for k, v in fit(flux, error, parameters["z"]).items()}
    for column, values in zip(DirichletHistory().columns, parameters["history"].T, strict=True):
        table[column.name] = values
    for name, values in vectors.items():
        table |= {f"{name}{band}": values[:, index] for index, band in enumerate(BANDS)}
    return pd.DataFrame(table)


def compare(reference: str | Path, ssp_grid: str | Path, seed: int = 0) -> pd.DataFrame:
    """K-corrections of our spectra beside those of kcorrect.

    Args:
        reference: Table of the rule `kcorrections`.
        ssp_grid: File of the rule `ssp_grid`.
        seed: Of the shuffle of redshifts, the control.

    Returns:
        Table of `CORRECTION_COLUMNS`.

    Raises:
        UserError: A file is missing or damaged.
    """

    theirs = read_table(reference, [column.name for column in reference_columns()])
    parameters = {name: theirs[name].to_numpy(copy=True) for name in theirs}
    fractions = [parameters.pop(column.name) for column in DirichletHistory().columns]
    parameters["history"] = np.stack(fractions, axis=1)
    wrong = np.random.default_rng(seed).permutation(parameters["z"])
    pieces = []
    for shift in BAND_SHIFTS:
        _, ours = exact(parameters, ssp_grid, shift)
        _, shuffled = exact(parameters, ssp_grid, shift, wrong)
        for index, band in enumerate(BANDS):
            piece = {
                "galaxy": np.arange(len(theirs)),
                "z": parameters["z"],
                "band": band,
                "band_shift": shift,
                "exact": ours[:, index],
                "kcorrect": parameters[f"K_{shift}_{band}"],
                "shuffled": shuffled[:, index],
            }
            pieces.append(pd.DataFrame(piece))
    return pd.concat(pieces, ignore_index=True)


def summary(corrections: pd.DataFrame) -> Mapping[str, float]:
    """The values of the claims about K-corrections, from `CORRECTION_COLUMNS`.

    The largest scatters of the gri bands at band_shift 0, 1.4826 median absolute deviations and
    standard deviations; the largest median; and the first with redshifts shuffled, the control.
    """

    gri = corrections[corrections["band"].isin(list("gri")) & (corrections["band_shift"] == 0)]
    difference = (gri["exact"] - gri["kcorrect"]).groupby(gri["band"])
    shuffled = (gri["shuffled"] - gri["kcorrect"]).groupby(gri["band"])
    return {
        "kcorrect_scatter": float(difference.agg(_robust_scatter).max()),
        "kcorrect_standard_deviation": float(difference.std().max()),
        "kcorrect_offset": float(difference.median().abs().max()),
        "kcorrect_shuffled_control": float(shuffled.agg(_robust_scatter).max()),
    }


def _robust_scatter(values: pd.Series) -> float:
    return 1.4826 * float((values - values.median()).abs().median())
