"""Spectra and their models as FITS tables that astropy, specutils and TOPCAT read.

`reconstructions.fits` has one table per object, in the order of `objects.fits`, whose row i is
described by extension i + 1. Its first columns are named and ordered as the format `tabular-fits`
of specutils expects, so that `specutils.Spectrum.read(path, hdu=1)` gives the data; the model is
another column. `restframe.fits` has the decoded rest-frame spectra in the same manner.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from uraniborg.fits import FitsWriter
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.uncertainty import ErrorModel, uncertainties
from uraniborg.tables import FLUX_UNIT, Column, Spectra, read_table

__all__ = ["OBSERVED_COLUMNS", "RESTFRAME_COLUMNS", "export_objects", "export_spectra"]

OBSERVED_COLUMNS = (
    Column("wavelength", pa.float64(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Observed flux density"),
    Column("uncertainty", pa.float32(), FLUX_UNIT, "Its standard error, NaN where masked"),
    Column("mask", pa.bool_(), "", "Whether the pixel is bad"),
    Column("model", pa.float32(), FLUX_UNIT, "Reconstructed flux density"),
    Column("model_err", pa.float32(), FLUX_UNIT, "Standard error of the model"),
)
"""Columns of a table of `reconstructions.fits`; the last one where there is an error model."""

RESTFRAME_COLUMNS = (
    Column("wavelength", pa.float64(), "Angstrom", "Rest-frame vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Decoded flux density, scaled as observed"),
    Column("uncertainty", pa.float32(), FLUX_UNIT, "Its standard error, NaN where unknown"),
)
"""Columns of a table of `restframe.fits`; the last one where there is an error model."""

_FIELD = (b"unit", b"description")

Table = dict[str, np.ndarray]


def export_objects(path: str | Path, objects: str | Path, header: Mapping[str, str]) -> None:
    """Writes a table of objects as FITS.

    Args:
        path: The file to write.
        objects: The Parquet file that holds them.
        header: Cards of the primary header.
    """

    columns = [
        Column(field.name, field.type, *(field.metadata[k].decode() for k in _FIELD))
        for field in pq.read_schema(objects)
    ]
    with FitsWriter(path, header) as writer:
        writer.write("OBJECTS", columns, read_table(objects))


def export_spectra(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    objects: pd.DataFrame,
    observed: str | Path,
    restframe: str | Path,
    errors: ErrorModel | None = None,
    batch_size: int = 64,
) -> None:
    """Writes spectra and their models, `batch_size` of them in memory at a time.

    Args:
        model: The trained model.
        spectra: All shards of a survey.
        objects: Those to write, in order: `row` in the shards, `object_id`, `ra`, `dec` and `z`.
        observed: FITS file of the spectra as observed, a table of `OBSERVED_COLUMNS` for each.
        restframe: FITS file of the decoded spectra, a table of `RESTFRAME_COLUMNS` for each.
        errors: The error model that the models' errors are from; they are left out without.
        batch_size: Spectra in memory at a time.
    """

    header = {"SURVEY": spectra.metadata["survey"], "DATA": spectra.metadata["data"]}
    z_range = (model.transform.z_min, model.transform.z_max)
    dataset = SpectraDataset(spectra, objects["row"], z_range, objects["z"])
    wavelength = spectra.grid.wavelength, model.transform.restframe.wavelength
    with FitsWriter(observed, header) as data_file, FitsWriter(restframe, header) as rest_file:
        for start in range(0, len(dataset), batch_size):
            chosen = np.arange(start, min(start + batch_size, len(dataset)))
            tables = _tables(model, dataset, chosen, errors)
            for row, data, rest in zip(chosen, *tables, strict=True):
                cards = _cards(objects.iloc[row])
                for file, columns, x, table in (
                    (data_file, OBSERVED_COLUMNS, wavelength[0], data),
                    (rest_file, RESTFRAME_COLUMNS, wavelength[1], rest),
                ):
                    table = {"wavelength": x, **table}
                    present = [column for column in columns if column.name in table]
                    file.write(cards["OBJECT"][0], present, table, cards)


def _tables(
    model: SpectrumAutoencoder,
    dataset: SpectraDataset,
    chosen: np.ndarray,
    errors: ErrorModel | None,
) -> tuple[list[Table], list[Table]]:
    """Columns of each object's two tables but for the wavelength."""

    batch, norm = dataset.batch(chosen), torch.from_numpy(dataset.norm[chosen])
    with torch.inference_mode():
        made = model(*batch)
    good = batch.ivar > 0
    data = {
        "flux": batch.flux,
        "uncertainty": torch.where(good, batch.ivar.rsqrt(), torch.nan),
        "model": made.observed,
    }
    rest = {"flux": made.amplitude[:, None] * made.restframe}
    if errors is not None:
        spread = uncertainties(model, batch, norm, errors)
        # No error where the model is nothing, at wavelengths that no spectrum reached.
        data["model_err"], rest["uncertainty"] = (
            torch.where(sigma > 0, sigma, torch.nan)
            for sigma in (spread.observed, spread.restframe)
        )
    data, rest = (
        {name: (values * norm[:, None]).numpy() for name, values in table.items()}
        for table in (data, rest)
    )
    data["mask"] = ~good.numpy()
    return tuple(
        [{name: values[i] for name, values in table.items()} for i in range(len(chosen))]
        for table in (data, rest)
    )


def _cards(properties: pd.Series) -> dict[str, tuple[object, str]]:
    """Header cards of an object; a position that is not known has none."""

    cards = {"OBJECT": (str(properties["object_id"]), "Identifier within the survey")}
    for name, card, comment in (
        ("ra", "RA", "[deg] Right ascension (ICRS)"),
        ("dec", "DEC", "[deg] Declination (ICRS)"),
        ("z", "REDSHIFT", "Heliocentric redshift"),
    ):
        if np.isfinite(properties[name]):
            cards[card] = (float(properties[name]), comment)
    return cards
