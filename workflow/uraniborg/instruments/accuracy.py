"""How exact the simulation is where it could be exact, each beside a control that must fail.

Gradients of magnitudes against finite differences, the energy of spectra through resampling,
magnitudes of a flat AB source, and coarse spectra against fine ones in bands.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.bands import PHOTOMETERS, bands_of
from uraniborg.instruments.resampling import coverage, resample
from uraniborg.instruments.wavelengths import GRIDS, source_grid
from uraniborg.tables import Column
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.photometry import (
    AB_ZERO,
    SPEED_OF_LIGHT,
    FilterCurve,
    ab_magnitude,
    band_mean,
    read_filter,
)
from uraniborg.universe.ssp_grid import LYMAN_LIMIT

__all__ = [
    "ACCURACY_COLUMNS",
    "check_flat_source",
    "check_gradients",
    "check_resampling",
    "check_resolution",
    "draw_galaxies",
    "relative_difference",
    "summary",
]

ACCURACY_COLUMNS = (
    Column("check", pa.string(), "", "gradient, resampling, flat source or resolution"),
    Column("subject", pa.string(), "", "Parameter, spectrograph or band"),
    Column("case", pa.string(), "", "Band of a gradient, kind of a resampled spectrum"),
    Column("galaxy", pa.int64(), "", "Number of the galaxy, 0 for the flat source"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("expected", pa.float64(), "", "What it should be: finite difference, energy, magnitude"),
    Column("value", pa.float64(), "", "What it is"),
    Column("control", pa.float64(), "", "What must differ from it, NaN where there is none"),
)
"""One row per number checked; see the functions for what the controls are."""

_RANGES = {
    "z": (0.01, 0.79),
    "stellar_mass": (8.5, 11.5),
    "log_metallicity": (-1.9, 0.35),
    "A_V": (0.05, 2.0),
    "birth_cloud_ratio": (0.1, 2.0),
    "dust_slope": (-1.0, 0.4),
    "gas_metallicity": (-1.6, 0.35),
    "log_u": (-3.9, -2.1),
    "agn_luminosity": (5.0, 8.0),
    "agn_ionisation": (0.05, 0.95),
    "q_pah": (0.6, 4.4),
    "u_min": (0.8, 20.0),
    "gamma": (0.01, 0.28),
}
_Z_MAX = 0.8
# Of finite differences, in units of each parameter (`u_min` is the only one that reaches 20).
_STEP = 1e-5
# Gradients smaller than this, in magnitudes per unit, are compared with it: 1e-3 of it is what
# rounding leaves of a difference over the step.
_SMALL = 1e-5


def draw_galaxies(count: int, seed: int, history_size: int) -> dict[str, Tensor]:
    """Galaxies with nuclei and dust, uniform in every parameter over the population's range.

    Args:
        count: Number N of galaxies.
        seed: Of the draw.
        history_size: Number of bins of the star-formation history, flat Dirichlet.

    Returns:
        float64, shape (N,), `history` (N, history_size).
    """

    random = np.random.default_rng(seed)
    galaxies = {name: random.uniform(*ends, size=count) for name, ends in _RANGES.items()}
    galaxies["history"] = random.dirichlet(np.ones(history_size), size=count)
    return {name: torch.as_tensor(values) for name, values in galaxies.items()}


def check_gradients(
    ssp_grid: str | Path, dust_emission: str | Path, count: int = 100, seed: int = 1
) -> pd.DataFrame:
    """Automatic gradients of magnitudes in ugriz and W1 to W4 against central differences.

    In float64, for every parameter. Magnitudes are piecewise smooth, with kinks at the nodes of
    the grids of metallicity, ionisation parameter and dust and where a star-formation history
    begins; no galaxy is left out, because none of these happens to lie within a step of a kink.
    The control is the gradient of another galaxy.

    Args:
        ssp_grid: The file of the rule `ssp_grid`.
        dust_emission: The file of the rule `dust_emission`.
        count: Number of galaxies.
        seed: Of the draw.

    Returns:
        Table of `ACCURACY_COLUMNS`.
    """

    bands = bands_of("sdss+wise")
    filters = [read_filter(band.filter) for band in bands]
    grid = band_grid(filters, _Z_MAX, low=LYMAN_LIMIT)
    model = GalaxyModel(ssp_grid, grid, velocities=False, dust_emission=dust_emission)
    fluxes = BandFluxes(filters, grid)

    def magnitudes(galaxies: Mapping[str, Tensor]) -> Tensor:
        return -2.5 * torch.log10(fluxes(model.flux(galaxies), galaxies["z"]))

    galaxies = draw_galaxies(count, seed, model.history.size)
    inputs = {name: values.clone().requires_grad_() for name, values in galaxies.items()}
    outputs = magnitudes(inputs)
    gradients = [
        torch.autograd.grad(band.sum(), list(inputs.values()), retain_graph=True)
        for band in outputs.unbind(1)
    ]
    pieces = []
    for position, (name, values) in enumerate(galaxies.items()):
        for column in range(values[0].numel()):
            step = torch.zeros_like(values)
            step.view(count, -1)[:, column] = _STEP
            with torch.no_grad():
                up, down = (magnitudes({**galaxies, name: values + s * step}) for s in (1, -1))
            numeric = (up - down) / (2 * _STEP)
            subject = f"{name}_{column}" if values.ndim > 1 else name
            for index, band in enumerate(bands):
                exact = gradients[index][position].reshape(count, -1)[:, column].numpy()
                pieces.append(
                    _rows(
                        "gradient",
                        subject,
                        band.name,
                        galaxies["z"],
                        numeric[:, index],
                        exact,
                        np.roll(exact, 1),
                    )
                )
    return pd.concat(pieces, ignore_index=True)


def check_resampling(ssp_grid: str | Path, count: int = 4, seed: int = 1) -> pd.DataFrame:
    """Energy of spectra of galaxies after resampling over that before, at redshifts 0 to 1.5.

    Both over all pixels of a spectrograph that the spectrum covers, in float32 as everywhere. The
    spectra are those of star-forming galaxies with narrow lines and of old stars without. The
    control is linear interpolation at the centres of pixels.

    Args:
        ssp_grid: The file of the rule `ssp_grid`.
        count: Galaxies of each kind.
        seed: Of the draw.

    Returns:
        Table of `ACCURACY_COLUMNS`; `case` is `lines` or `stars`.
    """

    redshifts = torch.linspace(0, 1.5, 31, dtype=torch.float64)
    pieces = []
    for name, target in GRIDS.items():
        source = source_grid(target, float(redshifts[-1]))
        model = GalaxyModel(ssp_grid, source)
        for case, formed in (("lines", 0), ("stars", -1)):
            galaxies = draw_galaxies(count, seed, model.history.size)
            galaxies |= {
                "z": torch.full((count,), 0.1, dtype=torch.float64),
                "velocity_dispersion": torch.full((count,), 100.0),
                "gas_dispersion": torch.full((count,), 30.0),
                "agn_luminosity": torch.full((count,), -np.inf),
            }
            galaxies["history"] = torch.zeros_like(galaxies["history"])
            galaxies["history"][:, formed] = 1
            spectra = model.flux(galaxies).float()
            for z in redshifts:
                pieces.append(_resampled(name, case, spectra, source, target, z.expand(count)))
    return pd.concat(pieces, ignore_index=True)


def _resampled(
    name: str,
    case: str,
    spectra: Tensor,
    source: WavelengthGrid,
    target: WavelengthGrid,
    z: Tensor,
) -> pd.DataFrame:
    ours = resample(spectra, source, target, z).double().numpy()
    covered = np.flatnonzero(coverage(source, target, z)[0].numpy())
    inside = slice(covered[0], covered[-1] + 1)
    width = np.diff(target.edges)[inside]
    ends = target.edges[[covered[0], covered[-1] + 1]]
    stretch = 1 + float(z[0])
    expected, control = [], []
    for spectrum in spectra.double().numpy():
        integral = np.append(0, np.cumsum(spectrum * np.diff(source.edges))) * stretch
        expected.append(np.diff(np.interp(ends, source.edges * stretch, integral))[0])
        taken = np.interp(target.wavelength[inside], source.wavelength * stretch, spectrum)
        control.append(taken @ width)
    return _rows("resampling", name, case, z, expected, ours[:, inside] @ width, control)


def check_flat_source(redshifts: int = 33) -> pd.DataFrame:
    """AB magnitudes of a source of 3631 Jy at all frequencies: zero in all bands at all redshifts.

    By `BandFluxes` from spectra of redshifts 0 to 0.8. The control turns the photon-weighted mean
    of flux per wavelength into flux per frequency at the mean wavelength of the filter.

    Args:
        redshifts: Their number.

    Returns:
        Table of `ACCURACY_COLUMNS`.
    """

    z = torch.linspace(0, _Z_MAX, redshifts, dtype=torch.float64)
    pieces = []
    for bands in PHOTOMETERS.values():
        filters = [read_filter(band.filter) for band in bands]
        grid = band_grid(filters, _Z_MAX)
        edges = torch.as_tensor(grid.edges) * (1 + z[:, None])
        # The mean over each pixel of what falls with the square of the wavelength.
        density = 1e17 * AB_ZERO * SPEED_OF_LIGHT / (edges[:, :-1] * edges[:, 1:])
        flux = BandFluxes(filters, grid)(density.float(), z).double().numpy()
        magnitudes = 22.5 - 2.5 * np.log10(flux)
        for index, (band, curve) in enumerate(zip(bands, filters, strict=True)):
            control = np.full(redshifts, _by_mean_wavelength(curve))
            pieces.append(
                _rows("flat source", band.name, "", z, 0 * control, magnitudes[:, index], control)
            )
    return pd.concat(pieces, ignore_index=True).assign(galaxy=0)


def _by_mean_wavelength(curve: FilterCurve) -> float:
    wavelength, transmission = curve
    mean = np.trapezoid(transmission * wavelength, wavelength)
    mean_density = AB_ZERO * SPEED_OF_LIGHT * np.trapezoid(transmission / wavelength, wavelength)
    mean_wavelength = mean / np.trapezoid(transmission, wavelength)
    flux = mean_density / mean * mean_wavelength**2 / SPEED_OF_LIGHT
    return -2.5 * np.log10(flux / AB_ZERO)


def check_resolution(ssp_grid: str | Path, count: int = 100, seed: int = 1) -> pd.DataFrame:
    """Magnitudes in ugriz from coarse spectra against those from full resolution, 1e-4 dex.

    Args:
        ssp_grid: The file of the rule `ssp_grid`.
        count: Number of galaxies.
        seed: Of the draw.

    Returns:
        Table of `ACCURACY_COLUMNS`, without control.
    """

    bands = bands_of("sdss")
    filters = [read_filter(band.filter) for band in bands]
    coarse = band_grid(filters, _Z_MAX)
    ratio = round(coarse.step / 1e-4)
    fine = WavelengthGrid("log10", coarse.start, coarse.step / ratio, ratio * (coarse.size - 1))
    model = GalaxyModel(ssp_grid, coarse, velocities=False)
    galaxies = draw_galaxies(count, seed, model.history.size)
    dispersions = ("velocity_dispersion", "gas_dispersion")
    galaxies |= {name: torch.full((count,), 100.0) for name in dispersions}
    z = galaxies["z"]
    galaxies = {name: v if name == "z" else v.float() for name, v in galaxies.items()}
    flux = BandFluxes(filters, coarse)(model.flux(galaxies), z).double().numpy()
    value = 22.5 - 2.5 * np.log10(flux)
    spectra = 1e-17 * GalaxyModel(ssp_grid, fine).flux(galaxies).double().numpy()
    expected = np.concatenate(
        [
            ab_magnitude(band_mean(fine.wavelength * stretch, row[None], filters), filters)
            for stretch, row in zip((1 + z).tolist(), spectra, strict=True)
        ]
    )
    return pd.concat(
        [
            _rows("resolution", band.name, "", z, expected[:, i], value[:, i], np.nan)
            for i, band in enumerate(bands)
        ],
        ignore_index=True,
    )


def _rows(
    check: str,
    subject: str,
    case: str,
    z: Tensor,
    expected: Tensor | np.ndarray | Sequence[float],
    value: np.ndarray,
    control: np.ndarray | Sequence[float] | float,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "check": check,
            "subject": subject,
            "case": case,
            "galaxy": range(len(z)),
            "z": z.numpy(),
            "expected": np.asarray(expected),
            "value": value,
            "control": control,
        }
    )


def relative_difference(
    table: pd.DataFrame, column: str = "value", floor: float = _SMALL
) -> pd.Series:
    """|column - expected| over |expected|, or over the floor where that is smaller.

    Args:
        table: Of `ACCURACY_COLUMNS`.
        column: `value` or `control`.
        floor: By default that of gradients, in magnitudes per unit.
    """

    return (table[column] - table["expected"]).abs() / table["expected"].abs().clip(lower=floor)


def summary(table: pd.DataFrame) -> dict[str, float]:
    """The values of the claims by name, from rows of `ACCURACY_COLUMNS`."""

    of = dict(tuple(table.groupby("check")))
    gradient, energy, flat = of["gradient"], of["resampling"], of["flat source"]
    error = (of["resolution"]["value"] - of["resolution"]["expected"]).abs()
    control = relative_difference(energy, "control", 0)
    return {
        "gradient_difference": float(relative_difference(gradient).max()),
        "gradient_control": float(relative_difference(gradient, "control").median()),
        "resampling_energy": float(relative_difference(energy, floor=0).max()),
        "resampling_energy_control": float(control.groupby(energy["subject"]).max().min()),
        "flat_source": float(flat["value"].abs().max()),
        "flat_source_control": float(flat["control"].abs().max()),
        "coarse_magnitudes_median": float(error.median()),
        "coarse_magnitudes_99": float(error.quantile(0.99)),
    }
