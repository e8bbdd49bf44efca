"""Generated samples held against real ones: by each feature alone and by all at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import ks_2samp

from uraniborg.population.classifier import two_sample_auc
from uraniborg.tables import Column

__all__ = ["TEST_COLUMNS", "compare_samples", "sample_numbers"]

TEST_COLUMNS = (
    Column("sample", pa.string(), "", "Sample that is held against the real one"),
    Column("features", pa.string(), "", "What the classifier sees"),
    Column("auc", pa.float64(), "", "Area under the curve of a classifier; 0.5 if they are alike"),
    Column("auc_error", pa.float64(), "", "Its standard error"),
    Column("ks", pa.float64(), "", "Largest Kolmogorov-Smirnov distance of a feature"),
    Column("ks_feature", pa.string(), "", "The feature that has it"),
    Column("n", pa.int64(), "", "Objects of the sample"),
)
"""Columns of the table that `compare_samples` makes."""


def compare_samples(
    samples: Mapping[str, np.ndarray], names: Sequence[str], features: str
) -> list[dict[str, object]]:
    """Tests of each sample against the first, the real one.

    Args:
        samples: By name, each of shape (N, D).
        names: Names of the D features.
        features: What to call them together.

    Returns:
        Rows of a table with the columns of `TEST_COLUMNS`.
    """

    (_, real), *others = samples.items()
    rows = []
    for name, values in others:
        test = two_sample_auc(real, values, names)
        distances = [ks_2samp(real[:, i], values[:, i]).statistic for i in range(len(names))]
        row = {"sample": name, "features": features, "auc": test.auc, "auc_error": test.error}
        row |= {"ks": max(distances), "ks_feature": names[int(np.argmax(distances))]}
        rows.append({**row, "n": len(values)})
    return rows


def sample_numbers(tests: pd.DataFrame, prefix: str) -> dict[str, dict[str, float]]:
    """What claims are held against: `{prefix}_{sample}_{features}_auc`.

    Args:
        tests: The columns of `TEST_COLUMNS`.
        prefix: Of the numbers' names.
    """

    return {
        f"{prefix}_{row.sample}_{row.features}_auc": {
            "value": row.auc,
            "uncertainty": row.auc_error,
            "n": row.n,
        }
        for row in tests.itertuples()
    }
