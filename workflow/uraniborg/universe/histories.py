"""Star-formation histories: how much mass formed how long ago."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from uraniborg.universe.cosmology import age

__all__ = ["DEFAULT_EDGES", "DirichletHistory", "History"]

DEFAULT_EDGES = (0.0, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 6e9, 1.38e10)
"""Edges in yr of lookback time; the first bin is the life of a birth cloud."""


class History(Protocol):
    """A basis of star-formation histories."""

    size: int
    """Number B of parameters."""

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Mass formed in age cells.

        Args:
            parameters: Shape (N, B).
            z: Redshifts, shape (N,): nothing forms before the Big Bang.
            age_edges: Edges of the age cells in yr, shape (A + 1,).

        Returns:
            Shape (N, A), dtype of `parameters`; rows sum to one M_sun.
        """
        ...


@dataclass(frozen=True)
class DirichletHistory:
    """Star-formation rates that are constant in bins of lookback time (Leja et al. 2017).

    The parameters are the fractions of mass formed in the bins, youngest first; if they sum to
    one, so do the weights. Bins end at the age of the universe; the mass of a bin that lies wholly
    before the Big Bang forms at the Big Bang.

    Args:
        edges: Edges of the bins in yr of lookback time, increasing from 0.
    """

    edges: tuple[float, ...] = DEFAULT_EDGES

    @property
    def size(self) -> int:
        return len(self.edges) - 1

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Shape (N, A): the exact overlap of bins and cells, see `History.weights`."""

        formed = parameters.new_zeros(len(parameters), len(age_edges), dtype=torch.float64)
        edges = torch.minimum(age_edges.new_tensor(self.edges), age(z)[:, None])
        for bin_ in range(self.size):
            low, high = edges[:, bin_, None], edges[:, bin_ + 1, None]
            # A bin of no width, at least a year here, is a step.
            younger = ((age_edges - low) / (high - low).clamp(min=1.0)).clamp(0, 1)
            formed = formed + parameters[:, bin_, None] * younger
        return formed.diff(dim=1).to(parameters.dtype)
