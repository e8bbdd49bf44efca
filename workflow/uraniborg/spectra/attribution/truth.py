"""Where a simulated outlier is anomalous: what an attribution should point at.

The truth of a simulated survey says what an anomaly adds to the noiseless spectrum. The pixels that
hold the most significant 90% of it are the true window. Of spectral lines, cosmic rays and
residuals of the sky it is small, and says where to look; an anomaly of the whole spectrum, such as
a star in the place of a galaxy, has no place, and any attribution finds a window of most of the
spectrum.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from uraniborg.errors import UserError
from uraniborg.tables import Spectra

__all__ = ["SHARE", "Anomalies", "true_window"]

SHARE = 0.9
"""How much of the squared significance of an anomaly its true window holds."""


def true_window(anomaly_flux: np.ndarray, ivar: np.ndarray, share: float = SHARE) -> np.ndarray:
    """The fewest pixels that hold a share of the squared significance ivar x anomaly_flux^2.

    Squares, because they add up to the square of `anomaly_significance`. With their roots, the
    noise-free wings of all sky lines make two thirds of the spectrum anomalous where a few lines
    hold nearly all of the significance.

    Args:
        anomaly_flux: What an anomaly adds to the noiseless flux density, shape (N, L).
        ivar: Inverse variance of the observed spectra, 0 where masked, shape (N, L).
        share: The share.

    Returns:
        Which pixels, shape (N, L); none where nothing is added to any good pixel.
    """

    weight = anomaly_flux.astype(np.float64) ** 2 * ivar
    order = np.argsort(-weight, axis=1, kind="stable")
    cumulative = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    # A pixel belongs if what is before it falls short of the share.
    before = cumulative - np.take_along_axis(weight, order, axis=1)
    inside = before < share * cumulative[:, -1:]
    window = np.zeros(weight.shape, bool)
    np.put_along_axis(window, order, inside, axis=1)
    return window & (weight > 0)


@dataclass(frozen=True)
class Anomalies:
    """What is known of N simulated objects.

    Args:
        object_id: Identifiers, shape (N,).
        kind: Kinds of contaminants, `none` for none, shape (N,).
        snr: Median signal-to-noise ratios, shape (N,).
        good: Which pixels are not masked, shape (N, L).
        window: Which of them are anomalous, shape (N, L); none for no anomaly, and where only the
            redshift is wrong.
    """

    object_id: np.ndarray
    kind: np.ndarray
    snr: np.ndarray
    good: np.ndarray
    window: np.ndarray

    @classmethod
    def of(cls, spectra: Spectra, truth: Spectra, rows: np.ndarray) -> Self:
        """Those of rows of a survey.

        Args:
            spectra: Its shards.
            truth: The shards of its truth, with the same objects in the same order.
            rows: Row numbers, N of them.

        Raises:
            UserError: The truth is of other objects.
        """

        object_id, known = spectra.column("object_id"), truth.column("object_id")
        if not np.array_equal(object_id, known):
            raise UserError(
                f"{truth.paths[0]}: is not the truth of {spectra.paths[0]}; give shards of the "
                "same survey in the same order."
            )
        flux, ivar = spectra.vectors("flux", rows), spectra.vectors("ivar", rows)
        good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
        added = truth.vectors("anomaly_flux", rows)
        return cls(
            object_id[rows],
            truth.column("anomaly")[rows],
            spectra.column("snr")[rows],
            good,
            true_window(added, np.where(good, ivar, 0)),
        )

    @property
    def fraction(self) -> np.ndarray:
        """Share of the good pixels that are anomalous, shape (N,), NaN for no truth: what a
        uniform attribution has inside the window."""

        inside, good = self.window.sum(1), self.good.sum(1)
        return np.where(inside > 0, inside / np.maximum(good, 1), np.nan)
