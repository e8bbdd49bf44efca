"""Two planes that every galaxy spectrum can be put on, and where real galaxies lie on them.

The BPT plane (Baldwin, Phillips & Terlevich 1981) of the line ratios [N II]/H-alpha and [O III]/
H-beta tells what ionises the gas; the plane of the 4000 A break and H-delta absorption tells how
recently and how suddenly stars formed (Kauffmann et al. 2003a).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from astropy.table import Table

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.tables import Column
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit
from uraniborg.universe.loci import demarcation, star_forming_sequence
from uraniborg.universe.nebular import place_lines
from uraniborg.universe.spectral_indices import break_4000, emission_line, h_delta

__all__ = [
    "PLANE_COLUMNS",
    "TRACK_COLUMNS",
    "bpt_plane",
    "distance_to_sequence",
    "distance_to_tracks",
    "index_plane",
    "line_set",
    "planes_of_survey",
    "read_line_fluxes",
    "real_indices",
    "simulated_planes",
    "summary",
    "track_histories",
]

PLANE_COLUMNS = (
    Column("plane", pa.string(), "", "bpt or indices"),
    Column("sample", pa.string(), "", "Where the galaxies are from"),
    Column("kind", pa.string(), "", "star-forming, quiescent, agn, or empty if unknown"),
    Column("stellar_mass", pa.float64(), "", "log10 of stellar mass in M_sun, or NaN"),
    Column("x", pa.float64(), "", "log10 [N II] 6583 / H-alpha, or the 4000 A break"),
    Column("y", pa.float64(), "", "log10 [O III] 5007 / H-beta, or H-delta_A in Angstrom"),
    Column("x_error", pa.float64(), "", "Standard error of x, 0 if there is no noise"),
    Column("y_error", pa.float64(), "", "Standard error of y, 0 if there is no noise"),
    Column("distance", pa.float64(), "", "Distance from the published sequence or tracks"),
)
"""One row per galaxy and plane."""

TRACK_COLUMNS = (
    Column("track", pa.string(), "", "burst or continuous"),
    Column("log_metallicity", pa.float64(), "", "log10 of metallicity over Z_sun = 0.02"),
    Column(
        "parameter",
        pa.float64(),
        "",
        "log10 of the age of a burst in yr; e-folds by which star formation fell",
    ),
    Column("d4000", pa.float64(), "", "4000 A break"),
    Column("h_delta", pa.float64(), "Angstrom", "H-delta_A"),
)
"""Tracks of stellar populations by bagpipes on the plane of indices."""

_H_ALPHA, _H_BETA = "H 1 6562.80A", "H 1 4861.32A"
_NITROGEN, _OXYGEN = "N 2 6583.45A", "O 3 5006.84A"
_H_ALPHA_WAVELENGTH, _H_DELTA_WAVELENGTH, _H_DELTA_SHARE = 6564.6, 4102.9, 0.09
# Scales of the plane of indices in which distances are measured.
_BREAK_SCALE, _H_DELTA_SCALE = 0.1, 1.0


def distance_to_sequence(log_nitrogen: np.ndarray, log_oxygen: np.ndarray) -> np.ndarray:
    """Distance in dex from `star_forming_sequence` at redshift 0, perpendicular to it."""

    x = np.linspace(-2.5, -0.24, 2000)
    return _distance(log_nitrogen, log_oxygen, x, star_forming_sequence(x))


def distance_to_tracks(d4000: np.ndarray, h_delta: np.ndarray, tracks: pd.DataFrame) -> np.ndarray:
    """Distance from the nearest track of continuous star formation, whose band most real galaxies
    follow (Kauffmann et al. 2003a), in units of 0.1 (break) and 1 Angstrom.

    Args:
        d4000: Shape (N,).
        h_delta: In Angstrom, shape (N,).
        tracks: The columns of `TRACK_COLUMNS`; points follow each other along a track.
    """

    nearest = np.full(len(d4000), np.inf)
    continuous = tracks[tracks["track"] == "continuous"]
    for _, track in continuous.groupby("log_metallicity"):
        track = track.sort_values("parameter")
        # Between the points of a track.
        position = np.linspace(0, len(track) - 1, 20 * len(track))
        index = np.arange(len(track))
        x, y = (np.interp(position, index, track[name]) for name in ("d4000", "h_delta"))
        here = _distance(
            d4000 / _BREAK_SCALE, h_delta / _H_DELTA_SCALE, x / _BREAK_SCALE, y / _H_DELTA_SCALE
        )
        nearest = np.fmin(nearest, here)
    return nearest


def _distance(x: np.ndarray, y: np.ndarray, curve_x: np.ndarray, curve_y: np.ndarray) -> np.ndarray:
    points, curve = np.stack([x, y], 1), np.stack([curve_x, curve_y], 1)
    return np.sqrt(((points[:, None] - curve) ** 2).sum(2)).min(1)


def bpt_plane(
    lines: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray] | None = None,
    *,
    sample: str,
    kind: Sequence[str] | str = "",
    stellar_mass: np.ndarray | float = np.nan,
) -> pd.DataFrame:
    """The BPT plane as a table of `PLANE_COLUMNS`; galaxies that lack a line are left out.

    Args:
        lines: Fluxes or luminosities of `H-alpha`, `H-beta`, `[N II]` (6583) and `[O III]` (5007).
        errors: Their standard errors.
        sample: Name of the sample.
        kind: Kinds of the galaxies.
        stellar_mass: log10 of stellar mass in M_sun.
    """

    present = np.all([values > 0 for values in lines.values()], axis=0)

    def ratio(upper: str, lower: str) -> tuple[np.ndarray, np.ndarray | float]:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log10(lines[upper] / lines[lower])
            if errors is None:
                return value, 0.0
            relative = [errors[name] / lines[name] for name in (upper, lower)]
        return value, np.hypot(*relative) / np.log(10)

    x, x_error = ratio("[N II]", "H-alpha")
    y, y_error = ratio("[O III]", "H-beta")
    table = _table("bpt", sample, kind, stellar_mass, x, y, x_error, y_error)
    table = table[present].reset_index(drop=True)
    table["distance"] = distance_to_sequence(table["x"].to_numpy(), table["y"].to_numpy())
    return table


def index_plane(
    d4000: np.ndarray,
    h_delta: np.ndarray,
    tracks: pd.DataFrame,
    errors: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    sample: str,
    kind: Sequence[str] | str = "",
    stellar_mass: np.ndarray | float = np.nan,
) -> pd.DataFrame:
    """The plane of indices as a table of `PLANE_COLUMNS`; what is NaN is left out.

    Args:
        d4000: 4000 A break, shape (N,).
        h_delta: H-delta_A in Angstrom without the emission line, shape (N,).
        tracks: The columns of `TRACK_COLUMNS`.
        errors: Standard errors of both.
        sample: Name of the sample.
        kind: Kinds of the galaxies.
        stellar_mass: log10 of stellar mass in M_sun.
    """

    x_error, y_error = errors or (0.0, 0.0)
    table = _table("indices", sample, kind, stellar_mass, d4000, h_delta, x_error, y_error)
    table = table[table["x"].notna() & table["y"].notna()].reset_index(drop=True)
    position = table["x"].to_numpy(), table["y"].to_numpy()
    table["distance"] = distance_to_tracks(*position, tracks)
    return table


def _table(
    plane: str,
    sample: str,
    kind: Sequence[str] | str,
    stellar_mass: np.ndarray | float,
    x: np.ndarray,
    y: np.ndarray,
    x_error: np.ndarray | float,
    y_error: np.ndarray | float,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plane": plane,
            "sample": sample,
            "kind": kind,
            "stellar_mass": stellar_mass,
            "x": x,
            "y": y,
            "x_error": x_error,
            "y_error": y_error,
        },
        index=range(len(x)),
    )


def line_set(names: Sequence[str], luminosities: np.ndarray) -> dict[str, np.ndarray]:
    """The four lines of the BPT plane among all lines.

    Args:
        names: The L lines as `NebularEmission.names` has them.
        luminosities: Shape (N, L).
    """

    labels = {"H-alpha": _H_ALPHA, "H-beta": _H_BETA, "[N II]": _NITROGEN, "[O III]": _OXYGEN}
    return {label: luminosities[:, names.index(name)] for label, name in labels.items()}


def simulated_planes(
    model: GalaxyModel, galaxies: Mapping[str, np.ndarray], tracks: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Both planes of simulated galaxies without noise, and the controls (see `summary`).

    A galaxy is of kind `agn` where its AGN gives at least three quarters of [O III] 5007. The plane
    of indices is of spectra whose emission lines are taken off, as Kauffmann et al. (2003a) do.

    Args:
        model: On a grid that covers 3840 to 6600 Angstrom.
        galaxies: Their parameters.
        tracks: The columns of `TRACK_COLUMNS`.
        seed: Of the shuffle.
    """

    lines = model.line_luminosities(galaxies)
    names, oxygen = model.nebular.names, model.nebular.index(_OXYGEN)
    kind = np.where(galaxies["quiescent"], "quiescent", "star-forming")
    no_agn = {**galaxies, "agn_luminosity": np.full(len(kind), -np.inf)}
    stars_alone = model.line_luminosities(no_agn)
    kind = np.where(lines[:, oxygen] > 4 * stars_alone[:, oxygen], "agn", kind)
    about = {"kind": kind, "stellar_mass": galaxies["stellar_mass"]}
    random = np.random.default_rng(seed)
    metals = random.permutation(galaxies["gas_metallicity"])
    shuffled_metals = model.line_luminosities({**galaxies, "gas_metallicity": metals})
    metallicity, log_u = (
        torch.as_tensor(galaxies[name]).float() for name in ("log_metallicity", "log_u")
    )
    bare = model.nebular.lines(model.nebular.absorbed(model.weights(galaxies), metallicity, log_u))
    tables = [
        bpt_plane(line_set(names, lines.numpy()), sample="simulated", **about),
        bpt_plane(line_set(names, stars_alone.numpy()), sample="agn off", **about),
        bpt_plane(line_set(names, bare.numpy()), sample="uncorrected", **about),
        bpt_plane(line_set(names, shuffled_metals.numpy()), sample="shuffled", **about),
    ]

    wavelength = model.grid.wavelength
    dispersion = torch.as_tensor(galaxies["gas_dispersion"]).float()
    gas = place_lines(
        torch.zeros(len(kind), len(wavelength)),
        model.grid,
        model.nebular.line_wavelength,
        lines,
        dispersion,
    )
    spectra = (model.luminosity(galaxies) - gas).double().numpy()
    ivar = np.ones_like(spectra)
    d4000, delta = (measure(wavelength, spectra, ivar).value for measure in (break_4000, h_delta))
    shuffled = random.permutation(delta)
    tables += [
        index_plane(d4000, delta, tracks, sample="simulated", **about),
        index_plane(d4000, shuffled, tracks, sample="shuffled", **about),
    ]
    return pd.concat(tables, ignore_index=True)


def planes_of_survey(
    ssp_grid: str | Path, hyperparameters: str | Path, tracks: pd.DataFrame, count: int, seed: int
) -> pd.DataFrame:
    """`simulated_planes` of galaxies to the limit of SDSS's main sample and redshift 0.2.

    Args:
        ssp_grid: The file of the rule `ssp_grid`.
        hyperparameters: The file of the rule `population_fit`.
        tracks: The columns of `TRACK_COLUMNS`.
        count: How many galaxies.
        seed: Of galaxies and shuffle.
    """

    limits = {"sdss_r0": Limit(17.77)}
    population = GalaxyPopulation(
        ssp_grid, z_max=0.2, limits=limits, hyperparameter_file=hyperparameters
    )
    model = population.model(WavelengthGrid("log10", np.log10(3750), 1e-4, 2600))
    galaxies = population.sample(0, count, seed)
    with torch.inference_mode():
        return simulated_planes(model, galaxies, tracks, seed=seed)


def real_indices(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray, tracks: pd.DataFrame
) -> pd.DataFrame:
    """The plane of indices of real spectra, as a table of `PLANE_COLUMNS`.

    H-delta's emission line is taken off as 0.09 of H-alpha (case B at 10,000 K without dust;
    Osterbrock & Ferland 2006) where that is in the spectrum and in emission. Spectra whose break is
    not known to 0.1 or whose H-delta_A is not known to 1.5 Angstrom are left out.

    Args:
        wavelength: Rest-frame vacuum wavelengths in Angstrom, shape (M,).
        flux: Shape (N, M).
        ivar: Zero where masked, shape (N, M).
        tracks: The columns of `TRACK_COLUMNS`.
    """

    with np.errstate(divide="ignore", invalid="ignore"):
        d4000, delta = break_4000(wavelength, flux, ivar), h_delta(wavelength, flux, ivar)
        emission = emission_line(wavelength, flux, ivar, _H_ALPHA_WAVELENGTH)[0].value
    about = np.abs(wavelength - _H_DELTA_WAVELENGTH) < 60
    level = np.median(flux[:, about], axis=1)
    filled = np.nan_to_num(np.maximum(_H_DELTA_SHARE * emission, 0) / level)
    known = (d4000.error < 0.1) & (delta.error < 1.5)
    return index_plane(
        d4000.value[known],
        (delta.value + filled)[known],
        tracks,
        (d4000.error[known], delta.error[known]),
        sample="real",
    )


def read_line_fluxes(path: str | Path) -> pd.DataFrame:
    """The BPT plane of the star-forming galaxies of the survey RESOLVE (a FITS table with columns
    such as `nii_6584_flux` and `logmstar`), as a table of `PLANE_COLUMNS`.

    Raises:
        UserError: The file is missing or lacks a column.
    """

    columns = {
        "H-alpha": "h_alpha_flux",
        "H-beta": "h_beta_flux",
        "[N II]": "nii_6584_flux",
        "[O III]": "oiii_5007_flux",
    }
    try:
        rows = Table.read(path, format="fits", hdu=1)
        lines, errors = (
            {name: np.array(rows[column + end], float) for name, column in columns.items()}
            for end in ("", "_err")
        )
        mass = np.array(rows["logmstar"], float)
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: is no table of line fluxes ({error}); restore it.") from error
    return bpt_plane(lines, errors, sample="real", stellar_mass=mass)


def summary(table: pd.DataFrame) -> dict[str, float]:
    """The values of the claims about the planes, by name.

    Args:
        table: The columns of `PLANE_COLUMNS`, samples `simulated`, `real`, and the controls
            `uncorrected` (lines of the bare grid at the stars' metallicity), `agn off`, and
            `shuffled` (metallicities of the gas; break and H-delta of different galaxies).
    """

    def part(plane: str, sample: str) -> pd.DataFrame:
        return table[(table["plane"] == plane) & (table["sample"] == sample)]

    def of_kind(sample: str, kind: str) -> pd.DataFrame:
        rows = part("bpt", sample)
        return rows[rows["kind"] == kind]

    star_forming, control, shuffled = (
        of_kind(sample, "star-forming") for sample in ("simulated", "uncorrected", "shuffled")
    )
    below = star_forming["y"] < demarcation(star_forming["x"].to_numpy(), "theoretical")
    above, above_off = (
        (rows["y"] > demarcation(rows["x"].to_numpy(), "observed")).mean()
        for rows in (of_kind("simulated", "agn"), of_kind("agn off", "agn"))
    )
    real = part("bpt", "real")
    return {
        "bpt_sequence": float(star_forming["distance"].median()),
        "bpt_sequence_control": float(control["distance"].median()),
        "bpt_star_forming_below": float(below.mean()),
        "bpt_agn_above": float(above),
        "bpt_agn_above_control": float(above_off),
        "bpt_nitrogen_by_mass": _offset_by_mass(star_forming, real),
        "bpt_nitrogen_by_mass_control": _offset_by_mass(shuffled, real),
        "indices_tracks": float(part("indices", "simulated")["distance"].median()),
        "indices_tracks_control": float(part("indices", "shuffled")["distance"].median()),
        "indices_tracks_real": float(part("indices", "real")["distance"].median()),
    }


def _offset_by_mass(simulated: pd.DataFrame, real: pd.DataFrame, smallest: int = 20) -> float:
    """Largest |difference| of the medians of x in bins of mass that hold enough galaxies."""

    edges = np.arange(8.0, 11.51, 0.5)
    groups = [
        table.groupby(np.digitize(table["stellar_mass"], edges))["x"] for table in (simulated, real)
    ]
    medians = [group.median()[group.count() >= smallest] for group in groups]
    return float((medians[0] - medians[1]).abs().max())


def track_histories(log_metallicity: Sequence[float] = (-0.4, 0.0, 0.2)) -> pd.DataFrame:
    """Star-formation histories of the tracks, for `bagpipes.track_spectra`.

    Args:
        log_metallicity: Metallicities, log10 over Z_sun.
    """

    parameters = {
        "burst": np.arange(6.5, 10.15, 0.1),
        "continuous": np.array(
            [-100, -30, -8, -4, -2, -1, 0.01, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 20, 40]
        ),
    }
    rows = [
        (track, metallicity, value)
        for track, values in parameters.items()
        for metallicity in log_metallicity
        for value in values
    ]
    return pd.DataFrame(rows, columns=["track", "log_metallicity", "parameter"])
