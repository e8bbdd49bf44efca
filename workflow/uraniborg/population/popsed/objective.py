"""How far a sample of the population model is from the observed catalogue: what training lowers.

| name                 | distance                                                               |
|----------------------|------------------------------------------------------------------------|
| `sliced_wasserstein` | Wasserstein-1 over random directions, to the whole catalogue           |
| `sliced_energy`      | energy distance over random directions, to the whole catalogue, with a |
|                      | minimum that does not depend on the size of the samples                |
| `sinkhorn`           | debiased Sinkhorn divergence (Feydy et al. 2019) to random minibatches |
|                      | of the catalogue, as published (Li et al. 2024, arXiv:2309.16958)      |

Features are standardised before. All of them compute in single precision.
"""

import numpy as np
import torch
from geomloss import SamplesLoss
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.population.distances import SlicedEnergy, SlicedWasserstein
from uraniborg.population.distances import directions as unit_vectors

__all__ = ["OBJECTIVES", "Sinkhorn", "Sliced", "objective"]

OBJECTIVES = ("sliced_wasserstein", "sliced_energy", "sinkhorn")

# Directions that are prepared for each one that is used at a time.
_PREPARED = 8


class Sliced(nn.Module):
    """A sliced distance to a catalogue, whose directions can be changed during training.

    Directions that stay are fitted at the expense of others. New ones would need the catalogue
    sorted along them, which takes as long as many calls: more of them are prepared than are used
    at a time.

    Args:
        prepared: The distance along all directions.
        count: Directions that are used at a time.
        seed: Seed that chooses the first.
    """

    def __init__(
        self, prepared: SlicedWasserstein | SlicedEnergy, count: int, seed: int = 0
    ) -> None:
        super().__init__()
        self.prepared, self.count = prepared, count
        self.redraw(seed)

    def redraw(self, seed: int) -> None:
        """Chooses directions anew."""

        number = len(self.prepared.directions)
        rows = np.random.default_rng(seed).choice(number, self.count, replace=False)
        device = self.prepared.directions.device
        self.distance = self.prepared.take(torch.as_tensor(rows, device=device))

    def forward(self, sample: Tensor, weights: Tensor | None = None) -> Tensor:
        """The distance of a sample, shape (M, D), with weights, shape (M,); a scalar."""

        return self.distance(sample, weights)


class Sinkhorn(nn.Module):
    """Debiased Sinkhorn divergence with the Euclidean cost, to minibatches of a catalogue.

    By geomloss (Feydy et al. 2019, arXiv:1810.08278), with full cost matrices: memory and time
    go with the square of the sample's size.

    Args:
        data: The catalogue, standardised, shape (N, D).
        blur: Length below which differences are smoothed over; an attribute, because training
            lowers it, as published from 0.3 to 0.002.
        scaling: Ratio of successive lengths on the way from the size of the samples to the blur.
            Closer to one is more exact and slower; as published, the divergence is a percent too
            small for a few hundred objects in five dimensions, and far too small in one.
        seed: Seed of the minibatches.
    """

    def __init__(self, data: Tensor, blur: float, scaling: float = 0.9, seed: int = 0) -> None:
        super().__init__()
        self.register_buffer("data", data)
        self.blur, self.scaling = blur, scaling
        self.redraw(seed)

    def redraw(self, seed: int) -> None:
        """Starts another sequence of minibatches."""

        self._random = np.random.default_rng(seed)

    def forward(self, sample: Tensor, weights: Tensor | None = None) -> Tensor:
        """The divergence of a sample, shape (M, D), with weights, shape (M,); a scalar.

        It is that to the next minibatch, which has the size of the sample if the catalogue has.
        """

        sample = sample.to(self.data)
        weights = sample.new_ones(len(sample)) if weights is None else weights.to(sample)
        size = min(len(sample), len(self.data))
        rows = torch.as_tensor(self._random.choice(len(self.data), size, replace=False))
        batch = self.data[rows.to(self.data.device)]
        loss = SamplesLoss(
            "sinkhorn", p=1, blur=self.blur, scaling=self.scaling, backend="tensorized"
        )
        # It would leave gradients enabled.
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return loss(weights / weights.sum(), sample, batch.new_full((size,), 1 / size), batch)


def objective(
    name: str,
    data: np.ndarray | Tensor,
    *,
    directions: int = 64,
    levels: int,
    seed: int,
    blur: float = 0.002,
) -> Sliced | Sinkhorn:
    """A distance to a catalogue, by its name.

    All have `redraw(seed)`, which changes the directions or the minibatches.

    Args:
        name: One of `OBJECTIVES`.
        data: The catalogue, standardised, shape (N, D).
        directions: Directions of the sliced distances at a time.
        levels: Quantiles of the catalogue in each direction; best the size of the samples.
        seed: Seed of the directions, or of the minibatches.
        blur: See `Sinkhorn`.

    Raises:
        UserError: There is no such objective.
    """

    data = torch.as_tensor(data).float()
    if name == "sinkhorn":
        return Sinkhorn(data, blur, seed=seed)
    kinds = {"sliced_wasserstein": SlicedWasserstein, "sliced_energy": SlicedEnergy}
    if name not in kinds:
        raise UserError(f"No objective is called {name}: choose one of {', '.join(OBJECTIVES)}.")
    lines = unit_vectors(_PREPARED * directions, data.shape[1], seed)
    return Sliced(kinds[name](data, lines, levels), directions, seed)
