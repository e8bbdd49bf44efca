"""How well redshifts are found again, and what wrong ones do to an autoencoder."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn

from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.redshift import RedshiftEstimator
from uraniborg.tables import Column, Spectra

__all__ = [
    "LIKELIHOOD_COLUMNS",
    "RECOVERY_COLUMNS",
    "WRONG_COLUMNS",
    "degraded",
    "halpha_width",
    "likelihood_table",
    "recovery_table",
    "shifted",
    "shuffled",
    "wrong_redshift_table",
]

HALPHA = (6530.0, 6620.0)
"""Rest-frame window of Halpha and [N II] in Angstrom; the continuum is that 50 Angstrom beside."""

RECOVERY_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("search", pa.string(), "", "What was searched: see recovery_table"),
    Column("kind", pa.string(), "", "What the object is, empty for real data"),
    Column("anomaly", pa.string(), "", "What is unusual about it, none if nothing is"),
    Column("halpha_width", pa.float64(), "Angstrom", "Equivalent width of Halpha + [N II], truth"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("z_true", pa.float64(), "", "True redshift, of real data the catalogue's"),
    Column("z_start", pa.float64(), "", "Where the search started, NaN if anywhere"),
    Column("z", pa.float64(), "", "Estimated redshift"),
    Column("z_err", pa.float64(), "", "Its standard error"),
    Column("zwarning", pa.int64(), "", "Warning flags of the estimate, 0 for none"),
    Column("delta_chi2", pa.float64(), "", "Chi-squared of the second best redshift over the best"),
)
"""Columns of redshifts that were looked for."""

LIKELIHOOD_COLUMNS = (
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("z_true", pa.float64(), "", "True redshift"),
    Column("z", pa.float64(), "", "Redshift"),
    Column("delta_chi2", pa.float64(), "", "-2 ln likelihood above the best redshift"),
)
"""Columns of likelihoods over redshift."""

WRONG_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("halpha_width", pa.float64(), "Angstrom", "Equivalent width of Halpha + [N II], truth"),
    Column("offset", pa.float64(), "", "(wrong z - true z) / (1 + true z)"),
    Column("reduced_chi2", pa.float64(), "", "Chi-squared of the model per degree of freedom"),
    Column(
        "displacement", pa.float64(), "", "Latent distance moved over that to the tenth neighbour"
    ),
)
"""Columns of what wrong redshifts do."""


def recovery_table(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    truth: Spectra | None,
    rows: np.ndarray,
    half_width: float,
    degrade_to: Sequence[float],
    control_objects: int,
    seed: int,
) -> pd.DataFrame:
    """Looks for the redshifts of a survey in several ways.

    `start` searches within `half_width` of a start that is displaced from the catalogue's redshift
    by anything up to that; `everywhere` searches all that the model covers; `degraded` does so
    with noise added down to a signal-to-noise ratio. Three controls search from the start as well
    and must fail: `shuffled` has its pixels in random order, `shifted` a model whose rest frame is
    off by 1%, `noise` nothing but noise.

    Args:
        model: The trained autoencoder.
        spectra: The survey.
        truth: Its truth in the same order, if it is simulated.
        rows: Rows to look at.
        half_width: See above.
        degrade_to: Signal-to-noise ratios of `degraded`.
        control_objects: How many of the rows are degraded and used for the controls.
        seed: Of starts, noise and order.

    Returns:
        The columns of `RECOVERY_COLUMNS`.
    """

    generator = torch.Generator().manual_seed(seed)
    estimator = RedshiftEstimator(model)
    dataset = SpectraDataset(spectra, rows)
    facts = _facts(spectra, truth, rows)
    displaced = half_width * (2 * torch.rand(len(rows), generator=generator).double() - 1)
    start = (dataset.z + displaced).clamp(estimator.z[0], estimator.z[-1])
    parts = []
    for first in range(0, len(rows), 256):
        here = np.arange(first, min(first + 256, len(rows)))
        batch, known = dataset.batch(here), facts.iloc[here]
        parts.append(_search("start", estimator, batch, known, start[here], half_width))
        parts.append(_search("everywhere", estimator, batch, known, None, half_width))
    few = np.arange(min(control_objects, len(rows)))
    batch, known, start = dataset.batch(few), facts.iloc[few], start[few]
    for snr in degrade_to:
        worse, reached = degraded(batch, known["snr"].to_numpy(), snr, generator)
        parts.append(
            _search("degraded", estimator, worse, known.assign(snr=reached), None, half_width)
        )
    noise = torch.randn(batch.flux.shape, generator=generator)
    noise = torch.where(batch.ivar > 0, noise * batch.ivar.rsqrt(), 0.0)
    displaced_model = RedshiftEstimator(shifted(model, 0.01))
    for name, tested, data in (
        ("shuffled", estimator, shuffled(batch, generator)),
        ("shifted", displaced_model, batch),
        ("noise", estimator, batch._replace(flux=noise)),
    ):
        parts.append(_search(name, tested, data, known, start, half_width))
    return pd.concat(parts, ignore_index=True)[[column.name for column in RECOVERY_COLUMNS]]


def _search(
    name: str,
    estimator: RedshiftEstimator,
    batch: Batch,
    known: pd.DataFrame,
    start: Tensor | None,
    half_width: float,
) -> pd.DataFrame:
    found = estimator.estimate(batch.flux, batch.ivar, start, half_width)
    names = ("z", "z_err", "zwarning", "delta_chi2")
    columns = {key: getattr(found, key).numpy() for key in names}
    return known.assign(search=name, z_start=np.nan if start is None else start.numpy(), **columns)


def _facts(spectra: Spectra, truth: Spectra | None, rows: np.ndarray) -> pd.DataFrame:
    """What is known of the objects before their redshifts are looked for."""

    table = pd.DataFrame({name: spectra.column(name)[rows] for name in ("object_id", "snr")})
    z = spectra.column("z")[rows]
    if truth is None:
        return table.assign(kind="", anomaly="none", halpha_width=np.nan, z_true=z)
    for name in ("kind", "anomaly"):
        table[name] = truth.column(name)[rows]
    table["z_true"] = truth.column("z")[rows]
    flux = truth.vectors("flux", rows)
    table["halpha_width"] = halpha_width(flux, truth.grid.wavelength, table["z_true"].to_numpy())
    return table


def halpha_width(flux: np.ndarray, wavelength: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Rest-frame equivalent width of Halpha and [N II] in emission, in Angstrom, shape (N,).

    Args:
        flux: Noiseless spectra, shape (N, L).
        wavelength: Of the observed frame in Angstrom, shape (L,).
        z: Redshifts, shape (N,). Where they move the lines out of the spectra, the width is NaN.
    """

    rest = wavelength / (1 + z[:, None])
    low, high = HALPHA
    line = (rest >= low) & (rest <= high)
    beside = ~line & (rest >= low - 50) & (rest <= high + 50)
    covered = (rest[:, 0] < low - 50) & (rest[:, -1] > high + 50)
    with np.errstate(invalid="ignore", divide="ignore"):
        continuum = (flux * beside).sum(axis=1) / beside.sum(axis=1)
        excess = (flux / continuum[:, None] - 1) * np.gradient(wavelength) / (1 + z[:, None])
        return np.where(covered, (excess * line).sum(axis=1), np.nan)


def degraded(
    batch: Batch, snr: np.ndarray, target: float, generator: torch.Generator
) -> tuple[Batch, np.ndarray]:
    """Spectra with noise added so that their signal-to-noise ratio becomes `target`, and what it is
    then; those that are below it stay as they are."""

    factor = np.maximum(snr / target, 1)
    more = torch.from_numpy(np.sqrt(factor**2 - 1).astype(np.float32))[:, None]
    noise = more * torch.randn(batch.flux.shape, generator=generator)
    flux = torch.where(batch.ivar > 0, batch.flux + noise * batch.ivar.rsqrt(), 0.0)
    scale = torch.from_numpy(factor.astype(np.float32))[:, None]
    return Batch(flux, batch.ivar / scale.square(), batch.z), snr / factor


def shuffled(batch: Batch, generator: torch.Generator) -> Batch:
    """Spectra whose pixels are in another order."""

    order = torch.randperm(batch.flux.shape[1], generator=generator)
    return Batch(batch.flux[:, order], batch.ivar[:, order], batch.z)


def shifted(model: SpectrumAutoencoder, by: float) -> SpectrumAutoencoder:
    """A model whose rest-frame spectra are stretched by 1 + `by`, rounded to pixels."""

    pixels = round(np.log10(1 + by) / model.transform.restframe.step)
    encoder = model.encoder
    mean, basis = encoder.mean.roll(pixels), encoder.basis.roll(pixels, dims=1)
    displaced = RestframeEncoder(
        encoder.latent_size, model.transform, mean, basis, encoder.variance
    )
    displaced.network = encoder.network
    decoder = nn.Sequential(model.decoder, _Roll(pixels))
    return SpectrumAutoencoder(displaced, decoder, model.transform, model.amplitude).eval()


class _Roll(nn.Module):
    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, restframe: Tensor) -> Tensor:
        return restframe.roll(self.pixels, dims=1)


def likelihood_table(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    truth: Spectra | None,
    row: int,
    degrade_to: Sequence[float],
    seed: int,
) -> pd.DataFrame:
    """Likelihoods over redshift of one spectrum as observed and degraded.

    Returns:
        The columns of `LIKELIHOOD_COLUMNS`.
    """

    generator = torch.Generator().manual_seed(seed)
    estimator = RedshiftEstimator(model)
    batch = SpectraDataset(spectra, np.array([row])).batch(np.array([0]))
    observed = spectra.column("snr")[[row]]
    z_true = (spectra if truth is None else truth).column("z")[row]
    parts = []
    for target in (observed[0], *degrade_to):
        worse, snr = degraded(batch, observed, target, generator)
        likelihood = estimator.log_likelihood(worse.flux, worse.ivar)[0]
        columns = {"z": estimator.z, "delta_chi2": 2 * (likelihood.max() - likelihood)}
        part = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
        parts.append(part.assign(snr=snr[0], z_true=z_true))
    return pd.concat(parts, ignore_index=True)[[column.name for column in LIKELIHOOD_COLUMNS]]


@torch.inference_mode()
def wrong_redshift_table(
    model: SpectrumAutoencoder,
    spectra: Spectra,
    truth: Spectra | None,
    rows: np.ndarray,
    offsets: Sequence[float],
    objects: int,
) -> pd.DataFrame:
    """Fit and latents of the model when it is given wrong redshifts.

    Args:
        model: The trained autoencoder.
        spectra: The survey.
        truth: Its truth in the same order, if it is simulated.
        rows: Rows among which latents have their neighbours; anomalies among them do not count.
        offsets: Values of (wrong z - true z) / (1 + true z).
        objects: How many of the rows are given wrong redshifts. What an offset takes out of the
            model's range is left out.

    Returns:
        The columns of `WRONG_COLUMNS`.
    """

    if truth is not None:
        rows = rows[truth.column("anomaly")[rows] == "none"]
    dataset = SpectraDataset(spectra, rows)
    latent = torch.cat([model.encode(*batch) for batch in dataset.batches(256)])
    facts = _facts(spectra, truth, rows[:objects])
    batch = dataset.batch(np.arange(len(facts)))
    z = torch.from_numpy(facts["z_true"].to_numpy().copy())
    neighbours = min(10, len(latent) - 1)
    # The nearest is the object itself.
    distances = torch.cdist(latent[: len(facts)], latent)
    tenth = distances.topk(neighbours + 1, largest=False)[0][:, -1]
    parts = []
    for offset in offsets:
        wrong = z + offset * (1 + z)
        inside = (wrong >= model.transform.z_min) & (wrong <= model.transform.z_max)
        data = Batch(batch.flux[inside], batch.ivar[inside], wrong[inside])
        reconstruction = model(*data)
        chi2 = reduced_chi2(*data[:2], reconstruction.observed, model.parameters_per_object)
        moved = (reconstruction.latent - latent[: len(facts)][inside]).norm(dim=1) / tenth[inside]
        columns = {"reduced_chi2": chi2.numpy(), "displacement": moved.numpy()}
        known = facts.loc[inside.numpy(), ["object_id", "halpha_width"]]
        parts.append(known.assign(offset=offset, **columns))
    return pd.concat(parts, ignore_index=True)[[column.name for column in WRONG_COLUMNS]]
