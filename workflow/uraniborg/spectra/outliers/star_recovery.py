"""How well stars are found among what a simulated catalogue calls galaxies."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS
from uraniborg.tables import Column, Spectra

__all__ = [
    "LEAST_SNR",
    "RECOVERY_COLUMNS",
    "Purity",
    "purity",
    "recovery_counts",
    "recovery_numbers",
    "recovery_table",
    "star_types",
]

LEAST_SNR = 5.0
"""Median signal-to-noise ratio per pixel above which stars are to be found."""

RECOVERY_COLUMNS = (
    *STAR_COLUMNS,
    Column("group", pa.string(), "", "star, galaxy or the kind of contaminant"),
    Column("subclass", pa.string(), "", "Type of the star, empty for what is none"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("true_velocity", pa.float64(), "km/s", "Radial velocity of the star"),
)
"""Columns of the table that `recovery_table` makes."""

_C = 299792.458
# Temperatures in K between spectral types, and the gravity above which stars are white dwarfs.
_TYPES, _EDGES, _DEGENERATE = "MKGFAB", (3800.0, 5200.0, 6000.0, 7500.0, 10000.0), 6.0


def recovery_table(stars: pd.DataFrame, spectra: Spectra, truth: Spectra) -> pd.DataFrame:
    """What simulated objects that are catalogued as galaxies are, and what they are found to be.

    Args:
        stars: What they are found to be, see `star_table`, in the order of the spectra.
        spectra: The spectra.
        truth: Their truth, in the same order.

    Returns:
        The columns `RECOVERY_COLUMNS`, one row per spectrum.
    """

    table, known = stars.copy(), truth.scalars
    is_star = known["kind"] == "star"
    usual = (known["anomaly"] == "none") & ~is_star
    table["group"] = np.where(is_star, "star", np.where(usual, "galaxy", known["anomaly"]))
    table["subclass"] = ""
    if is_star.any():
        table.loc[is_star, "subclass"] = star_types(known[is_star])
    table["snr"] = spectra.column("snr")
    table["true_velocity"] = np.where(is_star, known["z"] * _C, np.nan)
    return table[[column.name for column in RECOVERY_COLUMNS]]


def star_types(stars: pd.DataFrame) -> np.ndarray:
    """Spectral types M to B, or WD, of simulated stars, shape (N,).

    Args:
        stars: The columns `star_temperature` and `star_log_g` of a truth table.
    """

    letters = np.array(list(_TYPES), object)[np.searchsorted(_EDGES, stars["star_temperature"])]
    return np.where(stars["star_log_g"] > _DEGENERATE, "WD", letters)


class Purity(NamedTuple):
    """How well stars are found; rates with the ends of their 68% intervals.

    Attributes:
        completeness: Fraction of stars that are called stars: value, low, high.
        purity: Fraction of stars among what is called a star, at a prevalence: value, low, high.
        stars: Number of stars.
        others: Number of other objects.
        mistaken: Number of others that are called stars.
    """

    completeness: tuple[float, float, float]
    purity: tuple[float, float, float]
    stars: int
    others: int
    mistaken: int


def purity(is_star: np.ndarray, called_star: np.ndarray, prevalence: float) -> Purity:
    """Completeness, and purity if a fraction `prevalence` of the objects were stars.

    Intervals are those of binomial rates with Jeffreys' prior: no mistake among N objects does not
    mean that there are none (Brown, Cai & DasGupta 2001, Stat. Sci. 16, 101).

    Args:
        is_star: Which objects are stars, shape (N,).
        called_star: Which are called stars, shape (N,).
        prevalence: Fraction of stars.
    """

    is_star, called_star = np.asarray(is_star, bool), np.asarray(called_star, bool)
    stars, others = int(is_star.sum()), int((~is_star).sum())
    found, mistaken = int((is_star & called_star).sum()), int((~is_star & called_star).sum())
    random = np.random.default_rng(0)
    hit = np.append(found / max(stars, 1), _rates(random, found, stars))
    false = np.append(mistaken / max(others, 1), _rates(random, mistaken, others))
    right, wrong = prevalence * hit, (1 - prevalence) * false
    pure = right / np.maximum(right + wrong, np.finfo(float).tiny)
    return Purity(_with_interval(hit), _with_interval(pure), stars, others, mistaken)


def _rates(random: np.random.Generator, count: int, total: int) -> np.ndarray:
    return random.beta(count + 0.5, total - count + 0.5, 20_000)


def _with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The first value, and the interval of the others."""

    low, high = np.quantile(values[1:], [0.16, 0.84])
    return float(values[0]), float(low), float(high)


def recovery_numbers(
    table: pd.DataFrame, prevalences: Iterable[float] = (0.01, 0.001)
) -> dict[str, dict[str, float]]:
    """Completeness and purity among bright objects, as claims take them.

    A star and a galaxy in one fibre are no star: where they are called one, it is a mistake.

    Args:
        table: The columns `RECOVERY_COLUMNS`.
        prevalences: Fractions of stars among catalogued galaxies for which purity is given.

    Returns:
        `star_completeness`, and for each prevalence in per mille `star_purity_10` and so on.
    """

    bright = table[table["snr"] > LEAST_SNR]
    called = bright["star_verdict"] == "star"
    numbers = {}
    for prevalence in prevalences:
        found = purity(bright["group"] == "star", called, prevalence)
        numbers["star_completeness"] = _claim(found.completeness, found.stars)
        name = f"star_purity_{1000 * prevalence:g}"
        numbers[name] = _claim(found.purity, found.stars + found.others)
    return numbers


def _claim(found: tuple[float, float, float], number: int) -> dict[str, float]:
    value, low, high = found
    return {"value": value, "uncertainty": (high - low) / 2, "n": number}


def recovery_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on bright objects by group, and on stars by type.

    Args:
        table: The columns `RECOVERY_COLUMNS`.

    Returns:
        One row per `group` and `subclass` with the numbers `n`, `star`, `galaxy` and `none`.
    """

    bright = table[table["snr"] > LEAST_SNR]
    is_verdict = {name: bright["star_verdict"] == name for name in ("star", "galaxy", "none")}
    groups = bright.assign(n=1, **is_verdict).groupby(["group", "subclass"])
    return groups[["n", *is_verdict]].sum().reset_index()
