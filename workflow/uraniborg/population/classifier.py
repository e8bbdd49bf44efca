"""Can a classifier tell two samples apart? If not, they are alike in all that it can see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

__all__ = ["TwoSampleTest", "two_sample_auc"]


@dataclass(frozen=True)
class TwoSampleTest:
    """What a classifier achieved on objects that it was not trained on.

    Args:
        auc: Area under the receiver operating characteristic, mean over the folds: 0.5 where the
            samples cannot be told apart, 1 where every object betrays its origin.
        error: Its standard error for other objects of the same samples and the same trees.
        importance: By feature, the loss of AUC when its values are shuffled among the objects of
            both samples. Features that tell the same share their importance.
    """

    auc: float
    error: float
    importance: pd.Series


def two_sample_auc(
    real: np.ndarray,
    simulated: np.ndarray,
    features: Sequence[str],
    seed: int = 0,
    folds: int = 5,
) -> TwoSampleTest:
    """Trains gradient boosting to tell two samples apart (Lopez-Paz & Oquab 2017).

    Trees and learning rate are fixed, so that numbers can be compared. A value that is NaN is
    allowed and tells, too: non-detections are part of a sample.

    Args:
        real: Shape (N, D).
        simulated: Shape (M, D); the test is fairest where M is about N.
        features: Names of the D features.
        seed: Seed of folds, classifiers and shuffles.
        folds: Parts for cross-validation: each object is judged by trees that have not seen it.
    """

    values = np.concatenate([real, simulated])
    label = np.repeat([0, 1], [len(real), len(simulated)])
    random = np.random.default_rng(seed)
    cross_validation = StratifiedKFold(folds, shuffle=True, random_state=seed)
    auc, variance, importance = [], [], []
    for train, test in cross_validation.split(values, label):
        classifier = HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=100,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        ).fit(values[train], label[train])

        true = label[test] == 1
        scores = classifier.decision_function(values[test])
        area, squared_error = _auc(scores[~true], scores[true])
        auc.append(area)
        variance.append(squared_error)
        losses = []
        for shuffled in _shuffled(values[test], random):
            scores = classifier.decision_function(shuffled)
            losses.append(area - _auc(scores[~true], scores[true])[0])
        importance.append(losses)
    return TwoSampleTest(
        auc=float(np.mean(auc)),
        error=float(np.sqrt(np.sum(variance)) / folds),
        importance=pd.Series(np.mean(importance, axis=0), index=list(features)),
    )


def _shuffled(values: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Copies of the values, each with one feature shuffled."""

    copies = [values.copy() for _ in range(values.shape[1])]
    for feature, copy in enumerate(copies):
        copy[:, feature] = random.permutation(copy[:, feature])
    return copies


def _auc(real: np.ndarray, simulated: np.ndarray) -> tuple[float, float]:
    """Area under the curve of two samples' scores, and its variance (DeLong et al. 1988)."""

    above = [_share_below(real, simulated), 1 - _share_below(simulated, real)]
    return float(above[0].mean()), float(sum(share.var(ddof=1) / len(share) for share in above))


def _share_below(sample: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Fraction of a sample below each value; ties count half."""

    sample = np.sort(sample)
    ranks = [np.searchsorted(sample, values, side) for side in ("left", "right")]
    return (ranks[0] + ranks[1]) / (2 * len(sample))
