"""What others do to find outliers: the error of a linear reconstruction, and isolation forests."""

from collections.abc import Iterable
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.ensemble import IsolationForest
from torch import Tensor

from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch, SpectraDataset, in_range, masked
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Column, Spectra

__all__ = ["BASELINE_COLUMNS", "Baselines"]

BASELINE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("pca_reduced_chi2", pa.float64(), "", "Chi-squared per degree of freedom of a PCA"),
    Column("pca_mean_square", pa.float64(), "", "Mean squared residual of it, not weighted"),
    Column("isolation_forest", pa.float64(), "", "Isolation forest's score of its coefficients"),
)
"""One row per object; the larger, the more of an outlier."""

_BATCH = 256


class Baselines:
    """Principal components of ordinary spectra, and an isolation forest on their coefficients.

    Components are fitted and applied with weights, at the redshift of each object, so that neither
    gaps nor noise stand in their way. How far a spectrum is from what they can make of it is told
    in two forms: weighted by inverse variance, and as the plain mean of squares that is mostly
    used.

    Args:
        encoder: Gives the coefficients; its network is not used.
        forest: Fitted to coefficients (N, K).

    Example:
        >>> baselines = Baselines.of(SpectraDataset(spectra, train).batches(256), transform)
        >>> table = baselines.table(other_spectra)
    """

    def __init__(self, encoder: RestframeEncoder, forest: IsolationForest) -> None:
        self.encoder, self.forest = encoder, forest

    @classmethod
    def of(
        cls,
        batches: Iterable[Batch],
        transform: RedshiftTransform,
        components: int = 10,
        trees: int = 100,
        seed: int = 0,
    ) -> Self:
        """Fits them.

        Args:
            batches: Training objects, which are held in memory a few times.
            transform: From rest frame to data.
            components: Number K of principal components besides the mean.
            trees: Of the isolation forest (Liu, Ting & Zhou 2008), each of 256 objects.
            seed: Of the random start of the components, and of the forest.
        """

        batches = list(batches)
        basis = fit_basis(batches, transform, components, seed=seed)
        with torch.random.fork_rng(devices=()):
            encoder = RestframeEncoder(components, transform, *basis).eval()
        with torch.inference_mode():
            coefficients = torch.cat([encoder.coefficients(*batch)[1] for batch in batches])
        forest = IsolationForest(n_estimators=trees, random_state=seed, n_jobs=1)
        return cls(encoder, forest.fit(coefficients.numpy()))

    def table(self, spectra: Spectra, z: np.ndarray | None = None) -> pd.DataFrame:
        """Scores the spectra of a shard, a batch in memory at a time.

        Args:
            spectra: The shard.
            z: Redshifts at which they are judged, by default those of the shard.

        Returns:
            The columns `BASELINE_COLUMNS`, one row per spectrum in order; NaN without good pixels
            or a redshift within the range of the transform.
        """

        z = torch.from_numpy(np.array(spectra.column("z") if z is None else z, np.float64))
        dataset = SpectraDataset(spectra, z=np.zeros(len(spectra)))
        # At least one batch, so that of no spectrum there are all the columns, too.
        starts = range(0, max(len(spectra), 1), _BATCH)
        parts = [
            self._scores(dataset.batch(rows)._replace(z=z[rows]))
            for rows in (np.arange(start, min(start + _BATCH, len(spectra))) for start in starts)
        ]
        names = [column.name for column in BASELINE_COLUMNS[1:]]
        table = pd.DataFrame(np.concatenate(parts), columns=names)
        table.insert(0, "object_id", spectra.column("object_id"))
        return table

    @torch.inference_mode()
    def _scores(self, batch: Batch) -> np.ndarray:
        """The three scores of N spectra, shape (N, 3)."""

        batch, transform = masked(batch), self.encoder.transform
        known = in_range(batch.z, (transform.z_min, transform.z_max))
        scored = known & (batch.ivar > 0).any(dim=1)
        scores = np.full((len(batch.z), 3), np.nan)
        if scored.any():
            scores[scored.numpy()] = self._of_good(Batch(*(column[scored] for column in batch)))
        return scores

    def _of_good(self, batch: Batch) -> np.ndarray:
        amplitude, coefficients = self.encoder.coefficients(*batch)
        restframe = self.encoder.mean + coefficients @ self.encoder.basis
        model = self.encoder.transform(amplitude[:, None] * restframe, batch.z)
        parameters = coefficients.shape[1] + 1
        scores = (
            reduced_chi2(*batch[:2], model, parameters),
            _mean_square(batch.flux - model, batch.ivar > 0),
            -self.forest.score_samples(coefficients.numpy()),
        )
        return np.stack(scores, axis=1)


def _mean_square(residual: Tensor, good: Tensor) -> Tensor:
    return (residual.square() * good).sum(dim=1) / good.sum(dim=1)
