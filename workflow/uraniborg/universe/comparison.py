"""Our stellar populations against bagpipes' own spectra of the same galaxies."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.tables import Column, read_table
from uraniborg.universe.histories import DirichletHistory
from uraniborg.universe.nebular import NebularEmission, place_lines
from uraniborg.universe.photometry import UGRIZJHK_W1, band_mean, read_filter
from uraniborg.universe.pixels import pixel_means
from uraniborg.universe.refraction import vacuum_to_air
from uraniborg.universe.stellar_populations import StellarPopulations

__all__ = [
    "DIFFERENCE_COLUMNS",
    "EDGES",
    "EXAMPLE_COLUMNS",
    "REFERENCE_COLUMNS",
    "WAVELENGTH",
    "compare",
    "draw_reference_galaxies",
    "summary",
]

EDGES = (0.0, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 6e9, 1.3e10)
"""Edges in yr of the age bins; they end before the Big Bang of bagpipes' cosmology and of ours."""

WAVELENGTH = np.arange(3501.25, 9000, 2.5)
"""Centres of the pixels of the reference spectra, Angstrom in air."""

_DENSITY = "solLum / Angstrom"

REFERENCE_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("log_metallicity", pa.float64(), "", "log10 of metallicity over Z_sun = 0.02"),
    Column("log_u", pa.float64(), "", "log10 of the ionisation parameter, NaN for stars alone"),
    *(
        Column(f"fraction_{i}", pa.float64(), "", f"Mass formed {low:g} to {high:g} yr ago")
        for i, (low, high) in enumerate(pairwise(EDGES))
    ),
    Column("stellar_mass", pa.float64(), "", "log10 of the mass in living stars in M_sun"),
    *(
        Column(band, pa.float64(), _DENSITY, f"Photon-weighted mean luminosity density in {band}")
        for band in UGRIZJHK_W1
    ),
    Column("spectrum", pa.list_(pa.float32()), _DENSITY, "Mean luminosity density per pixel"),
)
"""bagpipes' galaxies, per M_sun formed; the pixels are those of `WAVELENGTH`."""

DIFFERENCE_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("nebular", pa.bool_(), "", "Whether the spectrum includes nebular emission"),
    Column("log_metallicity", pa.float64(), "", "log10 of metallicity over Z_sun = 0.02"),
    Column("spectrum", pa.float64(), "", "Median |ours / bagpipes - 1| over 3500-9000 A"),
    Column("shuffled", pa.float64(), "", "The same with another galaxy's metallicity"),
    Column("stellar_mass", pa.float64(), "", "Ours / bagpipes - 1"),
    *(Column(band, pa.float64(), "", f"Ours / bagpipes - 1 in {band}") for band in UGRIZJHK_W1),
)
"""One row per galaxy."""

EXAMPLE_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("wavelength", pa.float64(), "Angstrom", "Wavelength in air"),
    Column("ours", pa.float64(), _DENSITY, "Our luminosity density"),
    Column("bagpipes", pa.float64(), _DENSITY, "That of bagpipes"),
)
"""One row per galaxy and pixel."""


def draw_reference_galaxies(count: int, seed: int) -> pd.DataFrame:
    """Random galaxies, every second one with nebular emission.

    Star-formation histories are flat Dirichlet, log10 metallicity uniform in -1.5 to 0.4, log10
    ionisation parameter uniform in -4 to -2.
    """

    random = np.random.default_rng(seed)
    fractions = random.dirichlet(np.ones(len(EDGES) - 1), size=count)
    log_u = random.uniform(-4, -2, size=count)
    return pd.DataFrame(
        {
            "galaxy": range(count),
            "log_metallicity": random.uniform(-1.5, 0.4, size=count),
            "log_u": [value if i % 2 else np.nan for i, value in enumerate(log_u)],
            **{f"fraction_{i}": column for i, column in enumerate(fractions.T)},
        }
    )


def compare(
    reference: str | Path, grid: str | Path, seed: int = 0, examples: Sequence[int] = (0, 1, 2, 3)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compares with the shipped reference.

    Args:
        reference: Table of the rule `bagpipes_reference`.
        grid: File of the rule `ssp_grid`.
        seed: Seed of the shuffle of metallicities, the control.
        examples: Galaxies whose spectra are returned.

    Returns:
        Tables of `DIFFERENCE_COLUMNS` and `EXAMPLE_COLUMNS`.

    Raises:
        UserError: A file is missing or damaged.
    """

    theirs = read_table(reference, [column.name for column in REFERENCE_COLUMNS])
    truth = np.stack(theirs["spectrum"])
    spectra, bands, mass = _ours(theirs, grid)
    shuffled = theirs.assign(
        log_metallicity=np.random.default_rng(seed).permutation(theirs["log_metallicity"])
    )
    table = pd.DataFrame(
        {
            "galaxy": theirs["galaxy"],
            "nebular": np.isfinite(theirs["log_u"]),
            "log_metallicity": theirs["log_metallicity"],
            "spectrum": np.median(np.abs(spectra / truth - 1), axis=1),
            "shuffled": np.median(np.abs(_ours(shuffled, grid)[0] / truth - 1), axis=1),
            "stellar_mass": mass / 10 ** theirs["stellar_mass"] - 1,
            **{band: bands[:, index] / theirs[band] - 1 for index, band in enumerate(UGRIZJHK_W1)},
        }
    )
    pieces = [
        pd.DataFrame(
            {"galaxy": i, "wavelength": WAVELENGTH, "ours": spectra[i], "bagpipes": truth[i]}
        )
        for i in examples
    ]
    return table, pd.concat(pieces, ignore_index=True)


def summary(differences: pd.DataFrame) -> Mapping[str, float]:
    """The values of the claims about stellar populations, by name, from `DIFFERENCE_COLUMNS`."""

    return {
        "bagpipes_spectrum": float(differences["spectrum"].median()),
        "bagpipes_photometry": float(differences[list(UGRIZJHK_W1)].abs().median().max()),
        "bagpipes_metallicity_control": float(differences["shuffled"].median()),
    }


def _ours(galaxies: pd.DataFrame, path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra in the reference's pixels, means in bands and remaining mass, per M_sun formed."""

    filters = [read_filter(name) for name in UGRIZJHK_W1.values()]
    step = 3e-5
    start, stop = np.log10(2900), np.log10(48000)
    grid = WavelengthGrid("log10", start, step, int((stop - start) / step))
    populations = StellarPopulations.load(path).on(grid)
    nebular = NebularEmission.load(path).on(grid)

    count = len(EDGES) - 1
    fractions = torch.as_tensor(
        galaxies[[f"fraction_{i}" for i in range(count)]].to_numpy(copy=True)
    )
    log_metallicity = torch.as_tensor(galaxies["log_metallicity"].to_numpy(copy=True))
    redshift = torch.zeros(len(galaxies), dtype=torch.float64)
    weights = DirichletHistory(EDGES).weights(fractions, redshift, populations.age_edges)
    stars = populations.luminosity(weights, log_metallicity)

    log_u = torch.as_tensor(galaxies["log_u"].to_numpy(copy=True))
    ionised = log_u.isfinite().double()
    absorbed = nebular.absorbed(weights, log_metallicity, log_u.nan_to_num(-3))
    absorbed = absorbed * ionised[:, None, None, None]
    # bagpipes puts a line into one pixel; a few km/s do nearly the same.
    gas = place_lines(
        nebular.continuum(absorbed),
        grid,
        nebular.line_wavelength,
        nebular.lines(absorbed),
        torch.full_like(log_u, 10.0),
    )
    density = (stars + gas).numpy()
    # bagpipes labels wavelengths in air.
    wavelength = vacuum_to_air(grid.wavelength)
    step = WAVELENGTH[1] - WAVELENGTH[0]
    edges = np.append(WAVELENGTH - step / 2, WAVELENGTH[-1] + step / 2)
    return (
        pixel_means(wavelength, density, edges),
        band_mean(wavelength, density, filters),
        populations.remaining_mass(weights, log_metallicity).numpy(),
    )
