"""The outlier catalogue: shards of spectra scored one by one, and ranked together.

Every object of a survey is in it. What cannot be scored has flags that say why, and comes last.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from uraniborg.fits import FitsWriter
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset, masked
from uraniborg.spectra.outliers.scorer import NEAREST, OutlierScorer, Scores, log_snr
from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS
from uraniborg.spectra.redshift import RedshiftEstimator
from uraniborg.tables import FLUX_UNIT, Column, Spectra, TableWriter, read_metadata, read_table

__all__ = ["FITS_ROWS", "RANK_COLUMNS", "catalogue", "ranks", "score_columns", "score_shard"]

FITS_ROWS = 100_000
"""Most rows of the catalogue's FITS file, whose table is in memory at once: the first by rank."""

RANK_COLUMNS = (
    Column("outlier_percentile", pa.float64(), "", "Share of scored objects that score no more"),
    Column("outlier_rank", pa.int64(), "", "Place by falling outlier_score, unscored objects last"),
)
"""What `catalogue` adds to the columns of `score_columns`."""

_BATCH = 256
_DECLARED = (b"unit", b"description")
_STAR_COLUMNS = STAR_COLUMNS[1:]


def score_columns(latent_size: int) -> tuple[Column, ...]:
    """Columns of the table that `score_shard` makes."""

    return (
        Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
        Column("spectype", pa.string(), "", "Spectral class"),
        Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
        Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
        Column("z", pa.float64(), "", "Redshift"),
        Column("z_err", pa.float64(), "", "Standard error of the redshift"),
        Column("z_source", pa.string(), "", "Where it is from: catalogue or estimated"),
        Column("zwarning", pa.int64(), "", "Redshift warning flags, 0 for none"),
        Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
        Column("norm", pa.float64(), FLUX_UNIT, "Flux density that the spectrum is divided by"),
        Column("good_pixels", pa.int64(), "", "Pixels with positive inverse variance"),
        Column("log_prob", pa.float64(), "", "ln of the probability density of the latents"),
        Column("log_prob_err", pa.float64(), "", "Its standard deviation over the ensemble"),
        Column("log_prob_percentile", pa.float64(), "", "Share of held-out objects below it"),
        Column("knn_distance", pa.float64(), "", "Latent distance to the 10th training object"),
        *(
            Column(f"latent_{i}", pa.float32(), "", f"Latent coordinate {i}")
            for i in range(latent_size)
        ),
        Column("reduced_chi2", pa.float32(), "", "Chi-squared of the model per degree of freedom"),
        Column("latent_surprise", pa.float64(), "", "-ln P of a log_prob as low, held-out objects"),
        Column("residual_surprise", pa.float64(), "", "-ln P of residuals as large, the same"),
        Column("signal_surprise", pa.float64(), "", "-ln P of so low an S/N, 0 unless the lowest"),
        Column("outlier_score", pa.float64(), "", "Weighted sum of the surprises"),
        *_STAR_COLUMNS,
        *(
            Column(f"neighbour_{i + 1}", pa.string(), "", f"Training object {i + 1}. in distance")
            for i in range(NEAREST)
        ),
        Column("outlier_flags", pa.int64(), "", "Sum of OutlierFlag, 0 for none"),
    )


def score_shard(
    scorer: OutlierScorer,
    spectra: Spectra,
    redshift: Literal["catalogue", "estimated"] = "catalogue",
    stars: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Scores the spectra of a shard, a batch in memory at a time.

    Redshifts that the catalogue lacks are estimated. Those outside the model's range are not: what
    lies beyond is no outlier for that, so it is flagged, not scored and kept. To search for objects
    whose redshift or class is wrong, have all of them estimated.

    Args:
        scorer: The scorer.
        spectra: The shard.
        redshift: `catalogue`, or `estimated` to ignore the redshifts there.
        stars: The columns `STAR_COLUMNS` for all objects or some, without which there is no
            verdict about stars.

    Returns:
        The columns of `score_columns`, one row per spectrum in order.

    Raises:
        UserError: A redshift has to be estimated and the model cannot, or the spectra are on other
            wavelengths.
    """

    scorer.model.check_grid(spectra)
    names = ["object_id", "spectype", "ra", "dec", "z", "z_err", "zwarning", "snr", "norm"]
    scalars = spectra.scalars[names]
    dataset = SpectraDataset(spectra, z=np.zeros(len(spectra)))
    redshifts = _Redshifts(scorer.model, always=redshift == "estimated")
    identifiers = np.append(scorer.reference.object_id, "")
    # At least one batch, so that of no spectrum there are all the columns, too.
    starts = range(0, max(len(spectra), 1), _BATCH)
    parts = []
    for start in starts:
        rows = np.arange(start, min(start + _BATCH, len(spectra)))
        batch = masked(dataset.batch(rows))
        part = redshifts.completed(scalars.iloc[rows].reset_index(drop=True), batch)
        z = torch.from_numpy(part["z"].to_numpy(np.float64, copy=True))
        scores = scorer.score(batch._replace(z=z), log_snr(part["snr"].to_numpy()))
        part["good_pixels"] = (batch.ivar > 0).sum(dim=1).numpy()
        parts.append(pd.concat([part, _table(scores, identifiers)], axis=1))
    table = pd.concat(parts, ignore_index=True)
    table = pd.concat([table, _of_stars(table["object_id"], stars)], axis=1)
    return table[[column.name for column in score_columns(scorer.model.latent_size)]]


def ranks(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of scores from 1 for the largest, and percentiles.

    Equal scores keep their order; those that are not finite come last and have the percentile NaN,
    which for the others is the share of finite scores that are not larger.

    Args:
        scores: Shape (N,).
    """

    finite = np.isfinite(scores)
    order = np.argsort(np.where(finite, -scores, np.inf), kind="stable")
    rank = np.empty(len(scores), np.int64)
    rank[order] = np.arange(1, len(scores) + 1)
    ordered = np.sort(scores[finite])
    below = np.searchsorted(ordered, scores, side="right")
    return rank, np.where(finite, below / max(len(ordered), 1), np.nan)


def catalogue(
    shards: Sequence[str | Path],
    parquet: str | Path,
    fits: str | Path,
    fits_rows: int = FITS_ROWS,
) -> None:
    """Ranks the objects of all shards and writes the catalogue.

    A few shards at a time are in memory, and of all of them one number per object.

    Args:
        shards: Parquet files of the tables that `score_shard` makes.
        parquet: File of all objects, shard by shard; use `outlier_rank` for their order.
        fits: FITS file of the first `fits_rows` objects by rank, in this order.
        fits_rows: Most rows of it.
    """

    metadata = read_metadata(shards[0])
    names = ("survey", "instrument", "data", "redshift", "misfit_floor")
    kept = {name: metadata[name] for name in names if name in metadata}
    scores = [read_table(path, ["outlier_score"])["outlier_score"].to_numpy() for path in shards]
    rank, percentile = ranks(np.concatenate(scores))
    ends = np.cumsum([len(of_shard) for of_shard in scores])

    def ranked(shard: int) -> pd.DataFrame:
        here = slice(ends[shard] - len(scores[shard]), ends[shard])
        table = read_table(shards[shard])
        return table.assign(outlier_percentile=percentile[here], outlier_rank=rank[here])

    columns, first = (*_columns(shards[0]), *RANK_COLUMNS), []
    with TableWriter(parquet, columns, kept) as writer:
        for together in _longest_first(shards, columns):
            table = pd.concat([ranked(shard) for shard in together], ignore_index=True)
            writer.write(table)
            first.append(table[table["outlier_rank"] <= fits_rows])
    top = pd.concat(first, ignore_index=True).sort_values("outlier_rank")
    with FitsWriter(fits, {name.upper()[:8]: value for name, value in kept.items()}) as writer:
        writer.write("OUTLIERS", columns, top)


def _columns(path: str | Path) -> list[Column]:
    """The columns that a Parquet file declares."""

    return [
        Column(field.name, field.type, *(field.metadata[k].decode() for k in _DECLARED))
        for field in pq.read_schema(path)
    ]


def _longest_first(shards: Sequence[str | Path], columns: Sequence[Column]) -> list[list[int]]:
    """Which shards to write together: first those with the longest texts, whose length the file
    declares, then each of the others."""

    headers = [read_metadata(path) for path in shards]
    texts = [f"table::len::{column.name}" for column in columns if pa.types.is_string(column.type)]
    widths = np.array([[int(header[text]) for text in texts] for header in headers])
    first = sorted(set(widths.argmax(axis=0).tolist()))
    return [first, *([shard] for shard in range(len(shards)) if shard not in first)]


class _Redshifts:
    """The catalogue's redshifts, or estimates where it has none or none is wanted."""

    def __init__(self, model: SpectrumAutoencoder, always: bool) -> None:
        self._model, self._always = model, always
        self._estimator: RedshiftEstimator | None = None

    def completed(self, scalars: pd.DataFrame, batch: Batch) -> pd.DataFrame:
        """The table with redshifts and `z_source`; without good pixels none can be estimated."""

        wanted = self._always | ~np.isfinite(scalars["z"].to_numpy(np.float64))
        table = scalars.assign(z_source=np.where(wanted, "estimated", "catalogue"))
        table.loc[wanted, ["z", "z_err"]] = np.nan
        rows = np.flatnonzero(wanted)
        if len(rows):
            self._estimator = self._estimator or RedshiftEstimator(self._model)
            found = self._estimator.estimate(batch.flux[rows], batch.ivar[rows])
            for name in ("z", "z_err", "zwarning"):
                table.loc[rows, name] = getattr(found, name).numpy()
        return table


def _table(scores: Scores, identifiers: np.ndarray) -> pd.DataFrame:
    """Scores as columns; the last identifier stands for no neighbour."""

    columns = {f"latent_{i}": x.numpy() for i, x in enumerate(scores.latent.unbind(1))}
    columns |= {f"neighbour_{i + 1}": identifiers[x] for i, x in enumerate(scores.neighbours.T)}
    others = {name: x.numpy() for name, x in scores._asdict().items() if x.ndim == 1}
    return pd.DataFrame(columns | others).rename(columns={"flags": "outlier_flags"})


def _of_stars(object_id: pd.Series, stars: pd.DataFrame | None) -> pd.DataFrame:
    """Columns about stars, without a verdict for objects that are not in the table."""

    names = [column.name for column in _STAR_COLUMNS]
    if stars is None:
        stars = pd.DataFrame(columns=["object_id", *names])
    found = stars.set_index("object_id")[names].reindex(object_id).reset_index(drop=True)
    for column in _STAR_COLUMNS:
        kind = column.type
        absent = "none" if pa.types.is_string(kind) else 0 if pa.types.is_integer(kind) else np.nan
        found[column.name] = found[column.name].astype(object).fillna(absent)
    return found.astype({column.name: column.type.to_pandas_dtype() for column in _STAR_COLUMNS})
