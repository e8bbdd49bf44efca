"""A trained autoencoder applied to a survey: one row per object, and spectra to look at."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.spectra.autoencoder import Reconstruction, SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.redshift import complete_redshifts
from uraniborg.spectra.uncertainty import ErrorModel, latent_covariance
from uraniborg.tables import FLUX_UNIT, Column, Spectra

__all__ = [
    "RECONSTRUCTION_COLUMNS",
    "break_4000",
    "galaxy_sequence",
    "object_columns",
    "object_table",
    "reconstruction_table",
]

RECONSTRUCTION_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("wavelength", pa.float32(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Observed flux density"),
    Column("sigma", pa.float32(), FLUX_UNIT, "Its standard error, NaN where masked"),
    Column("model", pa.float32(), FLUX_UNIT, "Reconstructed flux density"),
    Column("truth", pa.float32(), FLUX_UNIT, "Noiseless flux density, NaN for real data"),
)
"""Columns of the spectra that a figure shows."""


def object_columns(latent_size: int) -> tuple[Column, ...]:
    """Columns of the table that `object_table` makes."""

    return (
        Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
        Column("spectype", pa.string(), "", "Spectral class"),
        Column("subclass", pa.string(), "", "Spectral subclass as given by the survey"),
        Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
        Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
        Column("z", pa.float64(), "", "Redshift"),
        Column("z_err", pa.float64(), "", "Standard error of the redshift"),
        Column("zwarning", pa.int64(), "", "Redshift warning flags, 0 for none"),
        Column("z_source", pa.string(), "", "Where the redshift is from: catalogue or estimated"),
        Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
        Column("norm", pa.float64(), FLUX_UNIT, "Flux density that the spectrum is divided by"),
        Column("good_pixels", pa.int64(), "", "Pixels with positive inverse variance"),
        Column("reduced_chi2", pa.float64(), "", "Chi-squared of the model per degree of freedom"),
        Column("truth_reduced_chi2", pa.float64(), "", "The same of the noiseless truth"),
        Column("residual_noise", pa.float64(), "", "Rms of model - truth over rms of the noise"),
        Column("d4000", pa.float64(), "", "Narrow 4000 Angstrom break of the model"),
        *(
            Column(f"latent_{i}", pa.float32(), "", f"Latent coordinate {i}")
            for i in range(latent_size)
        ),
        *(
            Column(f"latent_{i}_err", pa.float32(), "", f"Standard error of latent_{i}")
            for i in range(latent_size)
        ),
    )


def object_table(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    truth: Spectra | None = None,
    batch_size: int = 256,
    errors: ErrorModel | None = None,
) -> pd.DataFrame:
    """Reconstructs a shard and measures the fit of each object.

    Args:
        model: The trained model.
        spectra: The spectra.
        truth: Their noiseless counterparts in the same order, if they are simulated.
        batch_size: Spectra in memory at a time.
        errors: The error model that errors of latents are from; they are NaN without.

    Returns:
        The columns of `object_columns`, one row per spectrum. What the catalogue has no redshift
        of gets an estimate.

    Raises:
        UserError: A redshift is outside the model's range, or one is missing and the model cannot
            estimate it.
    """

    names = ["object_id", "spectype", "subclass", "ra", "dec", "snr", "norm"]
    scalars = pd.concat([spectra.scalars[names], complete_redshifts(model, spectra)], axis=1)
    parts = []
    for rows, batch, reconstruction in _reconstruct(model, spectra, scalars["z"], batch_size):
        noiseless = _noiseless(truth, rows, scalars["norm"].to_numpy()[rows], batch)
        part = scalars.iloc[rows].copy()
        part["good_pixels"] = (batch.ivar > 0).sum(dim=1).numpy()
        part["reduced_chi2"] = reduced_chi2(
            batch.flux, batch.ivar, reconstruction.observed, model.parameters_per_object
        ).numpy()
        part["truth_reduced_chi2"] = reduced_chi2(batch.flux, batch.ivar, noiseless, 0).numpy()
        part["residual_noise"] = (
            _weighted_rms(reconstruction.observed - noiseless, batch.ivar)
            / _weighted_rms(batch.flux - noiseless, batch.ivar)
        ).numpy()
        part["d4000"] = break_4000(
            reconstruction.restframe, model.transform.restframe.wavelength
        ).numpy()
        for i in range(model.latent_size):
            part[f"latent_{i}"] = reconstruction.latent[:, i].numpy()
        latent_error = _latent_error(model, batch, part["norm"].to_numpy(), errors)
        for i in range(model.latent_size):
            part[f"latent_{i}_err"] = latent_error[:, i].numpy()
        parts.append(part)
    columns = [column.name for column in object_columns(model.latent_size)]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def reconstruction_table(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    object_ids: list[str],
    truth: Spectra | None = None,
) -> pd.DataFrame:
    """Spectra of chosen objects with their reconstruction, in the order of `object_ids`.

    Returns:
        The columns of `RECONSTRUCTION_COLUMNS`, one row per object and pixel.
    """

    row_of = {name: row for row, name in enumerate(spectra.column("object_id"))}
    rows = np.array([row_of[name] for name in object_ids])
    dataset = SpectraDataset(
        spectra, rows, z=complete_redshifts(model, spectra, rows)["z"].to_numpy()
    )
    batch = dataset.batch(np.arange(len(rows)))
    with torch.inference_mode():
        reconstruction = model(*batch)
    norm = torch.from_numpy(dataset.norm)[:, None]
    noiseless = _noiseless(truth, rows, dataset.norm, batch)
    pixels = spectra.grid.size
    sigma = torch.where(batch.ivar > 0, batch.ivar.rsqrt(), torch.nan)
    return pd.DataFrame(
        {
            "object_id": np.repeat(object_ids, pixels),
            "wavelength": np.tile(spectra.grid.wavelength.astype(np.float32), len(rows)),
            "flux": (batch.flux * norm).flatten().numpy(),
            "sigma": (sigma * norm).flatten().numpy(),
            "model": (reconstruction.observed * norm).flatten().numpy(),
            "truth": (noiseless * norm).flatten().numpy(),
        }
    )


def galaxy_sequence(objects: pd.DataFrame, count: int) -> list[str]:
    """Chooses well-measured galaxies along the sequence from star-forming to quiescent.

    The sample is cut into `count` bins of equal number in the 4000 Angstrom break; each gives the
    galaxy next to the third quartile of its signal-to-noise ratios: good data, not its extreme. No
    galaxy is chosen twice, though a survey may have observed it more than once.

    Args:
        objects: A table with the columns of `object_columns`.
        count: How many; fewer come back if the sample is smaller.

    Returns:
        Identifiers by rising break.
    """

    ordered = objects.sort_values(["d4000", "object_id"], kind="stable")
    chosen: list[int] = []
    for rows in np.array_split(np.arange(len(ordered)), min(count, len(ordered))):
        members = ordered.iloc[rows].sort_values("snr", kind="stable")
        third_quartile = int(0.75 * (len(members) - 1))
        nearest = np.argsort(np.abs(np.arange(len(members)) - third_quartile), kind="stable")
        for index in members.index[nearest]:
            if not _same_place(objects.loc[index], objects.loc[chosen]).any():
                chosen.append(index)
                break
    return list(objects.loc[chosen, "object_id"])


def _same_place(galaxy: pd.Series, others: pd.DataFrame) -> np.ndarray:
    """Which others are within 5 arcsec, shape (N,)."""

    east = (others["ra"] - galaxy["ra"] + 180) % 360 - 180
    separation = np.hypot(east * np.cos(np.radians(galaxy["dec"])), others["dec"] - galaxy["dec"])
    return (separation < 5 / 3600).to_numpy()


def break_4000(restframe: Tensor, wavelength: np.ndarray) -> Tensor:
    """The narrow 4000 Angstrom break, mean f_nu in 4000-4100 over 3850-3950 (Balogh et al. 1999,
    ApJ 527, 54), shape (N,).

    Args:
        restframe: Rest-frame flux density per unit wavelength, shape (N, M).
        wavelength: Its wavelengths in Angstrom, shape (M,).
    """

    per_frequency = restframe * torch.from_numpy(wavelength**2).to(restframe)
    red = (wavelength >= 4000) & (wavelength <= 4100)
    blue = (wavelength >= 3850) & (wavelength <= 3950)
    return per_frequency[:, red].mean(dim=1) / per_frequency[:, blue].mean(dim=1)


def _reconstruct(
    model: SpectrumAutoencoder, spectra: Spectra, z: pd.Series, batch_size: int
) -> Iterator[tuple[np.ndarray, Batch, Reconstruction]]:
    z_range = (model.transform.z_min, model.transform.z_max)
    dataset = SpectraDataset(spectra, z_range=z_range, z=z.to_numpy())
    with torch.inference_mode():
        for rows in spectra.batches(batch_size):
            batch = dataset.batch(rows)
            yield rows, batch, model(*batch)


def _latent_error(
    model: SpectrumAutoencoder, batch: Batch, norm: np.ndarray, errors: ErrorModel | None
) -> Tensor:
    """Standard errors of the latents (N, latent_size), NaN without an error model."""

    if errors is None:
        return torch.full((len(norm), model.latent_size), torch.nan)
    covariance = latent_covariance(model, batch, torch.tensor(norm, dtype=torch.float32), errors)
    return covariance.diagonal(dim1=1, dim2=2).sqrt()


def _noiseless(truth: Spectra | None, rows: np.ndarray, norm: np.ndarray, batch: Batch) -> Tensor:
    if truth is None:
        return torch.full_like(batch.flux, torch.nan)
    return torch.from_numpy(truth.vectors("flux", rows) / norm[:, None].astype(np.float32))


def _weighted_rms(values: Tensor, weights: Tensor) -> Tensor:
    return ((weights * values.square()).sum(dim=1) / weights.sum(dim=1)).sqrt()
