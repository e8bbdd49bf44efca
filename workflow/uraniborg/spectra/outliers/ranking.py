"""How scores rank objects of known groups: areas under ROC curves, lists, bootstrap samples.

All scores are larger for what is more of an outlier. Objects without a score rank last, those of
equal scores share their ranks, and the order of objects has no influence.
"""

from collections.abc import Iterator

import numpy as np

__all__ = ["Ranking", "area_under_curve", "bootstrap_weights", "group_sums", "ratio", "spread_of"]

# Most numbers in an array of weights.
_CHUNK = 4_000_000


def area_under_curve(
    score: np.ndarray,
    members: np.ndarray,
    ordinary: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Area under the ROC curve: how often a member of a group scores higher than an ordinary
    object; ties count half.

    Args:
        score: Of N objects, shape (N,); those that are NaN are less than any other.
        members: Which objects are in each of G groups, shape (G, N).
        ordinary: Which they are compared with, shape (N,).
        weights: How often each object counts in each of B samples, shape (B, N); once by default.

    Returns:
        Shape (B, G), NaN where a sample has no member or no ordinary object.
    """

    score = _with_last(score)
    weights = np.ones((1, len(score))) if weights is None else weights
    rows = np.flatnonzero(ordinary)
    rows = rows[np.argsort(score[rows], kind="stable")]
    below = np.pad(np.cumsum(weights[:, rows], axis=1), ((0, 0), (1, 0)))
    found = np.flatnonzero(members.any(axis=0))
    left, right = (np.searchsorted(score[rows], score[found], side) for side in ("left", "right"))
    of_found = weights[:, found]
    beaten = of_found * (below[:, left] + below[:, right]) / 2
    groups = members[:, found].T.astype(float)
    return ratio(beaten @ groups, (of_found @ groups) * below[:, -1:])


class Ranking:
    """Objects by falling score, those with equal scores together.

    Args:
        score: Shape (N,); those that are NaN come last.
    """

    def __init__(self, score: np.ndarray) -> None:
        score = _with_last(score)
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        is_first = np.append(True, ordered[1:] != ordered[:-1])[: len(score)]
        self._first = np.flatnonzero(is_first)
        self._tied = np.cumsum(is_first) - 1

    def listed(self, weights: np.ndarray, number: int) -> np.ndarray:
        """How much of each object is among the first `number` of the sample, shape (B, N).

        Where objects with equal scores are too many, each is listed in part.

        Args:
            weights: How often each object is in each of B samples, shape (B, N).
            number: Length of the list.
        """

        ordered = weights[:, self._order]
        total = np.add.reduceat(ordered, self._first, axis=1) if len(self._first) else ordered
        before = np.cumsum(total, axis=1) - total
        share = np.clip((number - before) / np.maximum(total, 1), 0, 1)
        listed = np.empty_like(ordered)
        listed[:, self._order] = ordered * share[:, self._tied]
        return listed


def bootstrap_weights(number: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each object is in the sample itself, and then in those drawn from it, (B, N)."""

    yield np.ones((1, number))
    random, rest = np.random.default_rng(seed), draws
    while rest > 0:
        rows = min(rest, max(1, _CHUNK // max(number, 1)))
        drawn = random.integers(number, size=(rows, number)) + number * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * number).reshape(rows, number) * 1.0
        rest -= rows


def group_sums(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Sums of values (B, N) over groups (G, N), shape (B, G)."""

    found = np.flatnonzero(members.any(axis=0))
    return values[:, found] @ members[:, found].T.astype(float)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where there is no whole."""

    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def spread_of(samples: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis of what is finite; NaN of less than two."""

    finite = np.isfinite(samples)
    number = finite.sum(axis=0)
    mean = ratio(np.where(finite, samples, 0).sum(axis=0), number)
    square = np.where(finite, samples - mean, 0) ** 2
    return np.where(number > 1, np.sqrt(ratio(square.sum(axis=0), number - 1)), np.nan)


def _with_last(score: np.ndarray) -> np.ndarray:
    """Scores, those that are missing below all others, shape (N,)."""

    score = np.asarray(score, np.float64)
    return np.where(np.isnan(score), -np.inf, score)
