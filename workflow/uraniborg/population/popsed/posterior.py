"""What an ensemble of fits says of a population, with errors: tables and numbers.

One fit tells nothing of its own error. What makes fits differ are the finite catalogue, the start
of the optimisation, what was assumed before, and how much that counts; each member of an ensemble
has its own: a bootstrap sample, a seed, a prior and a weight of the prior. Members are then draws
of one posterior, and the truth is taken to be another: it lies within

    mean +- t_(K-1) s sqrt(1 + 1/K)

of K members with standard deviation s, with the probability of Student's t distribution.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student
from scipy.stats import wasserstein_distance

from uraniborg.population.popsed.tables import MASS_FUNCTION

__all__ = [
    "MainSequence",
    "band_table",
    "densities",
    "interval",
    "main_sequence",
    "mass_function",
    "prior_pull",
    "sequence_table",
]

_LEVELS = (0.68, 0.95)
# Quenched galaxies, by log10 of the specific star-formation rate per yr.
_QUENCHED = -11.0
# The main sequence of the paper: nearby galaxies, of masses that surveys still see there.
_NEARBY, _SEQUENCE_MASSES = 0.1, (9.0, 11.5)
_FEWEST = 20


def interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of a probability, by members along the first axis.

    Args:
        values: Of K members, shape (K, ...), K at least 2.
        level: The probability.

    Returns:
        Lower and upper ends, each of the trailing shape.
    """

    count = len(values)
    half = student.ppf((1 + level) / 2, count - 1) * np.std(values, axis=0, ddof=1)
    half = half * np.sqrt(1 + 1 / count)
    centre = np.mean(values, axis=0)
    return centre - half, centre + half


def densities(samples: Sequence[np.ndarray], edges: np.ndarray) -> np.ndarray:
    """Densities of samples in bins, normalised over all of each sample, shape (K, bins)."""

    counts = [np.histogram(sample, edges)[0] / len(sample) for sample in samples]
    return np.array(counts) / np.diff(edges)


def band_table(
    quantity: str,
    edges: np.ndarray,
    members: np.ndarray,
    others: Mapping[str, np.ndarray | None],
) -> pd.DataFrame:
    """Rows of `tables.BAND_COLUMNS` of one quantity.

    Args:
        quantity: Its name.
        edges: Edges of the bins.
        members: Densities of the K members, shape (K, bins).
        others: Densities by name: `truth`, `null`, `prior` and `neighbours`; None where there are
            none.
    """

    table = {"quantity": quantity, "low": edges[:-1], "high": edges[1:]}
    table["median"] = np.median(members, axis=0)
    for level in _LEVELS:
        low, high = interval(members, level)
        # Densities are not negative; logarithms of them may be.
        low = low if quantity == MASS_FUNCTION else np.maximum(low, 0)
        table |= {f"low_{level * 100:.0f}": low, f"high_{level * 100:.0f}": high}
    missing = np.full(len(edges) - 1, np.nan)
    table |= {
        name: missing if others.get(name) is None else others[name]
        for name in ("truth", "null", "prior", "neighbours")
    }
    return pd.DataFrame(table)


def mass_function(
    stellar_mass: np.ndarray, volume: np.ndarray, edges: np.ndarray, normalised_above: float
) -> np.ndarray:
    """The mass function of all galaxies from the selected ones, log10 per dex, shape (bins,).

    Each selected galaxy stands for all of its kind in the volume in which it would be selected
    (Schmidt 1968, ApJ 151, 393). The area of the survey is not needed: the integral above a mass
    is one.

    Args:
        stellar_mass: log10 of the masses of selected galaxies, shape (N,).
        volume: Volumes in which they would be selected, shape (N,).
        edges: Edges of the bins.
        normalised_above: log10 of that mass.
    """

    weights = np.where(volume > 0, 1 / np.where(volume > 0, volume, 1), 0)
    total = weights[stellar_mass >= normalised_above].sum()
    number = np.histogram(stellar_mass, edges, weights=weights)[0] / np.diff(edges)
    return np.log10(np.where(number > 0, number / total, np.nan))


class MainSequence(NamedTuple):
    """The star-forming main sequence: a line through log SFR over log mass, and its scatter."""

    slope: float
    """dex per dex."""

    scatter: float
    """dex, from the median absolute deviation."""

    n: int
    """Galaxies."""


def star_forming(galaxies: pd.DataFrame) -> pd.DataFrame:
    """Nearby star-forming galaxies: z < 0.1, log sSFR above -11 / yr, 10^9 to 10^11.5 M_sun."""

    low, high = _SEQUENCE_MASSES
    kept = (galaxies["z"] < _NEARBY) & (galaxies["log_ssfr"] > _QUENCHED)
    return galaxies[kept & galaxies["stellar_mass"].between(low, high)]


def main_sequence(galaxies: pd.DataFrame) -> MainSequence:
    """Slope and scatter of `star_forming` galaxies; NaN of fewer than 20.

    Args:
        galaxies: `z`, `stellar_mass`, `log_ssfr`.
    """

    chosen = star_forming(galaxies)
    if len(chosen) < _FEWEST:
        return MainSequence(np.nan, np.nan, len(chosen))
    mass = chosen["stellar_mass"].to_numpy(float)
    log_sfr = mass + chosen["log_ssfr"].to_numpy(float)
    line = np.polyfit(mass, log_sfr, 1)
    residual = log_sfr - np.polyval(line, mass)
    scatter = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    return MainSequence(float(line[0]), float(scatter), len(chosen))


def sequence_table(
    source: str, galaxies: pd.DataFrame, members: Sequence[MainSequence] = ()
) -> pd.DataFrame:
    """Rows of `tables.SEQUENCE_COLUMNS` of one source, in bins of half a dex.

    Args:
        source: Its name.
        galaxies: As for `main_sequence`.
        members: Sequences of the members, for errors.
    """

    chosen = star_forming(galaxies)
    fit = main_sequence(galaxies)
    errors = {
        name: np.std([getattr(each, name) for each in members], ddof=1) if members else np.nan
        for name in ("slope", "scatter")
    }
    edges = np.arange(_SEQUENCE_MASSES[0], _SEQUENCE_MASSES[1] + 0.1, 0.5)
    rows = []
    for low, high in pairwise(edges):
        within = chosen[chosen["stellar_mass"].between(low, high, inclusive="left")]
        if len(within) < _FEWEST:
            continue
        log_sfr = within["stellar_mass"] + within["log_ssfr"]
        bottom, middle, top = np.percentile(log_sfr, [16, 50, 84])
        rows.append(
            {
                "source": source,
                "stellar_mass": (low + high) / 2,
                "log_sfr": middle,
                "low": bottom,
                "high": top,
                "slope": fit.slope,
                "slope_error": errors["slope"],
                "scatter": fit.scatter,
                "scatter_error": errors["scatter"],
                "n": len(within),
            }
        )
    return pd.DataFrame(rows)


def prior_pull(low: pd.Series, high: pd.Series) -> float:
    """By how much the prior's weight moves a parameter, in widths of its distribution.

    The Wasserstein distance between its distributions in fits of the smallest and the largest
    weight, over the standard deviation of the former: near zero where the photometry decides, near
    one where the prior does.
    """

    return float(wasserstein_distance(low, high) / low.std())
