"""The outlier score: how improbable a spectrum's latents are, and what the model leaves of it.

Latents say what kind of galaxy a spectrum looks like to the model, and their log-probability how
rare that is (Liang et al. 2023, arXiv:2302.02496). What no galaxy looks like is encoded as the
galaxy that comes closest, which may be an ordinary one, and shows in the residuals instead. So both
are turned into surprises among held-out objects, see `uraniborg.spectra.outliers.surprise`:

    outlier_score = residual_surprise + latent_weight x latent_surprise

where the residual surprise is that of the most surprising of the statistics of the residuals, see
`uraniborg.spectra.outliers.misfit`. Of a spectrum with less signal than any held-out object, such
as empty sky, there is nothing that could be improbable but this: `signal_surprise` is added.
"""

from collections.abc import Iterable, Mapping
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.flows import Flow
from uraniborg.nets.weights import load_card, load_weights, save_model
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset, in_range, masked
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.outliers.density import Density, Sample
from uraniborg.spectra.outliers.misfit import STATISTICS, ModelMisfit
from uraniborg.spectra.outliers.surprise import TailCalibration
from uraniborg.spectra.redshift import LEAST_PIXELS
from uraniborg.tables import Spectra

__all__ = [
    "NEAREST",
    "NEIGHBOURS",
    "REFERENCE_SIZE",
    "Objects",
    "OutlierFlag",
    "OutlierScorer",
    "Reference",
    "Scores",
    "density_context",
    "density_sample",
    "encoded",
    "log_snr",
]

NEIGHBOURS = 10
"""Which of the neighbours in the latent space the distance is to."""

NEAREST = 3
"""How many neighbours are named."""

REFERENCE_SIZE = 20_000
"""Most objects that neighbours are sought among."""

# Surprise of one in a hundred.
_ORDINARY = float(np.log(100))

# Distance of latents, in units of their spread, below which two are the same.
_SAME = 1e-3

# Logarithm of the signal-to-noise ratio of nothing.
_NO_SIGNAL = float(np.log(0.01))

# Spectra at a time, what caches hold; always as many, so that matrix products are rounded alike.
_CHUNK = 128


class OutlierFlag(IntFlag):
    """What to know of an object's scores."""

    OUTSIDE_LATENTS = 1
    """A latent is outside the range of the training set."""
    NOT_FINITE = 2
    """A score is not finite, such as without good pixels: the outlier score is missing."""
    LOW_SNR = 4
    """The signal-to-noise ratio is unknown, not positive or less than that of any held-out object,
    which the object is judged as."""
    FEW_PIXELS = 8
    """Fewer than a fifth of the pixels are good."""
    NO_REDSHIFT = 16
    """The redshift is unknown or outside the model's range: nothing is scored."""


class Objects(NamedTuple):
    """What N objects are judged by.

    Attributes:
        latent: Shape (N, S).
        statistics: Of their residuals, shape (N, 4); of latents alone (N, 0).
        log_snr: Logarithms of their signal-to-noise ratios, shape (N,).
    """

    latent: Tensor
    statistics: Tensor
    log_snr: Tensor


class Scores(NamedTuple):
    """What is said of N objects; numbers are NaN where they cannot be had, see `flags`.

    Attributes:
        latent: Shape (N, S).
        log_prob: Natural logarithm of the probability density of the latents, shape (N,), float64.
        log_prob_err: Its standard deviation over the members of the ensemble, shape (N,).
        log_prob_percentile: Share of held-out objects that are less probable, shape (N,).
        latent_surprise: Surprise of -log_prob, in nats, shape (N,).
        residual_surprise: That of the most surprising statistic of the residuals, shape (N,).
        signal_surprise: That of so low a signal-to-noise ratio, 0 unless it is lower than that of
            any held-out object, shape (N,).
        outlier_score: Their weighted sum, shape (N,).
        reduced_chi2: Chi-squared of the model per degree of freedom, shape (N,).
        knn_distance: Distance of the latents to the tenth nearest of the reference, shape (N,).
        neighbours: Rows of the three nearest in the reference, -1 for none, shape (N, 3), int64.
        flags: Sum of `OutlierFlag`, shape (N,), int64.
    """

    latent: Tensor
    log_prob: Tensor
    log_prob_err: Tensor
    log_prob_percentile: Tensor
    latent_surprise: Tensor
    residual_surprise: Tensor
    signal_surprise: Tensor
    outlier_score: Tensor
    reduced_chi2: Tensor
    knn_distance: Tensor
    neighbours: Tensor
    flags: Tensor


class Reference(nn.Module):
    """Ordinary objects, among which neighbours are sought.

    Args:
        latent: Their latents, shape (R, S), more than `NEIGHBOURS`.
        object_id: Their identifiers, R of them.
    """

    def __init__(self, latent: Tensor, object_id: Iterable[str]) -> None:
        super().__init__()
        self.register_buffer("latent", latent.detach().clone())
        # Text as the bytes of UTF-8, which a file of arrays can hold.
        text = np.array([name.encode() for name in object_id])
        characters = text.view(np.uint8).reshape(len(text), -1).copy()
        self.register_buffer("characters", torch.from_numpy(characters))
        self.register_load_state_dict_post_hook(lambda module, _: module._plant())
        self._plant()

    @property
    def object_id(self) -> np.ndarray:
        """The identifiers, shape (R,)."""

        text = self.characters.numpy()
        return np.array([row.tobytes().rstrip(b"\0").decode() for row in text], dtype=object)

    @classmethod
    def of(cls, latent: Tensor, object_id: np.ndarray, size: int = REFERENCE_SIZE) -> Self:
        """Takes evenly spaced rows of a training set, those with finite latents.

        Args:
            latent: Shape (N, S).
            object_id: Shape (N,).
            size: How many at most.
        """

        rows = latent.isfinite().all(dim=1).nonzero()[:, 0].numpy()
        rows = rows[np.linspace(0, len(rows) - 1, min(size, len(rows))).astype(int)]
        return cls(latent[rows], object_id[rows])

    def nearest(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Distances to the `NEIGHBOURS`-th nearest (N,), float64, and rows of the `NEAREST`
        (N, 3) of finite latents (N, S); an object of the reference is no neighbour of itself."""

        distance, row = self._tree.query(latent.numpy(), NEIGHBOURS + 1)
        # Itself, but for rounding, in whatever batch it was encoded.
        first = (distance[:, :1] < _SAME * self._spread).astype(int)
        order = first + np.arange(NEIGHBOURS)
        tenth = np.take_along_axis(distance, order[:, -1:], axis=1)[:, 0]
        return torch.from_numpy(tenth), torch.from_numpy(
            np.take_along_axis(row, order[:, :NEAREST], axis=1)
        )

    def _plant(self) -> None:
        self._tree = cKDTree(self.latent.numpy())
        self._spread = float(self.latent.std(dim=0).mean())


class OutlierScorer(nn.Module):
    """Everything that scores spectra, in one file.

    Args:
        model: The trained autoencoder.
        density: Of its latents, given the logarithm of the signal-to-noise ratio or nothing.
        misfit: Of the autoencoder.
        latent_tail: Calibration of -log_prob.
        residual_tail: Calibration of `STATISTICS`.
        signal_tail: Calibration of minus the logarithm of the signal-to-noise ratio.
        reference: Ordinary objects.
        latent_range: Least and largest latents of the training set, shape (2, S).
        latent_weight: Weight of the latent surprise in the score.

    Example:
        >>> scorer = OutlierScorer.load("scorer.safetensors", "scorer.json")
        >>> scores = scorer.score(batch, log_snr(snr))
    """

    def __init__(
        self,
        model: SpectrumAutoencoder,
        density: Density,
        misfit: ModelMisfit,
        latent_tail: TailCalibration,
        residual_tail: TailCalibration,
        signal_tail: TailCalibration,
        reference: Reference,
        latent_range: Tensor,
        latent_weight: float = 0.25,
    ) -> None:
        super().__init__()
        self.model, self.density, self.misfit = model, density, misfit
        self.latent_tail, self.residual_tail = latent_tail, residual_tail
        self.signal_tail = signal_tail
        self.reference, self.latent_weight = reference, latent_weight
        self.register_buffer("latent_range", latent_range.clone())

    @classmethod
    def of(
        cls,
        model: SpectrumAutoencoder,
        density: Density,
        misfit: ModelMisfit,
        held_out: Objects,
        train: Objects,
        train_id: np.ndarray,
        latent_weight: float = 0.25,
    ) -> Self:
        """Calibrates a scorer.

        Args:
            model: The trained autoencoder.
            density: Of its latents.
            misfit: Of the autoencoder.
            held_out: Objects that none of them was trained on, see `encoded`.
            train: Objects of the training set, of which those that are not among the most
                surprising 1% in any way are the ordinary ones that neighbours are sought among.
            train_id: Identifiers of these objects, shape (N,).
            latent_weight: Weight of the latent surprise in the score.

        Raises:
            UserError: There are too few held-out objects.
        """

        residual_tail = TailCalibration.of(held_out.statistics, held_out.log_snr)
        context = density_context(density, held_out.log_snr, residual_tail.lowest_snr)
        log_prob = density.score(held_out.latent, context).log_prob
        latent_tail = TailCalibration.of(-log_prob[:, None], held_out.log_snr, detrend=False)
        signal_tail = TailCalibration.of(
            -held_out.log_snr[:, None], held_out.log_snr, detrend=False
        )
        context = density_context(density, train.log_snr, residual_tail.lowest_snr)
        surprises = [
            latent_tail.surprise(
                -density.score(train.latent, context).log_prob[:, None], train.log_snr
            ),
            residual_tail.surprise(train.statistics, train.log_snr),
        ]
        ordinary = (torch.cat(surprises, dim=1) < _ORDINARY).all(dim=1)
        finite = train.latent[train.latent.isfinite().all(dim=1)]
        return cls(
            model,
            density,
            misfit,
            latent_tail,
            residual_tail,
            signal_tail,
            Reference.of(train.latent[ordinary], train_id[ordinary.numpy()]),
            torch.stack(finite.aminmax(dim=0)),
            latent_weight,
        ).eval()

    @classmethod
    def load(cls, weights: str | Path, card: str | Path, misfit_floor: float = 0.0) -> Self:
        """Reads a scorer, ready for use.

        Args:
            weights: The safetensors file.
            card: The JSON file.
            misfit_floor: Least fraction of the light that the model is taken to miss. Real spectra
                differ from simulated ones, which does not make them outliers: 0.05 for them.

        Raises:
            UserError: A file is damaged or they do not belong together.
        """

        sizes = load_card(card)["architecture"]
        grid = WavelengthGrid(**sizes["grid"])
        model = SpectrumAutoencoder.build(sizes["autoencoder"], grid)
        with torch.random.fork_rng(devices=()):
            flows = [Flow(**sizes["flow"]) for _ in range(sizes["members"])]
        number = sizes["reference"]
        scorer = cls(
            model,
            Density(flows, torch.zeros(sizes["held_out"])),
            ModelMisfit(model.transform),
            TailCalibration(1),
            TailCalibration(len(STATISTICS)),
            TailCalibration(1),
            Reference(torch.zeros(number, model.latent_size), ["-" * sizes["characters"]] * number),
            torch.zeros(2, model.latent_size),
            sizes["latent_weight"],
        )
        load_weights(weights, scorer)
        scorer.misfit.at_least(misfit_floor)
        return scorer.eval()

    def save(
        self,
        weights: str | Path,
        card: str | Path,
        autoencoder: Mapping[str, Any],
        contents: Mapping[str, Any],
    ) -> None:
        """Writes the scorer with all its parts.

        Args:
            weights: The safetensors file.
            card: The JSON file.
            autoencoder: What the autoencoder's card says.
            contents: What the card says besides the `architecture`.
        """

        architecture = {
            "autoencoder": autoencoder["architecture"],
            "grid": autoencoder["grid"],
            "flow": self.density.flows[0].architecture,
            "members": len(self.density.flows),
            "held_out": len(self.density.held_out),
            "reference": len(self.reference.latent),
            "characters": self.reference.characters.shape[1],
            "latent_weight": self.latent_weight,
        }
        save_model(weights, card, self, {"architecture": architecture, **contents})

    def score(self, batch: Batch, log_snr: Tensor) -> Scores:
        """Scores spectra, whatever they are: what cannot be scored is flagged.

        No object's scores depend on which others are with it, but for the rounding of matrix
        products.

        Args:
            batch: N spectra. What is not finite is masked, and redshifts may be missing.
            log_snr: Logarithms of their signal-to-noise ratios, shape (N,), see `log_snr`.
        """

        # At least one chunk, so that of no object there are all the scores, too.
        parts = [
            self._score(
                Batch(*(x[start : start + _CHUNK] for x in batch)), log_snr[start:][:_CHUNK]
            )
            for start in range(0, max(len(log_snr), 1), _CHUNK)
        ]
        return Scores(*map(torch.cat, zip(*parts, strict=True)))

    @torch.inference_mode()
    def _score(self, batch: Batch, log_snr: Tensor) -> Scores:
        number, more = len(log_snr), _CHUNK - len(log_snr)
        flux, ivar = (nn.functional.pad(x, (0, 0, 0, more)) for x in (batch.flux, batch.ivar))
        z, log_snr = (nn.functional.pad(x, (0, more), value=torch.nan) for x in (batch.z, log_snr))
        spectra, known, scored = _encodable(self.model, Batch(flux, ivar, z))
        made = self.model(*spectra)
        statistics = self.misfit.statistics(spectra, made)
        context = density_context(self.density, log_snr, self.residual_tail.lowest_snr)
        log_prob, spread, _ = self.density.score(made.latent, context)
        latent_surprise = self.latent_tail.surprise(-log_prob[:, None], log_snr)[:, 0]
        residual_surprise = self.residual_tail.surprise(statistics, log_snr).amax(dim=1)
        signal_surprise = self._signal_surprise(log_snr)
        score = residual_surprise + self.latent_weight * latent_surprise + signal_surprise
        encodes = made.latent.isfinite().all(dim=1)
        distance, row = self.reference.nearest(made.latent.where(encodes[:, None], 0))
        chi2 = reduced_chi2(
            spectra.flux, spectra.ivar, made.observed, self.model.parameters_per_object
        )
        low, high = self.latent_range
        flags = {
            OutlierFlag.OUTSIDE_LATENTS: scored
            & ((made.latent < low) | (made.latent > high)).any(dim=1),
            OutlierFlag.NOT_FINITE: known & ~(scored & score.isfinite()),
            # Also if it is not a number.
            OutlierFlag.LOW_SNR: ~(log_snr >= self.residual_tail.lowest_snr),
            OutlierFlag.FEW_PIXELS: (spectra.ivar > 0).double().mean(dim=1) < LEAST_PIXELS,
            OutlierFlag.NO_REDSHIFT: ~known,
        }
        numbers = (
            made.latent.masked_fill(~scored[:, None], torch.nan),
            *(
                x.masked_fill(~scored, torch.nan)
                for x in (
                    log_prob,
                    spread,
                    self.density.percentile(log_prob),
                    latent_surprise,
                    residual_surprise,
                    signal_surprise,
                    score,
                    chi2,
                    distance.masked_fill(~encodes, torch.nan),
                )
            ),
            row.masked_fill(~(scored & encodes)[:, None], -1),
            sum(int(flag) * holds.long() for flag, holds in flags.items()),
        )
        return Scores(*(x[:number] for x in numbers))

    def _signal_surprise(self, log_snr: Tensor) -> Tensor:
        """How surprising it is to see so little, shape (N,)."""

        # No signal at all counts as a hundredth of the noise.
        known = log_snr.where(log_snr.isfinite(), _NO_SIGNAL).clamp_min(_NO_SIGNAL)
        surprise = self.signal_tail.surprise(-known[:, None], known)[:, 0]
        return surprise.where(known < self.signal_tail.lowest_snr, 0)


@torch.inference_mode()
def encoded(
    model: SpectrumAutoencoder,
    misfit: ModelMisfit | None,
    dataset: SpectraDataset,
    snr: np.ndarray,
) -> Objects:
    """What the objects of a set are judged by, NaN for what cannot be scored.

    Args:
        model: The trained autoencoder.
        misfit: Its misfit; without, there are latents and no statistics.
        dataset: The objects.
        snr: Their signal-to-noise ratios, shape (N,).
    """

    parts = []
    for batch in dataset.batches(_CHUNK):
        spectra, _, scored = _encodable(model, batch)
        latent = model.encode(*spectra)
        statistics = latent[:, :0]
        if misfit is not None:
            statistics = misfit.statistics(spectra, model.reconstruct(latent, *spectra))
        unknown = ~scored[:, None]
        parts.append([x.masked_fill(unknown, torch.nan) for x in (latent, statistics)])
    return Objects(*map(torch.cat, zip(*parts, strict=True)), log_snr(snr))


def density_sample(
    model: SpectrumAutoencoder, spectra: Spectra, rows: np.ndarray, given_snr: bool
) -> Sample:
    """What a density of latents is trained on, NaN for what cannot be encoded.

    Args:
        model: The trained autoencoder.
        spectra: The survey.
        rows: Row numbers of the objects.
        given_snr: Whether its context is the logarithm of their signal-to-noise ratio, or nothing.
    """

    snr = spectra.column("snr")[rows]
    latent, _, ratio = encoded(model, None, SpectraDataset(spectra, rows), snr)
    return Sample(latent, ratio[:, None][:, : int(given_snr)].float())


def log_snr(snr: np.ndarray) -> Tensor:
    """Logarithms of signal-to-noise ratios, NaN where these are not positive, shape (N,)."""

    snr = torch.as_tensor(np.array(snr, np.float64))
    return torch.where(snr > 0, snr, torch.nan).log()


def density_context(density: Density, log_snr: Tensor, lowest: float) -> Tensor:
    """What a density of latents is asked given: the logarithm of the signal-to-noise ratio, shape
    (N, 1), or nothing, shape (N, 0), as it was trained.

    Args:
        density: The density.
        log_snr: The logarithms, shape (N,).
        lowest: What stands for those that are not finite.
    """

    known = log_snr.where(log_snr.isfinite(), lowest)
    return known[:, None].expand(-1, density.flows[0].context).float()


def _encodable(model: SpectrumAutoencoder, batch: Batch) -> tuple[Batch, Tensor, Tensor]:
    """Masked spectra at redshifts that the model covers, which of these are their own (N,), and
    which spectra can be scored because they have a good pixel besides (N,)."""

    spectra, z_range = masked(batch), (model.transform.z_min, model.transform.z_max)
    known = in_range(batch.z, z_range)
    scored = known & (spectra.ivar > 0).any(dim=1)
    # At any other redshift: what is made of them is discarded.
    return spectra._replace(z=batch.z.where(known, sum(z_range) / 2)), known, scored
