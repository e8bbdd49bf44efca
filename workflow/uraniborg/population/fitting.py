"""Hyperparameters of a simulated population, fitted to real samples.

A simulation with common random numbers is a nearly smooth function of its hyperparameters, and so
are the quantiles of its features in fixed directions. Their differences from the quantiles of the
real sample are residuals whose squares add up to the squared sliced Wasserstein-2 distance, and
least squares with a trust region needs a few dozen simulations where a search that sees only the
distance needs hundreds. Differences are taken over steps that are wide beside the graininess of
a finite sample.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.optimize import least_squares
from torch import Tensor

from uraniborg.population.comparison import standardisation
from uraniborg.population.distances import Standardisation, directions, quantiles
from uraniborg.population.samples import features, halves, objects
from uraniborg.progress import Progress
from uraniborg.surveys.photometry import PhotometricSky
from uraniborg.tables import Column
from uraniborg.universe.relations import HYPERPARAMETERS

__all__ = ["Fit", "Free", "fit_in_rounds", "fit_population", "fit_skies", "trace_columns"]

# Steps for differences and widths of priors, over the hyperparameters' own, of successive fits.
_ROUNDS = ((1.0, 1.0), (0.6, 0.5), (0.3, 0.5))


@dataclass(frozen=True)
class Free:
    """A hyperparameter that a fit may vary, with what was known about it before.

    Args:
        name: Its name.
        start: Published or assumed value: the centre of a Gaussian prior, where the fit starts.
        width: Standard deviation of the prior; the fit takes steps of `step` times this.
        low: Smallest allowed value.
        high: Largest allowed value.
    """

    name: str
    start: float
    width: float
    low: float = -np.inf
    high: float = np.inf

    def starting(self, value: float) -> Self:
        """The same, starting from a value or just inside its bounds."""

        inset = 1e-3 * self.width
        return replace(self, start=min(max(value, self.low + inset), self.high - inset))


class Fit(NamedTuple):
    """A fitted population."""

    hyperparameters: dict[str, float]
    """The hyperparameters of the smallest cost."""

    distance: float
    """Sliced Wasserstein-1 distance between quantiles at these values, mean over the samples."""

    trace: pd.DataFrame
    """Every simulation in order, the columns of `trace_columns`."""


def trace_columns(hyperparameters: Iterable[str]) -> tuple[Column, ...]:
    """Columns of the table of all simulations of a fit.

    Args:
        hyperparameters: Names of those that varied.
    """

    return (
        Column("call", pa.int64(), "", "Number of the simulation"),
        Column("cost", pa.float64(), "", "What is minimised"),
        Column("distance", pa.float64(), "", "Sliced Wasserstein-1 distance between quantiles"),
        *(Column(name, pa.float64(), "", "Hyperparameter") for name in hyperparameters),
    )


def fit_population(
    simulate: Callable[[Mapping[str, float]], Sequence[np.ndarray]],
    real: Sequence[np.ndarray],
    hyperparameters: Sequence[Free],
    standardise: Sequence[Standardisation],
    calls: int = 400,
    step: float = 0.1,
    projections: int = 64,
    levels: int = 100,
    seed: int = 0,
) -> Fit:
    """Minimises the sliced distances between simulated and real samples of one population.

    The cost is half of the number of real values times the mean squared difference of quantiles,
    summed over the samples, plus half of the sum of ((value - start) / width)^2, so that what the
    samples do not determine stays where it was. Large differences count linearly rather than
    squared, as in the distance that judges.

    Args:
        simulate: Features of the population with given hyperparameters as each survey sees it,
            shapes (M, D). The same random numbers must be used in every call.
        real: Features of each survey's real sample, shapes (N, D).
        hyperparameters: What may vary, about 20 at most.
        standardise: Makes the features of each survey comparable.
        calls: Simulations at most.
        step: Steps for differences in units of the priors' widths.
        projections: Directions of the distance.
        levels: Quantiles per direction.
        seed: Seed of the directions.

    Returns:
        The best of all simulations that were made, and their trace.

    Raises:
        ValueError: A start is not inside its bounds, or `calls` does not suffice for one step.
    """

    names = [h.name for h in hyperparameters]
    start, width, low, high = np.array(
        [(h.start, h.width, h.low, h.high) for h in hyperparameters]
    ).T
    if not ((low < start) & (start < high)).all():
        raise ValueError("a hyperparameter starts outside its bounds")
    if calls < len(names) + 2:
        raise ValueError(f"{len(names)} hyperparameters need at least {len(names) + 2} calls")
    bounds = (low - start) / width, (high - start) / width
    lines = directions(projections, real[0].shape[1], seed)

    def projected(samples: Sequence[np.ndarray]) -> list[Tensor]:
        return [
            quantiles(lines @ comparable(sample).T, levels)
            for comparable, sample in zip(standardise, samples, strict=True)
        ]

    target = projected(real)
    trace: list[dict[str, float]] = []
    known: dict[bytes, np.ndarray] = {}

    def residuals(x: np.ndarray) -> np.ndarray:
        if x.tobytes() in known:
            return known[x.tobytes()]
        if len(trace) == calls:
            raise _SpentError
        values = dict(zip(names, (start + width * x).tolist(), strict=True))
        differences = [
            (ours - theirs).numpy().ravel()
            for ours, theirs in zip(projected(simulate(values)), target, strict=True)
        ]
        robust = [
            _robust(difference) * np.sqrt(sample.size / difference.size)
            for difference, sample in zip(differences, real, strict=True)
        ]
        result = known[x.tobytes()] = np.concatenate([*robust, x])
        distance, cost = np.abs(differences).mean(), (result**2).sum() / 2
        trace.append({"call": len(trace), "cost": cost, "distance": distance, **values})
        progress.note(distance=distance, best=min(row["distance"] for row in trace))
        progress.advance()
        return result

    def jacobian(x: np.ndarray) -> np.ndarray:
        here, columns = residuals(x), []
        for i in range(len(x)):
            # Away from the nearer bound.
            sign = 1.0 if bounds[1][i] - x[i] >= x[i] - bounds[0][i] else -1.0
            moved = x.copy()
            moved[i] += sign * step
            moved = np.clip(moved, *bounds)
            columns.append((residuals(moved) - here) / (moved[i] - x[i]))
        return np.stack(columns, axis=1)

    with (
        Progress(calls, "fitting the population", "simulations") as progress,
        suppress(_SpentError),
    ):
        least_squares(
            residuals, np.zeros(len(names)), jac=jacobian, bounds=bounds, xtol=1e-3, ftol=1e-4
        )
    best = min(trace, key=lambda row: row["cost"])
    values = {name: best[name] for name in names}
    return Fit(values, best["distance"], pd.DataFrame(trace))


def fit_in_rounds(
    simulate: Callable[[Mapping[str, float]], Sequence[np.ndarray]],
    real: Sequence[np.ndarray],
    hyperparameters: Sequence[Free],
    standardise: Sequence[Standardisation],
    calls: int = 400,
) -> Fit:
    """Fits over wide steps from the start first, then over narrower ones from there.

    Later fits go from the result of the one before, with priors of half the width about it.

    Args:
        simulate: See `fit_population`, as all others.
        real: Features of each survey's real sample.
        hyperparameters: What may vary; those that start at or beyond a bound start just inside.
        standardise: Makes the features of each survey comparable.
        calls: Simulations of each fit at most.

    Returns:
        The last fit, with the trace of all.
    """

    free = [x.starting(x.start) for x in hyperparameters]
    traces = []
    for step, width in _ROUNDS:
        near = [replace(x, width=width * x.width) for x in free]
        fit = fit_population(simulate, real, near, standardise, calls, step)
        traces.append(fit.trace)
        free = [x.starting(fit.hyperparameters[x.name]) for x in free]
    return fit._replace(trace=pd.concat(traces, ignore_index=True))


def fit_skies(
    skies: Sequence[PhotometricSky], real: Sequence[pd.DataFrame], count: int, calls: int
) -> Fit:
    """Fits the galaxies' hyperparameters to colours and redshifts, one universe for all surveys.

    Half of each real catalogue is used; the other half is left to judge.

    Args:
        skies: The simulated surveys.
        real: Catalogues of their real twins.
        count: Galaxies of each simulation.
        calls: Simulations of each round at most, see `fit_in_rounds`.
    """

    fitting = (table[halves(table["object_id"])] for table in real)
    samples = [features(objects(half, "", "real")) for half in fitting]

    def simulate(values: Mapping[str, float]) -> list[np.ndarray]:
        seen = (sky.with_values(values).observe(0, count)[0] for sky in skies)
        return [features(objects(table, "", "simulated")) for table in seen]

    free = [Free(h.name, h.published, h.width, h.low, h.high) for h in HYPERPARAMETERS]
    return fit_in_rounds(simulate, samples, free, list(map(standardisation, samples)), calls)


class _SpentError(Exception):
    """As many simulations were made as allowed."""


def _robust(difference: np.ndarray, scale: float = 0.1) -> np.ndarray:
    """Residuals whose square is about that of the difference up to `scale`, then linear in it."""

    square = 2 * scale**2 * (np.sqrt(1 + (difference / scale) ** 2) - 1)
    return np.sign(difference) * np.sqrt(square)
