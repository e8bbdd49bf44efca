"""A model of simulated galaxies before real ones: how far off, what it can learn, what it lacks."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.spectra.adaptation import (
    AdaptationSettings,
    Correction,
    Residuals,
    galaxies_of,
    leave_one_out,
    restframe_pixels,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.coherent_residuals import LARGEST, coherent_features, smoothed, stack
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.lines import ABSORPTION_FEATURES, EMISSION_LINES, SKY_FEATURES
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.matched_simulations import matched
from uraniborg.tables import Column, Spectra

__all__ = [
    "ADAPTED_COLUMNS",
    "STACK_COLUMNS",
    "AdaptedSurvey",
    "adapted_numbers",
    "adapted_survey",
]

ADAPTED_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("galaxy", pa.int64(), "", "Number of the galaxy: spectra of one place share it"),
    Column("spectype", pa.string(), "", "Spectral class"),
    Column("subclass", pa.string(), "", "Spectral subclass as given by the survey"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("before", pa.float64(), "", "Reduced chi2 of the model trained on simulations alone"),
    Column("after", pa.float64(), "", "The same with what the other galaxies taught it"),
    Column("shuffled", pa.float64(), "", "The same with their residuals at random places"),
    Column("simulated", pa.float64(), "", "The model's on simulated galaxies of the same S/N"),
    Column("noiseless", pa.float64(), "", "That of their noiseless truth"),
)
"""Columns of a table of objects before and after adaptation, one row per spectrum."""

STACK_COLUMNS = (
    Column("frame", pa.string(), "", "restframe or observed"),
    Column("scale", pa.string(), "", "narrow (5 pixels, less its surroundings) or broad (201)"),
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength in this frame"),
    Column("before", pa.float32(), "", "Mean of (data - model) / error over galaxies"),
    Column("error", pa.float32(), "", "Its bootstrap error"),
    Column("after", pa.float32(), "", "The mean after adaptation"),
    Column("galaxies", pa.int64(), "", "Galaxies that contribute"),
)
"""Columns of a table of stacked residuals, one row per pixel."""

_DRAWS = 400


class AdaptedSurvey(NamedTuple):
    """What `adapted_survey` makes.

    Attributes:
        objects: The columns of `ADAPTED_COLUMNS`.
        stack: The columns of `STACK_COLUMNS`.
        features: The columns of `uraniborg.spectra.coherent_residuals.FEATURE_COLUMNS`.
        correction: Learned from all galaxies, for others than these.
    """

    objects: pd.DataFrame
    stack: pd.DataFrame
    features: pd.DataFrame
    correction: Correction


def adapted_survey(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    catalogue: pd.DataFrame,
    levels: pd.DataFrame,
    settings: AdaptationSettings,
    seed: int = 1,
) -> AdaptedSurvey:
    """Judges a model on real galaxies before and after adaptation, each galaxy left out in turn.

    Args:
        model: Trained on simulations.
        spectra: All shards of a survey.
        catalogue: Its galaxies: `row` in the shards, `object_id`, `spectype`, `subclass`, `ra`,
            `dec`, `z` and `snr`.
        levels: See `uraniborg.spectra.matched_simulations.simulated_levels`.
        settings: How free the adaptation is.
        seed: Of the control.
    """

    rows = catalogue["row"].to_numpy()
    z_range = (model.transform.z_min, model.transform.z_max)
    dataset = SpectraDataset(spectra, rows, z_range, catalogue["z"].to_numpy())
    batch = dataset.batch(np.arange(len(dataset)))
    galaxies = galaxies_of(catalogue["ra"], catalogue["dec"])
    # At random places: at least a tenth of the spectrum away.
    size = batch.flux.shape[1]
    offsets = np.random.default_rng(seed).integers(size // 10, size - size // 10, len(rows))
    with torch.inference_mode():
        before = model(*batch).observed
    after = leave_one_out(model, batch, galaxies, settings)
    shuffled = leave_one_out(model, batch, galaxies, settings, offsets)
    objects = catalogue[["object_id", "spectype", "subclass", "z", "snr"]].copy()
    objects.insert(1, "galaxy", galaxies)
    fitted = model.parameters_per_object + settings.rank
    for name, observed, parameters in (
        ("before", before, model.parameters_per_object),
        ("after", after, fitted),
        ("shuffled", shuffled, fitted),
    ):
        objects[name] = reduced_chi2(batch.flux, batch.ivar, observed, parameters).numpy()
    quiescent = objects["subclass"] == ""
    objects["simulated"] = matched(levels, objects["snr"], quiescent)
    objects["noiseless"] = matched(levels, objects["snr"], quiescent, "truth_reduced_chi2")
    residuals = Residuals.of(model, batch, settings.error_floor)
    shares = 1 / np.bincount(galaxies)[galaxies]
    correction = Correction.fit(residuals, settings, model.transform.restframe, shares)
    stacks, features = _stacks(model, batch, galaxies, before, after)
    return AdaptedSurvey(objects, stacks, features, correction)


def _stacks(
    model: SpectrumAutoencoder,
    batch: Batch,
    galaxies: np.ndarray,
    before: torch.Tensor,
    after: torch.Tensor,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    good = batch.ivar.numpy() > 0
    # Where the model is next to nothing, a ratio says nothing.
    relative = ((batch.flux - before) / before.clamp_min(0.05)).clamp(-0.5, 0.5).numpy()
    chi = [((batch.flux - model_) * batch.ivar.sqrt()).numpy() for model_ in (before, after)]
    values = [good, relative, *chi]
    pixels = restframe_pixels(model, batch.z)
    size = model.transform.restframe.size
    parts, features = [], []
    for frame, wavelength, lines, take in (
        ("restframe", model.transform.restframe, EMISSION_LINES + ABSORPTION_FEATURES, True),
        ("observed", model.transform.observed, SKY_FEATURES, False),
    ):
        placed = [_placed(v, pixels, size) if take else v for v in values]
        seen, fraction, first, second = placed
        angstrom = wavelength.wavelength
        features.append(coherent_features(frame, angstrom, first, fraction, seen, galaxies, lines))
        for scale in ("narrow", "broad"):
            made = [
                stack(smoothed(np.clip(v, -LARGEST, LARGEST), seen, scale), seen, galaxies)
                for v in (first, second)
            ]
            parts.append(
                pd.DataFrame(
                    {
                        "frame": frame,
                        "scale": scale,
                        "wavelength": angstrom,
                        "before": made[0].mean,
                        "error": made[0].error,
                        "after": made[1].mean,
                        "galaxies": made[0].galaxies,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True), pd.concat(features, ignore_index=True)


def _placed(values: np.ndarray, pixels: np.ndarray, size: int) -> np.ndarray:
    """Observed values (N, L) in the rest-frame pixels (N, size) nearest to them."""

    output = np.zeros((len(values), size), values.dtype)
    output[np.arange(len(values))[:, None], pixels] = values
    return output


def adapted_numbers(objects: pd.DataFrame, seed: int = 1) -> dict[str, dict[str, float]]:
    """The numbers of the claims, with standard errors by bootstrap over galaxies.

    Args:
        objects: The columns of `ADAPTED_COLUMNS`; spectra of a galaxy count as one, their median.
        seed: Of the bootstrap.
    """

    names = ["before", "after", "shuffled", "simulated"]
    table = objects.groupby("galaxy")[names].median()
    draws = np.random.default_rng(seed).integers(len(table), size=(_DRAWS, len(table)))
    samples = {name: np.median(table[name].to_numpy()[draws], axis=1) for name in names}
    medians = {name: table[name].median() for name in names}
    numbers = {
        "real_before_adaptation": (medians["before"], samples["before"]),
        "real_after_adaptation": (medians["after"], samples["after"]),
        "real_simulated_level": (medians["simulated"], samples["simulated"]),
        "real_gap_closed": (_closed(medians, "after"), _closed(samples, "after")),
        "real_shuffled_control": (_closed(medians, "shuffled"), _closed(samples, "shuffled")),
    }
    return {
        name: {
            "value": float(value),
            "uncertainty": float(np.std(draw)),
            "n": len(table),
            "data": "real",
        }
        for name, (value, draw) in numbers.items()
    }


def _closed(medians: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The share of the gap between real and simulated galaxies that is gone."""

    return (medians["before"] - medians[name]) / (medians["before"] - medians["simulated"])
