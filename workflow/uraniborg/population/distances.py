"""How far apart two samples of galaxies are: sliced distances and their floor.

The distance of two samples in one dimension is the area between their quantile functions; in more
dimensions it is averaged over directions (Rabin et al. 2012; Bonneel et al. 2015). It has the
samples' units, so features are standardised first, by the same numbers whenever distances are
compared. Two finite samples of one distribution have a distance above zero, which shrinks with
their sizes: the floor, which has to be measured at the sizes of the comparison.

The floor is higher for wider samples, so that a small sample of a model comes nearest to the data
if the model is too narrow (Bellemare et al. 2017, arXiv:1707.06887). The sliced energy distance
(Szekely & Rizzo 2013) has an estimate without floor, whose mean is that of samples of any size.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "Floor",
    "SlicedEnergy",
    "SlicedWasserstein",
    "Standardisation",
    "bootstrap_error",
    "directions",
    "floor",
    "quantiles",
    "sliced_wasserstein",
    "wasserstein",
]


@dataclass(frozen=True)
class Standardisation:
    """Features without units, by numbers that come from a reference sample.

    Whitened features have no correlations in the reference. A distance is then the same whatever
    linear combinations of the features it is given, colours against one band or between
    neighbours; and it sees differences across a narrow sequence, which in features that are only
    scaled are small beside the length of the sequence.

    Args:
        location: Centre of each feature, shape (D,).
        scale: Spread of each feature, shape (D,).
        mixing: What scaled features are multiplied by, shape (D, D).
        limit: Scaled features are clipped to +-limit before that, so that one photometric blunder
            does not outweigh a thousand galaxies.
    """

    location: np.ndarray
    scale: np.ndarray
    mixing: np.ndarray
    limit: float = np.inf

    @classmethod
    def of(cls, reference: np.ndarray, limit: float = np.inf, whiten: bool = False) -> Self:
        """Scales by the median and half the distance from the 16th to the 84th percentile.

        Args:
            reference: Shape (N, D).
            limit: See the class.
            whiten: Whether the scaled and clipped features are made uncorrelated with unit
                variance, each changed as little as possible.

        Raises:
            ValueError: A feature has no spread or is not finite.
        """

        low, location, high = np.percentile(reference, [16, 50, 84], axis=0)
        scale = (high - low) / 2
        if not (scale > 0).all():
            raise ValueError("a feature of the reference is constant or not finite")
        mixing = np.eye(len(scale))
        if whiten:
            scaled = ((reference - location) / scale).clip(-limit, limit)
            variance, axes = np.linalg.eigh(np.cov(scaled, rowvar=False))
            mixing = (axes / np.sqrt(variance)) @ axes.T
        return cls(location, scale, mixing, limit)

    def __call__(self, sample: np.ndarray | Tensor) -> Tensor:
        """Standardised features, shape (N, D), float64; differentiable."""

        sample = torch.as_tensor(sample, dtype=torch.float64)
        location, scale, mixing = (
            torch.as_tensor(value, device=sample.device)
            for value in (self.location, self.scale, self.mixing)
        )
        return ((sample - location) / scale).clamp(-self.limit, self.limit) @ mixing


def directions(count: int, dimension: int, seed: int = 0) -> Tensor:
    """Unit vectors in random directions, shape (count, dimension), float64."""

    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return torch.as_tensor(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def wasserstein(
    x: Tensor, y: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None
) -> Tensor:
    """Exact Wasserstein-1 distances of samples in one dimension.

    Differentiable in the values, and in the weights if there are any.

    Args:
        x: Samples of N, shape (..., N).
        y: Samples of M, shape (..., M), with the leading dimensions of `x`.
        x_weights: Weights of x's objects, shape (N,); they need not sum to one.
        y_weights: The same for y, shape (M,).

    Returns:
        The leading shape.
    """

    if x_weights is None and y_weights is None:
        return _between_quantiles(x.sort(dim=-1).values, y.sort(dim=-1).values)
    return _between_distributions(x, y, x_weights, y_weights)


def _between_quantiles(x: Tensor, y: Tensor) -> Tensor:
    """Integral of |difference| of the quantile functions: steps, with edges known beforehand.

    Both samples are sorted.
    """

    n, m = x.shape[-1], y.shape[-1]
    # In units of 1 / (n m), so that edges in common are found exactly.
    edges = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    width = torch.as_tensor(np.diff(edges) / (n * m), dtype=x.dtype, device=x.device)
    i = torch.as_tensor(edges[:-1] // m, device=x.device)
    j = torch.as_tensor(edges[:-1] // n, device=x.device)
    return ((x[..., i] - y[..., j]).abs() * width).sum(dim=-1)


def _to_quantiles(x: Tensor, mass: Tensor, y: Tensor) -> Tensor:
    """The same of a weighted sample; the edges of the two take turns as the weights have it.

    Both samples are sorted, shapes (P, N) and (P, M); the masses of x's objects, (P, N), sum to
    one. Faster than sorting all values together.
    """

    n, m = x.shape[-1], y.shape[-1]
    edges = mass.cumsum(dim=-1)
    # An edge of x comes after those of y that are not above it: multiples of 1 / m.
    place = torch.arange(n, device=x.device) + (edges.detach() * m).long().clamp(0, m)
    of_x = torch.zeros(len(x), n + m, dtype=torch.int64, device=x.device).scatter(-1, place, 1)
    i = of_x.cumsum(dim=-1) - of_x
    j = torch.arange(n + m, device=x.device) - i
    edges = ((j + 1).to(x.dtype) / m).scatter(-1, place, edges)
    width = edges.diff(dim=-1, prepend=edges.new_zeros(len(x), 1))
    gaps = x.gather(-1, i.clamp(max=n - 1)) - y.gather(-1, j.clamp(max=m - 1))
    return (gaps.abs() * width).sum(dim=-1)


def _between_distributions(
    x: Tensor, y: Tensor, x_weights: Tensor | None, y_weights: Tensor | None
) -> Tensor:
    """Integral of |difference| of the cumulative distribution functions."""

    values, order = torch.cat([x, y], dim=-1).sort(dim=-1)
    weights = [
        x.new_ones(sample.shape[-1]) if w is None else w.to(x.dtype)
        for sample, w in ((x, x_weights), (y, y_weights))
    ]
    return _area(order, values.diff(dim=-1), *weights)


def _area(order: Tensor, gaps: Tensor, x_weights: Tensor, y_weights: Tensor) -> Tensor:
    """The area from the order of all values and the gaps between them."""

    steps = torch.cat([x_weights / x_weights.sum(), -y_weights / y_weights.sum()])[order]
    return (steps.cumsum(dim=-1)[..., :-1].abs() * gaps).sum(dim=-1)


def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    directions: Tensor,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """Mean over directions of the Wasserstein-1 distance of the projected samples.

    Args:
        x: Shape (N, D), standardised.
        y: Shape (M, D), standardised alike.
        directions: Unit vectors, shape (P, D).
        x_weights: Shape (N,).
        y_weights: Shape (M,).

    Returns:
        A scalar.
    """

    return wasserstein(*(_project(s, directions) for s in (x, y)), x_weights, y_weights).mean()


def _project(sample: Tensor, directions: Tensor) -> Tensor:
    return directions.to(sample) @ sample.T


def quantiles(x: Tensor, levels: int, weights: Tensor | None = None) -> Tensor:
    """Means of the quantile function over equal intervals of probability.

    The mean of all is that of the sample, whatever the number of levels; with one level per object
    they are the sorted sample. Differentiable in the values and the weights.

    Args:
        x: Samples, shape (P, N).
        levels: Number of intervals.
        weights: Weights of the objects, shape (N,).

    Returns:
        Shape (P, levels), increasing.
    """

    x, order = x.sort(dim=-1)
    weights = x.new_ones(x.shape[-1]) if weights is None else weights.to(x.dtype)
    mass = (weights / weights.sum())[order]
    zero = x.new_zeros(len(x), 1)
    # The integral of the quantile function is linear between these.
    probability = torch.cat([zero, mass.cumsum(dim=-1)], dim=-1)
    integral = torch.cat([zero, (x * mass).cumsum(dim=-1)], dim=-1)
    edges = torch.linspace(0, 1, levels + 1, dtype=x.dtype, device=x.device).expand(len(x), -1)
    above = torch.searchsorted(probability.detach(), edges.contiguous())
    above = above.clamp(1, x.shape[-1])
    share = edges - probability.gather(-1, above - 1)
    at_edges = integral.gather(-1, above - 1) + share * x.gather(-1, above - 1)
    return at_edges.diff(dim=-1) * levels


class _Sliced(nn.Module):
    """A catalogue that is sorted once, and samples beside it."""

    def __init__(
        self, data: Tensor, directions: Tensor, levels: int, weights: Tensor | None = None
    ) -> None:
        super().__init__()
        directions = directions.to(data)
        # Few directions at a time for the memory; sums over a catalogue need the precision.
        nodes = [
            quantiles(_project(data, some).double(), levels, weights)
            for some in directions.split(8)
        ]
        self.register_buffer("directions", directions)
        self.register_buffer("quantiles", torch.cat(nodes).to(data))

    def take(self, rows: Tensor) -> Self:
        """The distance along some of the directions, given by their indices, shape (Q,)."""

        part = deepcopy(self)
        for name, buffer in self.named_buffers():
            setattr(part, name, buffer[rows])
        return part

    def _sorted(self, sample: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The projected sample in increasing order, and its masses; both of shape (P, M)."""

        x, order = _project(sample.to(self.quantiles), self.directions).sort(dim=-1)
        weights = weights.to(x)
        return x, (weights / weights.sum()).expand_as(x).gather(-1, order)


class SlicedWasserstein(_Sliced):
    """Sliced Wasserstein distance to a catalogue that is sorted once.

    The catalogue becomes quantiles in each direction, so that a call costs the same whatever its
    size.

    Args:
        data: The catalogue, standardised, shape (N, D).
        directions: Unit vectors, shape (P, D).
        levels: Quantiles per direction; best the size of the samples that will be compared.
        weights: Weights of the catalogue's objects, shape (N,).
    """

    def forward(self, sample: Tensor, weights: Tensor | None = None) -> Tensor:
        """The distance of a sample, shape (M, D), with weights, shape (M,); a scalar."""

        if weights is None:
            x = _project(sample.to(self.quantiles), self.directions).sort(dim=-1).values
            return _between_quantiles(x, self.quantiles).mean()
        return _to_quantiles(*self._sorted(sample, weights), self.quantiles).mean()


class SlicedEnergy(_Sliced):
    """Estimate of the sliced energy distance of the distributions of a sample and a catalogue.

    The energy distance is 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2013), in one
    dimension twice the integral of the squared difference of the cumulative distribution functions
    (Cramer's distance); it is averaged over directions. The means over pairs are of different
    objects: over samples of one distribution the mean of the estimate is zero, for it may be
    negative, and the model that it prefers does not depend on the size of the sample.

    Weights are relative, as those of importance sampling. Where they depend on the values, the
    weighted means have the bias of ratios: a twentieth of that which is removed for a selection
    that rises over the width of the sample, and in proportion to one over its size, too.

    Args:
        data: The catalogue, standardised, shape (N, D).
        directions: Unit vectors, shape (P, D).
        levels: Quantiles per direction; best the size of the samples that will be compared.
        weights: Weights of the catalogue's objects, shape (N,).
    """

    def __init__(
        self, data: Tensor, directions: Tensor, levels: int, weights: Tensor | None = None
    ) -> None:
        super().__init__(data, directions, levels, weights)
        weights = data.new_ones(len(data)) if weights is None else weights
        nodes = self.quantiles.double()
        masses = nodes.new_full(nodes.shape, 1 / levels)
        spread = _mean_difference(nodes, masses) / _other(weights)
        ends = nodes.new_zeros(len(nodes), 1), nodes.cumsum(dim=-1) / levels
        self.register_buffer("spread", spread.to(data))
        self.register_buffer("integral", torch.cat(ends, dim=-1).to(data))

    def forward(self, sample: Tensor, weights: Tensor | None = None) -> Tensor:
        """The estimate of a sample, shape (M, D), with weights, shape (M,); a scalar.

        The sample needs two objects at least.
        """

        weights = sample.new_ones(len(sample)) if weights is None else weights
        x, masses = self._sorted(sample, weights)
        below = torch.searchsorted(self.quantiles, x.detach())
        # The mean distance from x to the quantiles: those below it and those above.
        mean, share = self.integral[:, -1:], below.to(x) / self.quantiles.shape[-1]
        distance = x * (2 * share - 1) + mean - 2 * self.integral.gather(-1, below)
        to_data = (distance * masses).sum(dim=-1)
        spread = _mean_difference(x, masses) / _other(weights).to(x)
        return (2 * to_data - spread - self.spread).mean()


def _mean_difference(x: Tensor, masses: Tensor) -> Tensor:
    """Mean absolute difference of pairs of sorted objects, shapes (P, N), those of one with itself
    included; shape (P,)."""

    cumulative = masses.cumsum(dim=-1)[..., :-1]
    return 2 * (x.diff(dim=-1) * cumulative * (1 - cumulative)).sum(dim=-1)


def _other(weights: Tensor) -> Tensor:
    """The weight of pairs of different objects among all pairs; a scalar."""

    masses = weights.double() / weights.double().sum()
    # One object may have all the weight, and then no pairs.
    return (1 - (masses**2).sum()).clamp(min=1e-4)


def bootstrap_error(
    x: Tensor, y: Tensor, directions: Tensor, draws: int = 50, seed: int = 0
) -> float:
    """Standard error of the distance of two samples, each drawn again with replacement.

    Args:
        x: Shape (N, D).
        y: Shape (M, D).
        directions: Shape (P, D).
        draws: Bootstrap samples.
        seed: Seed of the draws.
    """

    random = np.random.default_rng(seed)
    # Drawing again changes how often a value counts, not the order of values.
    values, order = torch.cat([_project(s, directions) for s in (x, y)], dim=-1).sort(dim=-1)
    gaps = values.diff(dim=-1)
    distances = []
    for _ in range(draws):
        counts = [random.multinomial(len(s), np.full(len(s), 1 / len(s))) for s in (x, y)]
        weights = [torch.as_tensor(c, dtype=gaps.dtype) for c in counts]
        distances.append(_area(order, gaps, *weights).mean())
    return float(torch.stack(distances).std())


class Floor(NamedTuple):
    """Distance of two samples of one catalogue."""

    mean: float
    """Mean over random splits."""

    spread: float
    """Standard deviation over random splits."""


def floor(
    catalogue: Tensor, sizes: tuple[int, int], directions: Tensor, splits: int = 20, seed: int = 0
) -> Floor:
    """Distance of random disjoint parts of a catalogue: what a perfect simulation would reach.

    Args:
        catalogue: Standardised, shape (N, D).
        sizes: Objects in the two parts: those of the comparison that the floor is for.
        directions: Shape (P, D).
        splits: Random splits.
        seed: Seed of the splits.

    Raises:
        ValueError: The catalogue is too small for two such parts.
    """

    n, m = sizes
    if n + m > len(catalogue):
        raise ValueError(f"{len(catalogue)} objects cannot be split into {n} and {m}")
    random = np.random.default_rng(seed)
    distances = []
    for _ in range(splits):
        rows = random.permutation(len(catalogue))
        parts = catalogue[rows[:n]], catalogue[rows[n : n + m]]
        distances.append(sliced_wasserstein(*parts, directions))
    values = torch.stack(distances)
    return Floor(float(values.mean()), float(values.std()))
