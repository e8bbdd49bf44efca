"""The [O II] doublet in rest-frame spectra that a model decodes, beside the truth."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.claims import median
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.autoencoder import Reconstruction, SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.doublet import fit_doublet, has_two_peaks, line_signal_to_noise
from uraniborg.tables import Column, Spectra

__all__ = [
    "CURVE_COLUMNS",
    "DOUBLET_COLUMNS",
    "WINDOW",
    "curve_table",
    "doublet_numbers",
    "doublet_table",
    "grid_within",
    "narrow_lines",
]

WINDOW = (3685.0, 3775.0)
"""Rest-frame wavelengths in Angstrom that the doublet is looked at in."""

# How near the truth a separation in Angstrom and a ratio of fluxes have to come.
_SEPARATION, _RATIO = 0.3, 0.2
# Beside the lines, to scale spectra to their continuum.
_CONTINUUM = ((3690.0, 3715.0), (3742.0, 3767.0))
_SOURCES = {
    "truth": "the noiseless truth before any instrument",
    "model": "the rest-frame spectrum that the model decodes",
    "default": "the same of the default model",
}

DOUBLET_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("row", pa.int64(), "", "Row of the survey's spectra"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("signal_to_noise", pa.float64(), "", "Of the doublet's flux in the observed spectrum"),
    Column("gas_dispersion", pa.float64(), "km/s", "True dispersion of the gas"),
    *(
        column
        for source, words in _SOURCES.items()
        for column in (
            Column(f"{source}_separation", pa.float64(), "Angstrom", f"Of the lines: {words}"),
            Column(f"{source}_ratio", pa.float64(), "", f"Flux of 3727 over 3730: {words}"),
            Column(f"{source}_dispersion", pa.float64(), "km/s", f"Fitted width: {words}"),
            Column(f"{source}_peaks", pa.bool_(), "", f"Whether there are two peaks: {words}"),
        )
    ),
)
"""Two Gaussians fitted to the doublet in truth and models, a row per galaxy."""

CURVE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("curve", pa.string(), "", "observed, truth, model or default"),
    Column("wavelength", pa.float64(), "Angstrom", "Rest-frame wavelength"),
    Column("flux", pa.float64(), "", "Flux density over that of the continuum"),
    Column("error", pa.float64(), "", "Standard deviation of the observed flux, NaN for others"),
)
"""Spectra to draw."""

Intrinsic = Callable[[Mapping[str, np.ndarray]], Tensor]
"""Makes rest-frame spectra (N, M) of true parameters, `surveys.intrinsic.IntrinsicSpectra`."""


def grid_within(grid: WavelengthGrid, finer: int = 1) -> WavelengthGrid:
    """The part of a log10 grid within `WINDOW`, each pixel divided in `finer` parts."""

    inside = np.flatnonzero((grid.wavelength > WINDOW[0]) & (grid.wavelength < WINDOW[1]))
    step = grid.step / finer
    start = grid.start + inside[0] * grid.step - step * (finer - 1) / 2
    return WavelengthGrid(grid.kind, start, step, len(inside) * finer)


def narrow_lines(
    spectra: Spectra, truth: Spectra, rows: np.ndarray, signal_to_noise: float
) -> pd.DataFrame:
    """Galaxies that no contaminant has touched and whose doublet is seen, by gas dispersion.

    Args:
        spectra: A simulated survey.
        truth: Its truth, row by row.
        rows: Rows to choose from.
        signal_to_noise: The least of the doublet.

    Returns:
        The scalar columns of the truth, with `row`, `z_observed` and `signal_to_noise`.
    """

    table = truth.scalars.iloc[rows].assign(row=rows, z_observed=spectra.column("z")[rows])
    table = table[(table["anomaly"] == "none") & (table["kind"] == "galaxy")]
    flux, ivar = (spectra.vectors(name, table["row"]) for name in ("flux", "ivar"))
    found = line_signal_to_noise(flux, ivar, table["z_observed"].to_numpy(), spectra.grid)
    table = table.assign(signal_to_noise=found)[found > signal_to_noise]
    return table.sort_values("gas_dispersion", ignore_index=True)


def doublet_table(
    model: SpectrumAutoencoder,
    default: SpectrumAutoencoder,
    spectra: Spectra,
    galaxies: pd.DataFrame,
    intrinsic: Intrinsic,
) -> pd.DataFrame:
    """Measures the doublet in truth and in what two models decode, all in the same way.

    Args:
        model: The model of higher resolution.
        default: A model at the resolution of the data.
        spectra: The survey.
        galaxies: From `narrow_lines`.
        intrinsic: Makes the truth on the model's `grid_within`.

    Returns:
        The columns of `DOUBLET_COLUMNS`.
    """

    if galaxies.empty:
        return pd.DataFrame({column.name: [] for column in DOUBLET_COLUMNS})
    dataset = SpectraDataset(spectra, galaxies["row"].to_numpy())
    measured = {
        "truth": (grid_within(model.transform.restframe), intrinsic(galaxies).numpy()),
        "model": _decoded(model, dataset),
        "default": _decoded(default, dataset),
    }
    table = galaxies[["object_id", "row", "signal_to_noise", "gas_dispersion"]].copy()
    table["z"] = galaxies["z_observed"]
    for source, (grid, restframe) in measured.items():
        fits = [fit_doublet(grid.wavelength, flux) for flux in restframe]
        for quantity in ("separation", "ratio", "dispersion"):
            table[f"{source}_{quantity}"] = [getattr(fit, quantity) for fit in fits]
        table[f"{source}_peaks"] = [has_two_peaks(grid.wavelength, flux) for flux in restframe]
    return table


def doublet_numbers(table: pd.DataFrame, seed: int = 1) -> dict[str, dict[str, float]]:
    """What the table of doublets amounts to, by the names of claims.

    Args:
        table: The columns of `DOUBLET_COLUMNS`.
        seed: Of the controls' shuffles.
    """

    shuffled = table.sample(frac=1, random_state=seed)["truth_ratio"].to_numpy()
    peaked = table[table["truth_peaks"].astype(bool)]
    numbers = {
        "oii_resolved": _fraction(_near(table, "model", table["truth_ratio"])),
        "oii_resolved_by_default": _fraction(_near(table, "default", table["truth_ratio"])),
        "oii_swapped_control": _fraction(_near(table, "model", 1 / table["truth_ratio"])),
        "oii_shuffled": _fraction(_near(table, "model", shuffled)),
        "oii_separation_error": median(
            (table["model_separation"] - table["truth_separation"]).abs()
        ),
        "oii_ratio_error": median((table["model_ratio"] / table["truth_ratio"] - 1).abs()),
        "oii_ratio_correlation": _correlation(table["model_ratio"], table["truth_ratio"]),
        "oii_ratio_shuffled_control": _correlation(table["model_ratio"], shuffled),
        "oii_two_peaks": _fraction(peaked["model_peaks"]),
        "oii_two_peaks_control": _fraction(peaked["default_peaks"]),
        "oii_width": _fraction(_width_near(peaked, "model")),
        "oii_width_control": _fraction(_width_near(peaked, "default")),
    }
    if len(peaked):
        widest = float(peaked["gas_dispersion"].max())
        numbers["oii_widest_with_two_peaks"] = {"value": widest, "n": len(peaked)}
    return {name: number for name, number in numbers.items() if number}


def curve_table(
    model: SpectrumAutoencoder,
    default: SpectrumAutoencoder,
    spectra: Spectra,
    galaxies: pd.DataFrame,
    intrinsic: Intrinsic,
    truth_grid: WavelengthGrid,
) -> pd.DataFrame:
    """Observed, true and decoded spectra of a few galaxies, over their continuum.

    Args:
        model: The model of higher resolution.
        default: A model at the resolution of the data.
        spectra: The survey.
        galaxies: From `narrow_lines`.
        intrinsic: Makes the truth.
        truth_grid: On this grid.

    Returns:
        The columns of `CURVE_COLUMNS`.
    """

    curves: list[dict[str, Any]] = []
    if galaxies.empty:
        return pd.DataFrame({column.name: [] for column in CURVE_COLUMNS})
    dataset = SpectraDataset(spectra, galaxies["row"].to_numpy())
    sources = {
        "truth": (truth_grid, intrinsic(galaxies).numpy()),
        "model": _decoded(model, dataset),
        "default": _decoded(default, dataset),
    }
    for source, (grid, restframe) in sources.items():
        for name, flux in zip(galaxies["object_id"], restframe, strict=True):
            flux = flux / _continuum(grid.wavelength, flux)
            curves.append({"object_id": name, "curve": source, "wavelength": grid.wavelength,
                           "flux": flux, "error": np.full(len(flux), np.nan)})  # fmt: skip
    grid, restframe = sources["model"]
    amplitude = _reconstructed(model, dataset).amplitude.numpy()
    batch = dataset.batch(np.arange(len(dataset)))
    for i, name in enumerate(galaxies["object_id"]):
        wavelength = spectra.grid.wavelength / (1 + batch.z[i].item())
        here = (wavelength > WINDOW[0]) & (wavelength < WINDOW[1]) & (batch.ivar[i] > 0).numpy()
        scale = amplitude[i] * _continuum(grid.wavelength, restframe[i])
        curves.append({"object_id": name, "curve": "observed", "wavelength": wavelength[here],
                       "flux": batch.flux[i].numpy()[here] / scale,
                       "error": batch.ivar[i].numpy()[here] ** -0.5 / scale})  # fmt: skip
    return pd.concat(map(pd.DataFrame, curves), ignore_index=True)


def _reconstructed(model: SpectrumAutoencoder, dataset: SpectraDataset) -> Reconstruction:
    with torch.inference_mode():
        parts = [model(*batch) for batch in dataset.batches(256)]
    return Reconstruction(*map(torch.cat, zip(*parts, strict=True)))


def _decoded(
    model: SpectrumAutoencoder, dataset: SpectraDataset
) -> tuple[WavelengthGrid, np.ndarray]:
    """What the model decodes within the window, without the amplitude."""

    grid = grid_within(model.transform.restframe)
    first = round((grid.start - model.transform.restframe.start) / grid.step)
    restframe = _reconstructed(model, dataset).restframe
    return grid, restframe[:, first : first + grid.size].numpy()


def _continuum(wavelength: np.ndarray, flux: np.ndarray) -> float:
    beside = np.zeros(len(wavelength), bool)
    for low, high in _CONTINUUM:
        beside |= (wavelength > low) & (wavelength < high)
    return float(np.median(flux[beside]))


def _near(table: pd.DataFrame, source: str, ratio: pd.Series | np.ndarray) -> pd.Series:
    """Whether separation and ratio are near the truth; what could not be fitted is not."""

    separation = (table[f"{source}_separation"] - table["truth_separation"]).abs()
    return (separation < _SEPARATION) & ((table[f"{source}_ratio"] / ratio - 1).abs() < _RATIO)


def _width_near(table: pd.DataFrame, source: str) -> pd.Series:
    return (table[f"{source}_dispersion"] / table["truth_dispersion"] - 1).abs() < 0.2


def _fraction(passed: pd.Series) -> dict[str, float]:
    n = len(passed)
    if not n:
        return {}
    share = float(passed.mean())
    return {"value": share, "uncertainty": float(np.sqrt(share * (1 - share) / n)), "n": n}


def _correlation(one: pd.Series, other: pd.Series | np.ndarray) -> dict[str, float]:
    """Spearman's rank correlation with its standard error under independence."""

    pairs = pd.DataFrame({"one": np.asarray(one), "other": np.asarray(other)}, dtype=float)
    pairs = pairs.dropna().rank()
    if len(pairs) < 3:
        return {}
    value = float(pairs.corr().iloc[0, 1])
    return {"value": value, "uncertainty": (len(pairs) - 1) ** -0.5, "n": len(pairs)}
