"""Surprise: how improbable a number is among ordinary objects, so that numbers can be compared.

The surprise is -ln P, where P is the share of held-out objects whose number is at least as large:
0 for the most ordinary, 2.3 for one in ten. Held-out objects cannot tell more than one in as many
as there are, so beyond their 0.9 quantile the tail is taken to be exponential.
"""

import math
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from uraniborg.errors import UserError

__all__ = ["FEWEST", "TailCalibration"]

FEWEST = 100
"""Held-out objects that a calibration needs."""

# Where the exponential tail begins, and how finely the distribution below it is kept.
_TAIL, _LEVELS = 0.9, 901
# Passes of the fit of the trend, and how many standard deviations from it an object may be.
_PASSES, _CLIP = 10, 3.0


class TailCalibration(nn.Module):
    """The distribution of R statistics among held-out objects.

    Statistics may depend on the signal-to-noise ratio: a quadratic in its logarithm, fitted without
    the objects far from it, is subtracted first. Beyond the held-out objects' range it is constant.

    The scale of the tail is the median of what the upper tenth exceeds its threshold by, over ln 2:
    if one in a hundred held-out objects is an outlier, a tenth of them, the median moves to the
    0.56 quantile and the scale by 17%, however far out they are; a mean would follow them.

    Args:
        statistics: Number of statistics R.
    """

    def __init__(self, statistics: int) -> None:
        super().__init__()
        self.register_buffer("snr_range", torch.tensor([-1.0, 1.0]).double())
        self.register_buffer("trend", torch.zeros(statistics, 3).double())
        self.register_buffer("quantiles", torch.zeros(statistics, _LEVELS).double())
        self.register_buffer("scale", torch.ones(statistics).double())

    @classmethod
    def of(cls, values: Tensor, log_snr: Tensor, detrend: bool = True) -> Self:
        """Learns the distribution.

        Args:
            values: Of held-out objects, shape (N, R). An object that has one that is not finite
                takes no part.
            log_snr: Logarithms of their signal-to-noise ratios, shape (N,). What is not finite
                counts as the least.
            detrend: Whether to subtract a trend.

        Raises:
            UserError: Fewer than 100 objects have finite values, or a statistic hardly varies.
        """

        finite = values.isfinite().all(dim=1)
        known = finite & log_snr.isfinite()
        if finite.sum() < FEWEST or not known.any():
            raise UserError(
                f"only {int(known.sum())} of {len(values)} held-out objects have finite scores and "
                f"signal-to-noise ratios, but a calibration needs {FEWEST}; enlarge the survey or "
                "change the fractions under `splits`."
            )
        calibration = cls(values.shape[1])
        calibration.snr_range.copy_(torch.stack(log_snr[known].double().aminmax()))
        values, log_snr = values[finite].double(), log_snr[finite]
        if detrend:
            powers = calibration._powers(log_snr).numpy()
            trends = [_robust_fit(powers, column.numpy()) for column in values.unbind(1)]
            calibration.trend.copy_(torch.from_numpy(np.stack(trends)))
        rest = calibration._detrended(values, log_snr)
        levels = torch.linspace(0, _TAIL, _LEVELS, dtype=torch.float64)
        calibration.quantiles.copy_(rest.quantile(levels, dim=0).T)
        threshold = calibration.quantiles[:, -1]
        upper = rest.quantile((1 + _TAIL) / 2, dim=0)
        calibration.scale.copy_((upper - threshold) / math.log(2))
        if not (calibration.scale > 0).all():
            raise UserError(
                "a score has the same value for the most outlying of the held-out objects, so that "
                "it tells nothing about others; check the model that it is from."
            )
        return calibration.eval()

    @property
    def lowest_snr(self) -> float:
        """Logarithm of the least signal-to-noise ratio among held-out objects."""

        return float(self.snr_range[0])

    def surprise(self, values: Tensor, log_snr: Tensor) -> Tensor:
        """-ln of the share of held-out objects with larger values, shape (N, R), float64.

        NaN where a value is not finite, which says that something is wrong and not how much.

        Args:
            values: Shape (N, R).
            log_snr: Logarithms of the signal-to-noise ratios, shape (N,). What is not finite counts
                as the least.
        """

        rest = self._detrended(values.double(), log_snr)
        threshold = self.quantiles[:, -1]
        # Linear between the quantiles.
        levels = np.linspace(0, _TAIL, _LEVELS)
        columns = zip(rest.T.numpy(), self.quantiles.numpy(), strict=True)
        below = torch.from_numpy(np.stack([np.interp(x, known, levels) for x, known in columns]).T)
        beyond = ((rest - threshold) / self.scale).clamp_min(0)
        surprise = beyond - torch.log1p(-below)
        return surprise.where(values.isfinite(), torch.nan)

    def _detrended(self, values: Tensor, log_snr: Tensor) -> Tensor:
        return values - self._powers(log_snr) @ self.trend.T

    def _powers(self, log_snr: Tensor) -> Tensor:
        """1, x and x^2 of the position x in the range, from -1 to 1, shape (N, 3)."""

        low, high = self.snr_range
        log_snr = log_snr.double().where(log_snr.isfinite(), low).clamp(low, high)
        position = 2 * (log_snr - low) / (high - low).clamp_min(1e-9) - 1
        return torch.stack([torch.ones_like(position), position, position.square()], dim=1)


def _robust_fit(powers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients (3,) of the least squares without objects far from it, pass by pass."""

    near = np.full(len(values), True)
    for _ in range(_PASSES):
        coefficients = np.linalg.lstsq(powers[near], values[near])[0]
        residual = values - powers @ coefficients
        centre = np.median(residual)
        deviation = 1.4826 * np.median(np.abs(residual - centre))
        near = np.abs(residual - centre) <= _CLIP * deviation
    return coefficients
