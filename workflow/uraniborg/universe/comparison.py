"""Our galaxies against bagpipes' own spectra and photometry of the same galaxies.

Stars and nebulae are compared at redshift 0 without dust, in spectra and bands (`compare`), and
galaxies with dust at redshifts in observed magnitudes (`compare_photometry`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.tables import Column, read_table
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.cosmology import observed_flux
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.histories import DirichletHistory
from uraniborg.universe.nebular import NebularEmission, place_lines
from uraniborg.universe.photometry import UGRIZJHK_W1, ab_magnitude, band_mean, read_filter
from uraniborg.universe.pixels import pixel_means
from uraniborg.universe.refraction import vacuum_to_air
from uraniborg.universe.ssp_grid import LYMAN_LIMIT
from uraniborg.universe.stellar_populations import StellarPopulations

__all__ = [
    "DIFFERENCE_COLUMNS",
    "EDGES",
    "EXAMPLE_COLUMNS",
    "PHOTOMETRY_BANDS",
    "PHOTOMETRY_COLUMNS",
    "PHOTOMETRY_DIFFERENCE_COLUMNS",
    "PHOTOMETRY_EDGES",
    "REFERENCE_COLUMNS",
    "WAVELENGTH",
    "compare",
    "compare_photometry",
    "draw_photometry_galaxies",
    "draw_reference_galaxies",
    "photometry_magnitudes",
    "photometry_summary",
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

PHOTOMETRY_EDGES = (0.0, *(10**x for x in (7.05, 7.55, 8.05, 8.55, 9.05, 9.45, 9.65, 9.85)))
"""Edges in yr that end before the Big Bang at redshift 0.6, in bagpipes' cosmology and in ours.

They are among the edges of bagpipes' cells of age, over which it spreads the mass that forms in a
part of them: an edge at 10 Myr would let 6% of younger stars out of their birth clouds.
"""

PHOTOMETRY_BANDS = {**UGRIZJHK_W1, **{f"W{n}": f"wise_w{n}" for n in (2, 3, 4)}}
"""Names in astro-sedpy of the filters that galaxies with dust are seen through."""

_SHARED_PARAMETERS = ("z", "stellar_mass", "log_metallicity", "log_u", "A_V")
_SHARED_PARAMETERS += ("birth_cloud_ratio", "dust_slope", "q_pah", "u_min", "gamma")

PHOTOMETRY_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("stellar_mass", pa.float64(), "", "log10 of the mass in living stars in M_sun"),
    Column("log_metallicity", pa.float64(), "", "log10 of metallicity over Z_sun = 0.02"),
    Column("log_u", pa.float64(), "", "log10 of the ionisation parameter"),
    Column("A_V", pa.float64(), "mag", "Attenuation of all light at V"),
    Column("birth_cloud_ratio", pa.float64(), "", "Further A_V of birth clouds over A_V"),
    Column("dust_slope", pa.float64(), "", "Deviation from the slope of Calzetti's curve"),
    Column("q_pah", pa.float64(), "percent", "Mass fraction of PAHs in dust"),
    Column("u_min", pa.float64(), "", "Least starlight intensity on dust, local ones"),
    Column("gamma", pa.float64(), "", "Fraction of dust in more than the least starlight"),
    *(
        Column(f"fraction_{i}", pa.float64(), "", f"Mass formed {low:g} to {high:g} yr ago")
        for i, (low, high) in enumerate(pairwise(PHOTOMETRY_EDGES))
    ),
    *(
        Column(f"magnitude_{band}", pa.float64(), "mag", f"AB magnitude in {band}")
        for band in PHOTOMETRY_BANDS
    ),
    *(
        Column(f"starlight_{band}", pa.float64(), "mag", f"In {band}, without emission by dust")
        for band in PHOTOMETRY_BANDS
    ),
)
"""bagpipes' galaxies with dust at the distances of our cosmology."""

PHOTOMETRY_DIFFERENCE_COLUMNS = (
    Column("galaxy", pa.int64(), "", "Number of the galaxy"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("A_V", pa.float64(), "mag", "Attenuation of all light at V"),
    Column("band", pa.string(), "", "Band"),
    Column("difference", pa.float64(), "mag", "Our magnitude minus that of bagpipes"),
    Column("no_dust", pa.float64(), "mag", "The same with our dust switched off"),
)
"""One row per galaxy and band."""


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


def draw_photometry_galaxies(count: int, seed: int) -> pd.DataFrame:
    """Random galaxies with nebulae and dust; the columns of `PHOTOMETRY_COLUMNS` but magnitudes.

    Star-formation histories are flat Dirichlet; everything else is uniform: redshift in 0.02 to
    0.6, log10 metallicity in -1.5 to 0.39, log10 ionisation parameter in -4 to -2 or, above solar
    metallicity, to -3 (see `NebularEmission`), A_V in 0 to 2, birth_cloud_ratio in 0 to 2,
    dust_slope in -1 to 0.4, q_pah in 0.5 to 4.5, log10 u_min in -1 to 0.9 and gamma in 0 to 0.1.
    `stellar_mass` is that of all stars ever formed.
    """

    random = np.random.default_rng(seed)
    fractions = random.dirichlet(np.ones(len(PHOTOMETRY_EDGES) - 1), size=count)
    log_metallicity = random.uniform(-1.5, 0.39, size=count)
    return pd.DataFrame(
        {
            "galaxy": range(count),
            "z": random.uniform(0.02, 0.6, size=count),
            "stellar_mass": random.uniform(8.5, 11.5, size=count),
            "log_metallicity": log_metallicity,
            "log_u": random.uniform(-4, np.where(log_metallicity > 0, -3, -2)),
            "A_V": random.uniform(0, 2, size=count),
            "birth_cloud_ratio": random.uniform(0, 2, size=count),
            "dust_slope": random.uniform(-1, 0.4, size=count),
            "q_pah": random.uniform(0.5, 4.5, size=count),
            "u_min": 10 ** random.uniform(-1, 0.9, size=count),
            "gamma": random.uniform(0, 0.1, size=count),
            **{f"fraction_{i}": column for i, column in enumerate(fractions.T)},
        }
    )


def photometry_magnitudes(mean: np.ndarray, z: np.ndarray) -> np.ndarray:
    """AB magnitudes at our cosmology's distances.

    Args:
        mean: Means of L(lambda / (1 + z)) in `PHOTOMETRY_BANDS` in L_sun/Angstrom, shape (N, B).
        z: Redshifts, shape (N,).
    """

    flux = observed_flux(torch.tensor(mean), torch.tensor(z)).numpy()
    filters = [read_filter(name) for name in PHOTOMETRY_BANDS.values()]
    return ab_magnitude(1e-17 * flux, filters)


def compare_photometry(
    reference: str | Path, grid: str | Path, dust_emission: str | Path | None = None
) -> pd.DataFrame:
    """Compares observed magnitudes of galaxies with dust, nebulae and redshift with bagpipes'.

    Both take the lines of nebulae as CLOUDY computed them, without the corrections of
    `uraniborg.universe.gas`.

    Args:
        reference: Table of the rule `bagpipes_photometry`.
        grid: File of the rule `ssp_grid`.
        dust_emission: File of the rule `dust_emission`; None to leave it out on both sides.

    Returns:
        Table of `PHOTOMETRY_DIFFERENCE_COLUMNS`.

    Raises:
        UserError: A file is missing or damaged.
    """

    theirs = read_table(reference, [column.name for column in PHOTOMETRY_COLUMNS])
    galaxies = {name: theirs[name].to_numpy(copy=True) for name in _SHARED_PARAMETERS}
    galaxies["history"] = theirs.filter(regex="^fraction_").to_numpy(copy=True)
    filters = [read_filter(name) for name in PHOTOMETRY_BANDS.values()]
    rest = band_grid(filters, z_max=galaxies["z"].max())
    if dust_emission is not None:
        # All that dust absorbs, from the Lyman limit on.
        more = int(np.ceil((rest.start - np.log10(LYMAN_LIMIT)) / rest.step))
        rest = replace(rest, start=rest.start - more * rest.step, size=rest.size + more)
    model = GalaxyModel(
        grid,
        rest,
        DirichletHistory(PHOTOMETRY_EDGES),
        velocities=False,
        dust_emission=dust_emission,
        corrected_lines=False,
    )
    fluxes = BandFluxes(filters, rest)

    def magnitudes(galaxies: Mapping[str, np.ndarray]) -> np.ndarray:
        flux = fluxes(model.flux(galaxies), torch.as_tensor(galaxies["z"]))
        return 22.5 - 2.5 * np.log10(flux.double().numpy())

    light = "starlight" if dust_emission is None else "magnitude"
    truth = theirs[[f"{light}_{band}" for band in PHOTOMETRY_BANDS]].to_numpy()
    difference = magnitudes(galaxies) - truth
    no_dust = magnitudes({**galaxies, "A_V": np.zeros(len(theirs))}) - truth
    return pd.concat(
        [
            theirs[["galaxy", "z", "A_V"]].assign(
                band=band, difference=difference[:, index], no_dust=no_dust[:, index]
            )
            for index, band in enumerate(PHOTOMETRY_BANDS)
        ],
        ignore_index=True,
    )


def photometry_summary(differences: pd.DataFrame) -> Mapping[str, float]:
    """The values of the claims about magnitudes, from `PHOTOMETRY_DIFFERENCE_COLUMNS`.

    The largest of the ugriz bands' medians of the absolute difference, and the same with dust
    switched off, the control.
    """

    optical = differences[differences["band"].isin(list("ugriz"))]
    medians = optical[["difference", "no_dust"]].abs().groupby(optical["band"]).median()
    return {
        "bagpipes_dusty_photometry": float(medians["difference"].max()),
        "bagpipes_no_dust_control": float(medians["no_dust"].max()),
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
    lines, continuum = nebular.lines_and_continuum(absorbed)
    # bagpipes puts a line into one pixel; a few km/s do nearly the same.
    gas = place_lines(continuum, grid, nebular.line_wavelength, lines, torch.full_like(log_u, 10.0))
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
