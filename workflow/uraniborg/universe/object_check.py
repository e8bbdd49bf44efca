"""Simulated stars and quasars against real templates and composites."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

from uraniborg.grids import WavelengthGrid
from uraniborg.tables import Column
from uraniborg.universe.quasar_lines import Composite, read_composite
from uraniborg.universe.quasar_population import QuasarPopulation
from uraniborg.universe.quasars import QuasarModel
from uraniborg.universe.star_basis import StarBasis, dwarf_gravity, predictors
from uraniborg.universe.star_fit import GRID, Templates, read_mastar, read_white_dwarfs
from uraniborg.universe.stars import StarModel, extinction_curve

__all__ = [
    "EXAMPLE_COLUMNS",
    "STAR_COLUMNS",
    "Curve",
    "broad_absorption",
    "compare_quasars",
    "compare_stars",
    "compare_white_dwarfs",
    "composites",
    "examples",
    "fit_templates",
    "residuals",
    "simulated_composite",
    "white_dwarf",
]

STAR_COLUMNS = (
    Column("name", pa.string(), "", "Template"),
    Column("temperature", pa.float64(), "K", "Temperature of the best model"),
    Column("log_g", pa.float64(), "", "log10 of its gravity in cm/s2"),
    Column("metallicity", pa.float64(), "", "Its [Fe/H]"),
    Column("A_V", pa.float64(), "mag", "Its extinction, negative where the template is bluer"),
    Column("rms", pa.float64(), "", "Standard deviation of log flux, template less model"),
)
"""Real templates of stars and the models nearest to them."""

EXAMPLE_COLUMNS = (
    Column("panel", pa.string(), "", "Part of the figure: stars, quasars or absorption"),
    Column("name", pa.string(), "", "Object"),
    Column("source", pa.string(), "", "real or simulated"),
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength in the rest frame"),
    Column("flux", pa.float64(), "", "Flux density per wavelength, median one"),
)
"""Spectra to draw."""


# Means of MaStar to draw, by number, from hot to cool.
_DRAWN = ("96", "71", "87", "80", "36", "49", "58", "57", "14", "12", "23", "22", "02")


class Curve(NamedTuple):
    """A spectrum to draw."""

    panel: str
    name: str
    source: str
    wavelength: np.ndarray
    flux: np.ndarray


def examples(curves: Iterable[Curve]) -> pd.DataFrame:
    """The rows of `EXAMPLE_COLUMNS`, fluxes over their medians."""

    frames = [
        pd.DataFrame({
            "panel": c.panel, "name": c.name, "source": c.source, "wavelength": c.wavelength,
            "flux": c.flux / np.median(c.flux),
        })
        for c in curves
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def fit_templates(basis: StarBasis, templates: Templates) -> tuple[pd.DataFrame, np.ndarray]:
    """The models nearest to templates between 3800 and 9200 A, at the resolution of SDSS.

    Free are temperature, gravity, metallicity and extinction.

    Args:
        basis: The basis of stars.
        templates: Real spectra; their parameters are not used.

    Returns:
        `STAR_COLUMNS`, and the models' log flux on `star_fit.GRID`, shape (S, GRID.size).
    """

    wavelength = GRID.wavelength
    spectra = gaussian_filter1d(basis.coefficients @ basis.basis, 1.0, axis=1)
    used = np.flatnonzero((wavelength > 3800) & (wavelength < 9200))
    dust = -0.4 * np.log(10) * extinction_curve(wavelength)
    rows, models = [], []
    for name, log_flux, weight in zip(
        templates.names, templates.log_flux, templates.weight, strict=True
    ):
        pixels = used[weight[used] > 0]

        def model(theta: np.ndarray, at: np.ndarray | slice) -> np.ndarray:
            state = predictors(10 ** theta[:1], theta[1:2], theta[2:3])
            return (state @ spectra[:, at])[0] + theta[3] * dust[at]

        def residual(
            theta: np.ndarray, log_flux: np.ndarray = log_flux, pixels: np.ndarray = pixels
        ) -> np.ndarray:
            difference = log_flux[pixels[::3]] - model(theta, pixels[::3])
            return difference - difference.mean()

        best = None
        for log_t in np.log10([2900, 3400, 4200, 5200, 6500, 9000, 14000, 25000]):
            start = [log_t, float(dwarf_gravity(10**log_t)) - 0.2, -0.3, 0.0]
            bounds = ([3.362, 0.0, -2.5, -1.0], [4.58, 5.2, 0.5, 2.0])
            result = least_squares(residual, start, bounds=bounds, x_scale=[0.02, 0.3, 0.3, 0.1])
            best = result if best is None or result.cost < best.cost else best
        whole = model(best.x, slice(None))
        rms = (log_flux - whole)[pixels].std()
        rows.append((name, 10 ** best.x[0], *best.x[1:], rms))
        models.append(whole)
    return pd.DataFrame(rows, columns=[c.name for c in STAR_COLUMNS]), np.array(models)


def compare_stars(
    basis: StarBasis, mastar: Sequence[str | Path]
) -> tuple[pd.DataFrame, list[Curve]]:
    """The models nearest to means of MaStar: `STAR_COLUMNS`, and some of them to draw.

    Args:
        basis: The basis of stars.
        mastar: Files of the means.
    """

    templates = read_mastar(mastar, everything=True)
    table, models = fit_templates(basis, templates)
    curves = []
    inside = (GRID.wavelength > 3800) & (GRID.wavelength < 9200)
    for number in _DRAWN:
        row = templates.names.index(f"MaStar {number}")
        name = f"{table.temperature[row]:,.0f} K, log g = {table.log_g[row]:.1f}"
        for source, values in (("real", templates.log_flux[row]), ("simulated", models[row])):
            flux = np.exp(values[inside])
            curves.append(Curve("stars", name, source, GRID.wavelength[inside], flux))
    return table, curves


def compare_white_dwarfs(
    star_basis: str | Path, sdss: str | Path
) -> tuple[list[float], list[Curve]]:
    """The models nearest to white dwarfs: rms of their log flux, and both to draw.

    Args:
        star_basis: The file of the rule `star_basis`.
        sdss: Templates of SDSS.
    """

    model, differences, curves = StarModel(star_basis, GRID), [], []
    for template in read_white_dwarfs(sdss).values():
        temperature, rms, flux = white_dwarf(model, template)
        name = f"DA {temperature:,.0f} K"
        differences.append(rms)
        curves.append(Curve("stars", name, "real", *template))
        curves.append(Curve("stars", name, "simulated", template[0], flux))
    return differences, curves


def white_dwarf(
    model: StarModel, template: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float, np.ndarray]:
    """The nearest white dwarf: its temperature, the rms of log flux, and flux at the template."""

    wavelength, real = template
    temperature = np.arange(6000.0, 40000.0, 500.0)
    parameters = {
        "temperature": temperature, "log_g": np.full_like(temperature, 8.0),
        "metallicity": np.zeros_like(temperature), "A_V": np.zeros_like(temperature),
        "r_magnitude": np.full_like(temperature, 16.0),
    }  # fmt: skip
    flux = np.log(model.flux(parameters).numpy())
    at = [np.interp(wavelength, model.grid.wavelength, row) for row in flux]
    rms = [(np.log(real) - row).std() for row in at]
    best = int(np.argmin(rms))
    return temperature[best], rms[best], np.exp(at[best])


def simulated_composite(
    path: str, grid: WavelengthGrid, quasars: int, seed: int, **settings: float
) -> Composite:
    """A geometric mean of simulated quasars without broad absorption, 3800 to 9200 A observed.

    Spectra are joined as by Vanden Berk et al. (2001): in order of redshift, each scaled to the
    mean of those before. Neither noise nor the intergalactic medium is simulated.

    Args:
        path: The file of the rule `quasar_lines`.
        grid: Rest-frame grid.
        quasars: How many.
        seed: Seed of the population.
        settings: Of `QuasarPopulation`.
    """

    model = QuasarModel(path, grid)
    parameters = QuasarPopulation(**settings).sample(0, quasars, seed)
    kept = parameters["bal"] == 0
    order = np.argsort(parameters["z"][kept])
    parameters = {name: values[kept][order] for name, values in parameters.items()}
    total, count = np.zeros(grid.size), np.zeros(grid.size)
    for start in range(0, len(order), 256):
        part = {name: values[start : start + 256] for name, values in parameters.items()}
        spectra = np.log(model.luminosity(part).numpy())
        for z, row in zip(part["z"], spectra, strict=True):
            seen = (grid.wavelength * (1 + z) > 3800) & (grid.wavelength * (1 + z) < 9200)
            common = seen & (count > 0)
            shift = (total[common] / count[common] - row[common]).mean() if common.any() else 0
            total[seen] += row[seen] + shift
            count[seen] += 1
    good = count > quasars / 100
    return Composite(grid.wavelength[good], np.exp(total[good] / count[good]))


def compare_quasars(
    quasar_lines: str, composite: str | Path, quasars: int
) -> tuple[float, list[Curve]]:
    """A simulated composite of quasars against that of SDSS, and broad absorption.

    Args:
        quasar_lines: The file of the rule `quasar_lines`.
        composite: That of SDSS.
        quasars: How many to simulate.

    Returns:
        The median difference from 1300 to 6500 Angstrom, see `residuals`, and spectra to draw.
    """

    grid = WavelengthGrid("log10", 3.0, 2e-4, 4400)
    simulated = simulated_composite(quasar_lines, grid, quasars, 1)
    real = read_composite(composite)
    absorbed = broad_absorption(quasar_lines, WavelengthGrid("log10", 3.01, 1e-4, 5200))
    median = residuals(real, simulated, 1300, 6500)["median"]
    return median, [*composites(real, simulated), *absorbed]


def composites(real: Composite, simulated: Composite) -> list[Curve]:
    """Both composites where they overlap, redward of 1150 A."""

    curves = []
    for name, source, (wavelength, flux) in (
        ("SDSS composite", "real", real), ("simulated", "simulated", simulated),
    ):  # fmt: skip
        inside = (wavelength > 1150) & (wavelength < simulated.wavelength[-1])
        curves.append(Curve("quasars", name, source, wavelength[inside], flux[inside]))
    return curves


def residuals(real: Composite, simulated: Composite, low: float, high: float) -> dict[str, float]:
    """Median and 90% quantile of |real / simulated - 1| after scaling, between two wavelengths."""

    inside = (real.wavelength > max(low, simulated.wavelength[0])) & (
        real.wavelength < min(high, simulated.wavelength[-1])
    )
    inside &= real.flux > 0
    ratio = real.flux[inside] / np.interp(real.wavelength[inside], *simulated)
    ratio = np.abs(ratio / np.median(ratio) - 1)
    return {"median": float(np.median(ratio)), "q90": float(np.quantile(ratio, 0.9))}


def broad_absorption(path: str, grid: WavelengthGrid, z: float = 2.3) -> list[Curve]:
    """Quasars with the three kinds of broad absorption, at rest."""

    kinds = {1: "high ionisation", 2: "and low ionisation", 3: "and iron"}
    parameters: Mapping[str, np.ndarray] = {
        "z": np.full(3, z), "log_luminosity": np.full(3, 46.0), "slope": np.full(3, -1.6),
        "red_slope": np.full(3, -0.8), "hot_dust": np.full(3, 0.7), "fwhm": np.full(3, 4500.0),
        "blueshift": np.full(3, 800.0), "strength_lya": np.zeros(3), "strength_civ": np.zeros(3),
        "strength_mgii": np.zeros(3), "strength_balmer": np.zeros(3),
        "strength_iron": np.array([0.0, 0.1, 0.2]), "strength_narrow": np.zeros(3),
        "reddening": np.array([0.01, 0.08, 0.12]), "bal": np.array([1, 2, 3]),
        "bal_v_min": np.array([7000.0, 3000.0, 3000.0]),
        "bal_v_max": np.array([17000.0, 12000.0, 14000.0]), "bal_depth": np.array([0.8, 0.9, 0.95]),
        "bal_shape": np.array([0.25, 0.6, 0.85]), "forest": np.array([1, 2, 3]),
    }  # fmt: skip
    flux = QuasarModel(path, grid).flux(parameters).numpy().astype(np.float64)
    # The forest as a spectrograph of a resolution near 2000 sees it.
    flux = gaussian_filter1d(flux, 9e-5 / grid.step, axis=1)
    return [
        Curve("absorption", name, "simulated", grid.wavelength, flux[kind - 1])
        for kind, name in kinds.items()
    ]
