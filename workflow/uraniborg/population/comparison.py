"""Simulated catalogues against a real one in colours and redshift.

Features are clipped at six times their spread and whitened by the real catalogue. If they were
only scaled, shuffled redshifts would be less than five floors away from real ones, and the
comparison could not be said to see redshifts at all.

One half of the real catalogue may be used to choose hyperparameters of the simulation; only the
other half judges.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from uraniborg.errors import UserError
from uraniborg.population.classifier import two_sample_auc
from uraniborg.population.distances import (
    Standardisation,
    bootstrap_error,
    directions,
    floor,
    sliced_wasserstein,
)
from uraniborg.population.samples import FEATURES, features
from uraniborg.progress import track

__all__ = ["compare", "standardisation"]


def standardisation(real: np.ndarray) -> Standardisation:
    """How features are made comparable: clipped at six times their spread, and whitened.

    Args:
        real: Features of the real catalogue, shape (N, 5).
    """

    return Standardisation.of(real, limit=6.0, whiten=True)


def compare(
    fitting: pd.DataFrame,
    judging: pd.DataFrame,
    samples: Mapping[str, pd.DataFrame],
    catalogue: str,
    seed: int = 0,
    projections: int = 200,
) -> pd.DataFrame:
    """Holds simulated samples, and the real fitting half, against the real judging half.

    All distances are between samples of one size, that of the smallest, because the floor depends
    on it; which objects these are is random.

    Args:
        fitting: Half of the real catalogue, with the columns `FEATURES`.
        judging: The other half.
        samples: Simulated samples and controls by name.
        catalogue: Name of the real catalogue.
        seed: Seed of everything that is drawn.
        projections: Directions of the distance.

    Returns:
        A table of `uraniborg.population.samples.SUMMARY_COLUMNS`; its first row, `fitting half`,
        is what a perfect simulation would get.

    Raises:
        UserError: A sample has fewer than 100 objects with all features.
    """

    samples = {"fitting half": fitting, **samples}
    values = {name: features(table) for name, table in samples.items()}
    judge = features(judging)
    for name, sample in {"judging half": judge, **values}.items():
        if len(sample) < 100:
            raise UserError(
                f"{catalogue}: the sample '{name}' has {len(sample)} objects with four colours "
                "and a redshift, and at least 100 are needed; make it larger."
            )
    real = np.concatenate([values["fitting half"], judge])
    n = min(map(len, [judge, *values.values()]))
    standardise, lines = standardisation(real), directions(projections, len(FEATURES), seed)
    lowest = floor(standardise(real), (n, n), lines, seed=seed)
    judge = _some(judge, n, seed)

    rows = []
    for name in track(samples, f"comparing with {catalogue}", "samples"):
        sample = _some(values[name], n, seed + 1)
        pair = standardise(sample), standardise(judge)
        distance = float(sliced_wasserstein(*pair, lines))
        test = two_sample_auc(judge, sample, FEATURES, seed)
        rows.append(
            {
                "catalogue": catalogue,
                "sample": name,
                "n": n,
                "dropped": len(samples[name]) - len(values[name]),
                "distance": distance,
                "distance_error": bootstrap_error(*pair, lines, seed=seed),
                "floor": lowest.mean,
                "floor_spread": lowest.spread,
                "ratio": distance / lowest.mean,
                "auc": test.auc,
                "auc_error": test.error,
                **{f"importance_{key}": value for key, value in test.importance.items()},
            }
        )
    return pd.DataFrame(rows)


def _some(values: np.ndarray, n: int, seed: int) -> np.ndarray:
    return values[np.random.default_rng(seed).permutation(len(values))[:n]]
