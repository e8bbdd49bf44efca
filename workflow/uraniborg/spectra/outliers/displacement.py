"""How far latents are displaced: by moving a spectrum in redshift, or by a wrong redshift.

Distances are told in units of that to the tenth neighbour, see `Displacements`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uraniborg.spectra.augmentation import augmented
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.estimated_redshift import EstimatedRedshiftEncoder

__all__ = [
    "Displacements",
    "Encode",
    "displacements",
    "encoded_by",
    "estimated_redshift_displacements",
    "moved",
    "rows_of",
    "tenth_neighbour",
    "wrong_redshift_displacements",
]

Encode = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Flux (N, L), ivar (N, L) and redshifts (N,) to latents (N, S)."""

_CHUNK = 256


class Displacements(NamedTuple):
    """How far the latents of N objects move under R changes of redshift.

    Attributes:
        at: What the change is: the redshift moved to, or the error of the one given, shape (R,).
        distance: From the latent before, NaN where not measured, shape (R, ..., N).
        tenth: Distance of M held-out objects to their tenth neighbours, shape (M,).
    """

    at: np.ndarray
    distance: np.ndarray
    tenth: np.ndarray

    @property
    def value(self) -> float:
        """Median distance over objects and changes, over the median of `tenth`."""

        return float(_ratio(np.nanmedian(self.distance), np.median(self.tenth)))

    def bootstrap(self, draws: int = 200, seed: int = 0) -> np.ndarray:
        """The value of samples of objects with replacement, shape (draws,).

        With the same seed, samples are the same for any latents of the same objects.
        """

        return np.array([part.value for part in self._samples(draws, seed)])

    def number(self, draws: int = 200, seed: int = 0) -> dict[str, float]:
        """`value`, its standard error by bootstrap over objects `uncertainty`, and `n` objects."""

        uncertainty = np.nan if np.isinf(self.value) else self.bootstrap(draws, seed).std()
        return {"value": self.value, "uncertainty": float(uncertainty), "n": self._objects}

    def reach(self, limit: float = 1.0, draws: int = 200, seed: int = 0) -> dict[str, float]:
        """Where the median of the distances, in the same units, first exceeds a limit.

        It is interpolated between logarithms, and NaN if they never do or always.
        """

        drawn = [_crossing(part.at, part._medians, limit) for part in self._samples(draws, seed)]
        return {
            "value": _crossing(self.at, self._medians, limit),
            "uncertainty": float(np.nanstd(drawn)) if np.isfinite(drawn).any() else np.nan,
            "n": self._objects,
        }

    def table(self) -> pd.DataFrame:
        """`at`, `median`, `low`, `high` (16th and 84th percentiles) and `n` per change, in units
        of the median of `tenth`."""

        distance = self.distance.reshape(len(self.at), -1)
        quantiles = np.nanquantile(distance, [0.5, 0.16, 0.84], axis=1)
        median, low, high = _ratio(quantiles, np.median(self.tenth))
        measured = np.isfinite(self.distance).reshape(len(self.at), -1, self.distance.shape[-1])
        columns = {"at": self.at, "median": median, "low": low, "high": high}
        return pd.DataFrame({**columns, "n": measured.any(axis=1).sum(axis=1)})

    def _samples(self, draws: int, seed: int) -> list["Displacements"]:
        random = np.random.default_rng(seed)
        sizes = self.distance.shape[-1], len(self.tenth)
        samples = ([random.integers(size, size=size) for size in sizes] for _ in range(draws))
        return [
            Displacements(self.at, self.distance[..., rows], self.tenth[others])
            for rows, others in samples
        ]

    @property
    def _objects(self) -> int:
        return self.distance.shape[-1]

    @property
    def _medians(self) -> np.ndarray:
        medians = np.nanmedian(self.distance.reshape(len(self.at), -1), axis=1)
        return _ratio(medians, np.median(self.tenth))


def moved(batch: Batch, step: float, z: float) -> Batch:
    """Spectra as they would be observed at another redshift, to half a pixel; the data themselves
    are shifted, so that what leaves the range is lost and what enters it is unknown.

    Args:
        batch: Spectra on a log10 grid.
        step: Distance between its pixels in dex.
        z: The redshift.
    """

    return augmented(batch, step, (z, z), noise=0.0, noisy=0.0, masked=0.0)


def tenth_neighbour(latent: Tensor) -> Tensor:
    """Distances of latents (N, S) to their tenth neighbours (the last, if there are fewer)."""

    # Not by products of matrices, in which small distances cancel.
    distances = torch.cdist(latent, latent, compute_mode="donot_use_mm_for_euclid_dist")
    # The nearest is the object itself.
    return distances.kthvalue(min(11, len(latent)), dim=1)[0]


@torch.inference_mode()
def displacements(
    encode: Encode,
    batch: Batch,
    step: float,
    redshifts: Sequence[float],
    objects: int | None = None,
    noiseless: Tensor | None = None,
    shuffle: int | None = None,
) -> Displacements:
    """How far latents move when spectra are moved to other redshifts.

    Moving the data moves their noise as well: an encoder may read off where the sky is bright by
    how far they were moved, which nothing would tell it of a galaxy observed there. Noiseless
    spectra can be moved without: what is at a redshift then is as noisy as the detector's pixels.

    Args:
        encode: Latents of flux, ivar and z; the redshift is moved with the spectrum.
        batch: Held-out spectra, among which neighbours are counted.
        step: Distance between pixels in dex.
        redshifts: Redshifts to move to.
        objects: How many of them are moved, evenly over the batch; all by default.
        noiseless: What the spectra are without noise and gaps, shape (N, L), to be moved instead
            while the inverse variance stays where it is.
        shuffle: Seed of a control in which moved spectra are held against other objects.
    """

    latent = encoded_by(encode, batch)
    rows = _some(len(latent), objects)
    few = rows_of(batch, rows)
    if noiseless is None:
        start, copies = latent[rows], (moved(few, step, z) for z in redshifts)
    else:
        clean = Batch(noiseless[rows], torch.ones_like(few.ivar), few.z)
        start = encoded_by(encode, _reobserved(clean, few.ivar))
        copies = (_reobserved(moved(clean, step, z), few.ivar) for z in redshifts)
    if shuffle is not None:
        start = start[_derangement(len(rows), shuffle)]
    distance = [(encoded_by(encode, there) - start).norm(dim=1) for there in copies]
    return Displacements(
        np.asarray(redshifts, float),
        torch.stack(distance).double().numpy(),
        tenth_neighbour(latent).double().numpy(),
    )


@torch.inference_mode()
def wrong_redshift_displacements(
    model: SpectrumAutoencoder, batch: Batch, errors: Sequence[float], objects: int | None = None
) -> Displacements:
    """How far latents move when spectra stay and their redshifts are wrong, by either sign.

    Args:
        model: The trained model.
        batch: Held-out spectra at the right redshifts.
        errors: Values of |wrong z - z| / (1 + z). What leaves the model's range is NaN.
        objects: How many are given wrong redshifts, evenly over the batch; all by default.

    Returns:
        Distances of shape (R, 2, N), by error, sign and object.
    """

    latent = encoded_by(model.encode, batch)
    rows = _some(len(latent), objects)
    few, low, high = rows_of(batch, rows), model.transform.z_min, model.transform.z_max
    distance = torch.full((len(errors), 2, len(rows)), torch.nan)
    for i, error in enumerate(errors):
        for j, sign in enumerate((-1, 1)):
            wrong = few.z + sign * error * (1 + few.z)
            inside = (wrong >= low) & (wrong <= high)
            given = Batch(few.flux[inside], few.ivar[inside], wrong[inside])
            moved_to = encoded_by(model.encode, given)
            distance[i, j, inside] = (moved_to - latent[rows][inside]).norm(dim=1)
    tenth = tenth_neighbour(latent).double().numpy()
    return Displacements(np.asarray(errors, float), distance.double().numpy(), tenth)


@torch.inference_mode()
def estimated_redshift_displacements(
    model: SpectrumAutoencoder,
    batch: Batch,
    step: float,
    redshifts: Sequence[float],
    objects: int | None = None,
) -> tuple[Displacements, np.ndarray]:
    """How far from home moved spectra are encoded at redshifts that are estimated from them.

    Home is the latent of the spectrum where it was observed, at its right redshift: unlike the
    other displacements, this one includes what the estimate gets wrong there.

    Args:
        model: A trained autoencoder whose encoder has a rest-frame basis.
        batch: Held-out spectra at the right redshifts.
        step: Distance between pixels in dex.
        redshifts: Redshifts to move to.
        objects: How many are moved, evenly over the batch; all by default.

    Returns:
        The displacements, and the errors (estimated z - z) / (1 + z) of shape (R, N).
    """

    latent = encoded_by(model.encode, batch)
    rows = _some(len(latent), objects)
    encoder, few = EstimatedRedshiftEncoder(model), rows_of(batch, rows)
    distance, errors = [], []
    for z in redshifts:
        there = moved(few, step, z)
        found, estimate = encoder.with_redshift(there.flux, there.ivar)
        distance.append((found - latent[rows]).norm(dim=1))
        errors.append((estimate - there.z) / (1 + there.z))
    result = Displacements(
        np.asarray(redshifts, float),
        torch.stack(distance).double().numpy(),
        tenth_neighbour(latent).double().numpy(),
    )
    return result, torch.stack(errors).numpy()


@torch.inference_mode()
def encoded_by(encode: Encode, batch: Batch) -> Tensor:
    """Latents (N, S), some spectra at a time."""

    parts = zip(*(column.split(_CHUNK) for column in batch), strict=True)
    return torch.cat([encode(*part) for part in parts])


def rows_of(batch: Batch, rows: Tensor) -> Batch:
    """Some spectra of a batch."""

    return Batch(*(column[rows] for column in batch))


def _reobserved(clean: Batch, ivar: Tensor) -> Batch:
    """Noiseless spectra, whose ivar says where they are known, with the detector's ivar."""

    weight = torch.where(clean.ivar > 0, ivar, 0)
    return Batch(torch.where(weight > 0, clean.flux, 0), weight, clean.z)


def _some(number: int, most: int | None) -> Tensor:
    """Rows spread evenly, as surveys may be ordered."""

    return torch.linspace(0, number - 1, min(number, most or number)).long()


def _derangement(number: int, seed: int) -> Tensor:
    """An order in which nothing is in its place."""

    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    return order.roll(1)[order.argsort()]


def _ratio(distance: np.ndarray, unit: float) -> np.ndarray:
    """Distances in a unit; infinite where all latents are the same, which is no invariance."""

    return distance / unit if unit > 0 else np.full_like(distance, np.inf)


def _crossing(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """Where y first exceeds a limit between logarithms, NaN if it never or always does."""

    above = np.flatnonzero(y > limit)
    if len(above) == 0 or above[0] == 0:
        return float("nan")
    pair = slice(above[0] - 1, above[0] + 1)
    return float(10 ** np.interp(np.log10(limit), np.log10(y[pair]), np.log10(x[pair])))
