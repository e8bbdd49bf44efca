"""How well spectra are modelled with few numbers: autoencoders beside principal components."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.claims import median
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.controls import principal_components
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.tables import Column, Spectra

__all__ = [
    "DIMENSION_COLUMNS",
    "dimension_numbers",
    "excess_chi2",
    "fits_by_dimension",
    "summary",
]

DIMENSION_COLUMNS = (
    Column("method", pa.string(), "", "model, components or truth"),
    Column("variant", pa.string(), "", "Variant of the model that has as many latents"),
    Column("latents", pa.int64(), "", "Latents or components, 0 for the truth"),
    Column("reduced_chi2", pa.float64(), "", "Median chi-squared per degree of freedom"),
    Column("reduced_chi2_error", pa.float64(), "", "Its standard error by bootstrap"),
    Column("excess_chi2", pa.float64(), "", "Median of the mean ivar x (model - truth)^2"),
    Column("excess_chi2_error", pa.float64(), "", "Its standard error by bootstrap"),
    Column("n", pa.int64(), "", "Held-out objects"),
)
"""Columns of the table that `summary` makes."""

NOISE_MARGIN = 1.03
"""Reduced chi-squared over that of the truth that counts as down to the noise."""


def excess_chi2(ivar: Tensor, model: Tensor, truth: Tensor) -> Tensor:
    """What a model adds to the reduced chi-squared of the noiseless truth, shape (N,).

    Args:
        ivar: Inverse variance (N, L), 0 where masked.
        model: Models (N, L).
        truth: Noiseless spectra (N, L).
    """

    return (ivar * (model - truth).square()).sum(dim=1) / (ivar > 0).sum(dim=1).clamp_min(1)


@torch.inference_mode()
def fits_by_dimension(
    models: Mapping[str, SpectrumAutoencoder],
    bases: Mapping[int, Basis],
    dataset: SpectraDataset,
    truth: Spectra | None = None,
    batch_size: int = 512,
) -> pd.DataFrame:
    """The fits of each model and of as many weighted principal components as it has latents.

    Args:
        models: By the name of the variant.
        bases: By number of latents a basis of as many components. The first components of a larger
            basis would do worse: they are ordered by their variance, not by what they matter for
            the fit.
        dataset: Held-out spectra.
        truth: All noiseless spectra of the same survey, if it is simulated.
        batch_size: Spectra in memory at a time.

    Returns:
        `method`, `variant`, `latents`, `object_id`, `reduced_chi2` against the data and
        `excess_chi2` against the truth, one row per model or components and object.
    """

    identifiers = dataset.spectra.column("object_id")[dataset.rows]
    parts = []
    for start in range(0, len(dataset), batch_size):
        here = np.arange(start, min(start + batch_size, len(dataset)))
        batch = dataset.batch(here)
        noiseless = torch.full_like(batch.flux, torch.nan)
        if truth is not None:
            flux = truth.vectors("flux", dataset.rows[here])
            noiseless = torch.from_numpy(flux / dataset.norm[here, None])
        fits = [("truth", "", 0, 0, noiseless)]
        for name, model in models.items():
            size, parameters = model.latent_size, model.parameters_per_object
            fits.append(("model", name, size, parameters, model(*batch).observed))
            # Their amplitude is fitted, too.
            linear = principal_components(bases[size], model, batch)
            fits.append(("components", name, size, size + 1, linear))
        for method, name, size, parameters, observed in fits:
            columns = {
                "method": method,
                "variant": name,
                "latents": size,
                "object_id": identifiers[here],
                "reduced_chi2": reduced_chi2(batch.flux, batch.ivar, observed, parameters).numpy(),
                "excess_chi2": excess_chi2(batch.ivar, observed, noiseless).numpy(),
            }
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def summary(fits: pd.DataFrame) -> pd.DataFrame:
    """Medians over objects of what `fits_by_dimension` gives, by number of latents.

    Returns:
        The columns of `DIMENSION_COLUMNS`.
    """

    rows = []
    for (method, variant, latents), group in fits.groupby(["method", "variant", "latents"]):
        row = {"method": method, "variant": variant, "latents": latents, "n": len(group)}
        for name in ("reduced_chi2", "excess_chi2"):
            number = median(group[name])
            row[name] = number.get("value", np.nan)
            row[f"{name}_error"] = number.get("uncertainty", np.nan)
        rows.append(row)
    columns = [column.name for column in DIMENSION_COLUMNS]
    return pd.DataFrame(rows, columns=columns).sort_values(["method", "latents", "variant"])


def dimension_numbers(fits: pd.DataFrame, variant: str) -> dict[str, dict[str, float]]:
    """What claims are held against: the median over objects of the excess chi-squared over that of
    as many components, and the fewest latents that are down to the noise, if any are.

    Args:
        fits: As `fits_by_dimension` gives them.
        variant: The variant whose latents count as those of the model.
    """

    by = {key: group.set_index("object_id") for key, group in fits.groupby(["method", "variant"])}
    ratio = by["model", variant]["excess_chi2"] / by["components", variant]["excess_chi2"]
    numbers = {"dimension_excess_over_components": median(ratio)}
    floor = NOISE_MARGIN * by["truth", ""]["reduced_chi2"].median()
    enough = [
        int(fit["latents"].iloc[0])
        for (method, _), fit in by.items()
        if method == "model" and fit["reduced_chi2"].median() <= floor
    ]
    if enough:
        numbers["dimension_to_noise"] = {"value": min(enough), "n": len(ratio)}
    return numbers
