"""Recorded trainings of the autoencoder and of its peer on the same spectra, and their summary."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.tables import Column

__all__ = ["BASELINES", "OURS", "PEER", "TRAINING_COLUMNS", "Comparison", "compare_trainings"]

PEER, OURS = "spender", "flux"
"""The sides that do the same task: they see the flux alone, neither its noise nor the redshift."""

BASELINES = ("pca", "truth")
"""What is not trained by steps: principal components, and the noiseless spectra."""

TRAINING_COLUMNS = (
    Column("side", pa.string(), "", "What was trained: spender, an encoder of ours, or a baseline"),
    Column("seed", pa.int64(), "", "Seed of weights and order, 0 for baselines"),
    Column("epoch", pa.int64(), "", "Passes over the training spectra"),
    Column("cpu_time", pa.float64(), "s", "User and system time since before the model was made"),
    Column("test_loss", pa.float64(), "", "0.5 mean(ivar (flux - model)^2) of the test spectra"),
)
"""One row per evaluation of the test loss."""

# A run has arrived where it comes this close to its lowest loss.
_ARRIVED = 1.01


class Comparison(NamedTuple):
    """What the trainings of the peer and of ours come to, means over seeds.

    Attributes:
        level: Lowest test loss of the peer.
        settling: Relative decrease of the peer's test loss in the last quarter of its CPU time:
            what it might still have gained.
        peer_time: CPU time in s after which the peer is within 1% of its own lowest loss.
        time: CPU time in s after which ours is at the peer's level; infinite if a seed never is.
    """

    level: float
    settling: float
    peer_time: float
    time: float


def compare_trainings(trainings: pd.DataFrame, ours: str = OURS) -> Comparison:
    """Summarises recorded trainings.

    Args:
        trainings: The columns `TRAINING_COLUMNS`, with several evaluations of each side and seed.
        ours: The side that is held against the peer.
    """

    peers, runs = _runs(trainings, PEER), _runs(trainings, ours)
    level = _mean(run["test_loss"].min() for run in peers)
    return Comparison(
        level=level,
        settling=_mean(map(_settling, peers)),
        peer_time=_mean(_time_to(run, _ARRIVED * run["test_loss"].min()) for run in peers),
        time=_mean(_time_to(run, level) for run in runs),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _runs(trainings: pd.DataFrame, side: str) -> list[pd.DataFrame]:
    rows = trainings[trainings["side"] == side].sort_values(["seed", "epoch"])
    return [run for _, run in rows.groupby("seed")]


def _time_to(run: pd.DataFrame, level: float) -> float:
    """CPU time at which the lowest loss so far crosses a level, linear between evaluations."""

    lowest, times = run["test_loss"].cummin().to_numpy(), run["cpu_time"].to_numpy()
    below = np.flatnonzero(lowest <= level)
    if not len(below):
        return math.inf
    i = below[0]
    if i == 0:
        return float(times[0])
    done = (lowest[i - 1] - level) / (lowest[i - 1] - lowest[i])
    return float(times[i - 1] + done * (times[i] - times[i - 1]))


def _settling(run: pd.DataFrame) -> float:
    """Relative decrease of the loss in the last quarter of the CPU time."""

    losses, times = run["test_loss"].to_numpy(), run["cpu_time"].to_numpy()
    before = np.interp(0.75 * times[-1], times, losses)
    return float((before - losses[-1]) / before)
