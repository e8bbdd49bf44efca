"""What figures of outliers are drawn from: spectra, what the scorer makes of them, and latents.

A table of the spectra of the chosen objects, one of what is known about each of them, and one of
latents of bounded samples of the catalogue and of training objects, so that it is seen where in the
latent space they are.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.spectra.autoencoder import Reconstruction
from uraniborg.spectra.dataset import Batch, SpectraDataset, masked
from uraniborg.spectra.outliers.misfit import STATISTICS, ModelMisfit
from uraniborg.spectra.outliers.scorer import NEAREST, OutlierFlag, OutlierScorer, log_snr
from uraniborg.tables import FLUX_UNIT, Column, Spectra
from uraniborg.universe.contaminants import KINDS

__all__ = ["OBJECT_COLUMNS", "SPECTRA_COLUMNS", "Pages", "latent_columns", "outlier_pages"]

_NEIGHBOURS = tuple(f"neighbour_{i + 1}" for i in range(NEAREST))

SPECTRA_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("outlier_rank", pa.int64(), "", "Place in the catalogue, from 1"),
    Column("wavelength", pa.float32(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Observed flux density"),
    Column("sigma", pa.float32(), FLUX_UNIT, "Its standard error, NaN where masked"),
    Column("model", pa.float32(), FLUX_UNIT, "Reconstructed flux density"),
    Column("truth", pa.float32(), FLUX_UNIT, "Noiseless flux density, NaN for real data"),
    Column("residual", pa.float32(), "", "flux - model over residual_scale pixels, whitened"),
    *(
        Column(name, pa.float32(), FLUX_UNIT, f"Its {name}, decoded at the object's redshift")
        for name in _NEIGHBOURS
    ),
)
"""One row per object and pixel. Residuals are in units of what noise and the model's misfit of
ordinary objects make expect; see `uraniborg.spectra.outliers.misfit`."""

_FROM_CATALOGUE = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("outlier_rank", pa.int64(), "", "Place in the catalogue, from 1"),
    Column("spectype", pa.string(), "", "Spectral class"),
    Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
    Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
    Column("z", pa.float64(), "", "Redshift that it was scored with"),
    Column("z_source", pa.string(), "", "Where it is from: catalogue or estimated"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("log_prob", pa.float64(), "", "ln of the probability density of the latents"),
    Column("log_prob_err", pa.float64(), "", "Its standard deviation over the ensemble"),
    Column("log_prob_percentile", pa.float64(), "", "Share of held-out objects below it"),
    Column("latent_surprise", pa.float64(), "", "-ln P of a log_prob as low, held-out objects"),
    Column("residual_surprise", pa.float64(), "", "-ln P of residuals as large, the same"),
    Column("outlier_score", pa.float64(), "", "Weighted sum of the two surprises"),
    Column("reduced_chi2", pa.float64(), "", "Chi-squared of the model per degree of freedom"),
    Column("knn_distance", pa.float64(), "", "Latent distance to the 10th training object"),
    Column("star_evidence", pa.float64(), "", "ln of the evidence of a star over that of a galaxy"),
    Column("star_verdict", pa.string(), "", "star, galaxy or none"),
    *(Column(name, pa.string(), "", "Training object near in latents") for name in _NEIGHBOURS),
    Column("outlier_flags", pa.int64(), "", "Sum of OutlierFlag, 0 for none"),
)

OBJECT_COLUMNS = (
    *_FROM_CATALOGUE,
    *(
        Column(f"{name}_distance", pa.float64(), "", f"Distance of its latents to {name}")
        for name in _NEIGHBOURS
    ),
    Column("flag_names", pa.string(), "", "The flags in words"),
    Column("statistic", pa.string(), "", "The most surprising statistic of its residuals"),
    Column("residual_scale", pa.int64(), "", "Pixels over which it sums residuals"),
    Column("anomaly", pa.string(), "", "True kind of contaminant, none if it is none, empty: real"),
    Column("anomaly_strength", pa.float64(), "", "True strength, see the kind"),
    Column("anomaly_unit", pa.string(), "", "Its unit"),
    Column("true_z", pa.float64(), "", "True redshift, NaN for real data"),
    Column("page", pa.bool_(), "", "Whether it is among the first by rank, which have pages"),
    Column("gallery", pa.bool_(), "", "Whether it is in the gallery"),
)
"""One row per chosen object, by rank."""

# Contaminants of each kind whose latents are shown beside the sample.
_SHOWN = 60


def latent_columns(latent_size: int) -> tuple[Column, ...]:
    """Columns of the table of latents, along the axes of largest variance of ordinary objects.

    These are the training objects among which neighbours are sought, so that the axes are the same
    for every survey. Coordinates are zero at their median, in units of half their central 68%.
    """

    return (
        Column("object_id", pa.string(), "", "Identifier, unique within its survey"),
        Column("role", pa.string(), "", "training, sample, contaminant, chosen or neighbour"),
        Column("group", pa.string(), "", "Kind of contaminant or class, empty for a galaxy"),
        Column("outlier_rank", pa.int64(), "", "Place in the catalogue, 0 for training objects"),
        Column("latent_surprise", pa.float64(), "", "In the catalogue, NaN for training objects"),
        *(
            Column(f"axis_{i + 1}", pa.float64(), "", f"Coordinate along principal axis {i + 1}")
            for i in range(latent_size)
        ),
    )


class Pages(NamedTuple):
    """Tables for figures of outliers.

    Attributes:
        spectra: `SPECTRA_COLUMNS`.
        objects: `OBJECT_COLUMNS`.
        latents: `latent_columns`.
    """

    spectra: pd.DataFrame
    objects: pd.DataFrame
    latents: pd.DataFrame


def outlier_pages(
    scorer: OutlierScorer,
    catalogue: pd.DataFrame,
    spectra: Spectra,
    truth: Spectra | None = None,
    *,
    number: int = 15,
    per_kind: int = 1,
    sample: int = 5000,
    seed: int = 0,
) -> Pages:
    """The first objects of a catalogue and, if it is simulated, the first of every kind.

    Of the shards only the rows of these objects are read.

    Args:
        scorer: That the catalogue was made with.
        catalogue: See `uraniborg.spectra.outliers.catalogue.catalogue`.
        spectra: The survey's shards.
        truth: Their truth shards, if they are simulated.
        number: How many objects by rank.
        per_kind: How many of each kind of contaminant, and of objects that are none.
        sample: Most objects of the catalogue, and most training objects, whose latents are kept.
        seed: Of the sample.

    Raises:
        UserError: The catalogue is empty, or has objects that the shards do not have.
    """

    if catalogue.empty:
        raise UserError("the catalogue has no object, so that there are no outliers to show.")
    catalogue = catalogue.drop_duplicates("object_id").sort_values(
        "outlier_rank", ignore_index=True
    )
    anomaly = _anomalies(truth)
    if truth is None:
        kind = catalogue["spectype"].str.lower().replace("galaxy", "")
        gallery = catalogue.index < number
    else:
        kind = catalogue["object_id"].map(anomaly).fillna("")
        gallery = (kind.groupby(kind).cumcount() < per_kind).to_numpy()
    page = catalogue.index < number
    chosen = catalogue[page | gallery]
    rows = _rows(spectra, chosen["object_id"])
    found = _Found.of(scorer, chosen, spectra, rows)
    objects = _objects(chosen, found, truth, rows)
    objects = objects.assign(page=page[chosen.index], gallery=gallery[chosen.index])
    return Pages(
        _spectra(chosen, found, spectra, truth, rows),
        objects[[column.name for column in OBJECT_COLUMNS]],
        _latents(scorer, catalogue.assign(group=kind), chosen, sample, seed),
    )


class _Found(NamedTuple):
    """What the scorer makes of N objects: NaN, or nothing, for those that it has not scored.

    Attributes:
        model: Reconstructions in flux units, shape (N, L).
        residual: Running sums of residuals, whitened, shape (N, L).
        statistic: Indices of the most surprising of `STATISTICS`, shape (N,), -1 for none.
        neighbours: Reconstructions of the neighbours, shape (NEAREST, N, L).
        distance: Distances to them, shape (NEAREST, N).
    """

    model: np.ndarray
    residual: np.ndarray
    statistic: np.ndarray
    neighbours: np.ndarray
    distance: np.ndarray

    @classmethod
    @torch.inference_mode()
    def of(
        cls, scorer: OutlierScorer, chosen: pd.DataFrame, spectra: Spectra, rows: np.ndarray
    ) -> "_Found":
        """Decodes the latents of the catalogue, and those of the neighbours as if they were the
        object's: at its redshift and as bright."""

        latent = _latent(scorer, chosen)
        here = np.isfinite(latent).all(axis=1)
        shape = (len(chosen), spectra.grid.size)
        found = cls(
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
            np.full(shape[0], -1),
            np.full((NEAREST, *shape), np.nan, np.float32),
            np.full((NEAREST, shape[0]), np.nan),
        )
        if not here.any():
            return found
        dataset = SpectraDataset(spectra, rows[here], z=chosen["z"].to_numpy()[here])
        batch = masked(dataset.batch(np.arange(len(dataset))))
        own = torch.from_numpy(latent[here])
        made = scorer.model.reconstruct(own, *batch)
        values = scorer.misfit.statistics(batch, made)
        surprise = scorer.residual_tail.surprise(values, log_snr(chosen["snr"].to_numpy()[here]))
        statistic = surprise.nan_to_num(nan=-1.0).argmax(dim=1)
        norm = torch.from_numpy(dataset.norm)[:, None]
        found.model[here] = made.light * norm
        found.residual[here] = _residual(scorer.misfit, batch, made, statistic)
        found.statistic[here] = statistic
        place = {name: row for row, name in enumerate(scorer.reference.object_id)}
        for i, name in enumerate(_NEIGHBOURS):
            row = np.array([place.get(known, -1) for known in chosen[name][here]])
            neighbour = scorer.reference.latent[row]
            absent = torch.from_numpy(row < 0)
            light = scorer.model.reconstruct(neighbour, *batch).light * norm
            distance = (neighbour - own).double().norm(dim=1)
            found.neighbours[i, here] = light.masked_fill(absent[:, None], torch.nan)
            found.distance[i, here] = distance.masked_fill(absent, torch.nan)
        return found


def _residual(misfit: ModelMisfit, batch: Batch, made: Reconstruction, statistic: Tensor) -> Tensor:
    """Whitened residuals summed over as many pixels as each object's statistic says, (N, L)."""

    scales = torch.tensor([_scale(i) for i in statistic.tolist()])
    residual = torch.full_like(batch.flux, torch.nan)
    for scale in scales.unique().tolist():
        residual[scales == scale] = misfit.whitened(batch, made, scale)[scales == scale]
    return residual


def _scale(statistic: int) -> int:
    """The pixels over which a statistic sums residuals; 1 for none."""

    return int(STATISTICS[statistic].rsplit("_", 1)[1]) if statistic >= 0 else 1


def _anomalies(truth: Spectra | None) -> dict[str, str]:
    """Kinds of the objects that are contaminants."""

    if truth is None:
        return {}
    both = zip(truth.column("object_id"), truth.column("anomaly"), strict=True)
    return {name: kind for name, kind in both if kind != "none"}


def _rows(spectra: Spectra, object_id: pd.Series) -> np.ndarray:
    """Rows of the objects in the shards, the first of each."""

    wanted, row_of = set(object_id), {}
    for row, name in enumerate(spectra.column("object_id")):
        if name in wanted:
            row_of.setdefault(name, row)
    missing = wanted - set(row_of)
    if missing:
        raise UserError(
            f"{spectra.paths[0]}: these shards do not have {min(missing)}, which the catalogue "
            "has; give the shards that it was made from."
        )
    return np.array([row_of[name] for name in object_id])


def _latent(scorer: OutlierScorer, table: pd.DataFrame) -> np.ndarray:
    names = [f"latent_{i}" for i in range(scorer.model.latent_size)]
    return table[names].to_numpy(np.float32)


def _objects(
    chosen: pd.DataFrame, found: _Found, truth: Spectra | None, rows: np.ndarray
) -> pd.DataFrame:
    table = chosen[[column.name for column in _FROM_CATALOGUE]].reset_index(drop=True)
    for name, distance in zip(_NEIGHBOURS, found.distance, strict=True):
        table[f"{name}_distance"] = distance
    table["flag_names"] = [_in_words(flags) for flags in table["outlier_flags"]]
    table["statistic"] = [STATISTICS[i] if i >= 0 else "" for i in found.statistic]
    table["residual_scale"] = [_scale(i) for i in found.statistic]
    if truth is None:
        return table.assign(anomaly="", anomaly_strength=np.nan, anomaly_unit="", true_z=np.nan)
    units = {kind.name: kind.unit for kind in KINDS}
    known = {name: truth.column(name)[rows] for name in ("anomaly", "anomaly_strength")}
    unit = [units.get(kind, "") for kind in known["anomaly"]]
    return table.assign(**known, anomaly_unit=unit, true_z=truth.column("z")[rows])


def _in_words(flags: int) -> str:
    """Names of flags; empty for none."""

    names = (flag.name for flag in OutlierFlag if flag & int(flags))
    return ", ".join(name.lower().replace("_", " ") for name in names)


def _spectra(
    chosen: pd.DataFrame,
    found: _Found,
    spectra: Spectra,
    truth: Spectra | None,
    rows: np.ndarray,
) -> pd.DataFrame:
    pixels = spectra.grid.size
    flux, ivar = spectra.vectors("flux", rows), spectra.vectors("ivar", rows)
    good = (ivar > 0) & np.isfinite(ivar) & np.isfinite(flux)
    noiseless = np.full_like(flux, np.nan) if truth is None else truth.vectors("flux", rows)
    curves = {
        "flux": flux,
        "sigma": np.where(good, ivar, np.nan) ** -0.5,
        "model": found.model,
        "truth": noiseless,
        "residual": found.residual,
        **dict(zip(_NEIGHBOURS, found.neighbours, strict=True)),
    }
    return pd.DataFrame(
        {
            "object_id": np.repeat(chosen["object_id"].to_numpy(), pixels),
            "outlier_rank": np.repeat(chosen["outlier_rank"].to_numpy(), pixels),
            "wavelength": np.tile(spectra.grid.wavelength.astype(np.float32), len(rows)),
            **{name: curve.ravel() for name, curve in curves.items()},
        }
    )


def _latents(
    scorer: OutlierScorer, catalogue: pd.DataFrame, chosen: pd.DataFrame, sample: int, seed: int
) -> pd.DataFrame:
    """Random samples, some contaminants of every kind, the chosen and their neighbours."""

    shuffled = catalogue.sample(frac=1.0, random_state=seed)
    parts = {
        "chosen": catalogue.loc[chosen.index],
        "contaminant": shuffled[shuffled["group"] != ""].groupby("group").head(_SHOWN),
        "sample": shuffled.head(sample),
    }
    table = pd.concat([part.assign(role=role) for role, part in parts.items()])
    table = table.drop_duplicates("object_id").sort_values("outlier_rank", ignore_index=True)

    reference = scorer.reference
    latent, size = reference.latent.numpy(), len(reference.latent)
    drawn = np.random.default_rng(seed).permutation(size)[:sample]
    near = np.isin(reference.object_id, np.unique(chosen[[*_NEIGHBOURS]].astype(str)))
    role = np.where(near, "neighbour", "training")
    rows = np.union1d(drawn, np.flatnonzero(near))
    ordinary = pd.DataFrame({"object_id": reference.object_id[rows], "role": role[rows]})
    ordinary = ordinary.assign(group="", outlier_rank=0, latent_surprise=np.nan)

    axes = _Axes.of(latent)
    coordinates = np.concatenate(
        [axes.coordinates(_latent(scorer, table)), axes.coordinates(latent[rows])]
    )
    columns = [column.name for column in latent_columns(scorer.model.latent_size)]
    both = pd.concat([table[columns[:5]], ordinary[columns[:5]]], ignore_index=True)
    return both.assign(**dict(zip(columns[5:], coordinates.T, strict=True)))


class _Axes(NamedTuple):
    """Directions of largest variance, the centre and the spread along them, each from S values."""

    directions: np.ndarray
    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, latent: np.ndarray) -> "_Axes":
        """Those of latents (N, S): the three quarters nearest to the median, so that outliers do
        not decide them; the latents' own axes if there are hardly any."""

        known, size = latent.astype(np.float64), latent.shape[1]
        if len(known) <= 2 * size:
            return cls(np.eye(size), np.zeros(size), np.ones(size))
        from_median = known - np.median(known, axis=0)
        width = np.median(np.abs(from_median), axis=0)
        distance = ((from_median / np.where(width > 0, width, 1.0)) ** 2).sum(axis=1)
        near = known[distance <= np.quantile(distance, 0.75)]
        _, directions = np.linalg.eigh(np.cov(near.T).reshape(size, size))
        # From the largest to the smallest, and the same sign on every machine.
        directions = directions[:, ::-1]
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, np.arange(size)])
        low, centre, high = np.quantile(known @ directions, [0.16, 0.5, 0.84], axis=0)
        spread = (high - low) / 2
        return cls(directions, centre, np.where(spread > 0, spread, 1.0))

    def coordinates(self, latent: np.ndarray) -> np.ndarray:
        """Of latents, shape (N, S)."""

        return (latent.astype(np.float64) @ self.directions - self.centre) / self.spread
