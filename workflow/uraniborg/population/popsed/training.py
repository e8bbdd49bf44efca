"""How the population is found: the distance to the photometry, and a little of the prior.

The flow describes galaxies before the survey selects them. Each galaxy that it draws counts with
the probability that the survey selects it, so the selected population, which is compared with the
photometry, has a sharp edge at the survey's limit without the flow having one. In the loss

    distance(photometry of the selected, catalogue) + weight * KL(selected || selected by the prior)

the Kullback-Leibler divergence is a mean over the same galaxies: what the survey's selection
contributes to both populations cancels but for the fraction that it selects.

The published recipe (Li et al. 2024, arXiv:2309.16958) has no prior but a flat box, no selection,
no errors of the model or of zero points, and noise that is annealed from a thirtieth of its
strength.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from uraniborg.population.popsed.forward import ForwardModel
from uraniborg.population.popsed.generator import Generator
from uraniborg.population.popsed.objective import objective
from uraniborg.population.popsed.photometry import Observed
from uraniborg.population.popsed.prior import Prior
from uraniborg.training import TrainingSettings, fit

__all__ = ["Comparison", "Draw", "PopulationModel", "Recipe", "divergence", "train"]

ZERO_POINT_ERROR = 0.02
"""Standard deviation in mag of the prior of each band's zero point: typical of how well models of
galaxies' spectra and photometry agree (assumed)."""

# Galaxies that the survey does not select cost time and tell nothing: the flow, which is free to
# draw them, is kept from drawing more than this leaves.
_EFFICIENCY = 0.5
# The published schedule begins at 1/31 of the noise.
_FIRST_NOISE = 1 / 31


@dataclass(frozen=True)
class Recipe:
    """What is minimised.

    Args:
        name: `default`, or `published` for the flat box and the distance alone.
        distance: One of `uraniborg.population.popsed.objective.OBJECTIVES`.
        weight: Of the prior.
        directions: Of the sliced distances.
        error_floor: Error of the model's fluxes, as a fraction of them.
        seed: Of the flow's first weights, the directions and the prior's variation.
        photometry: Whether the photometry counts; if not, the fit is the prior itself.
    """

    name: Literal["default", "published"] = "default"
    distance: str = "sliced_wasserstein"
    weight: float = 0.01
    directions: int = 64
    error_floor: float = 0.02
    seed: int = 0
    photometry: bool = True

    @property
    def published(self) -> bool:
        """Whether nothing but the distance counts, and the model is taken to be exact."""

        return self.name == "published"


class Draw(NamedTuple):
    """Galaxies that a population model drew."""

    parameters: dict[str, Tensor]
    """By name, shape (N,), `history` (N, K)."""

    coordinates: Tensor
    """In the standard normal space, shape (N, D)."""

    log_prob: Tensor
    """Log of the flow's density there, shape (N,)."""

    flux: Tensor
    """Noiseless fluxes in nanomaggies, zero points included, shape (N, B)."""

    log_selected: Tensor
    """Log of the probability that the survey selects the galaxy, shape (N,)."""

    @property
    def weights(self) -> Tensor:
        """Weights of the selected population, which sum to one, shape (N,)."""

        return self.log_selected.softmax(dim=0)

    @property
    def effective(self) -> Tensor:
        """Effective fraction of the galaxies that are selected (Kish 1965), a scalar."""

        return 1 / (self.weights.square().sum() * len(self.log_selected))


class PopulationModel(nn.Module):
    """The flow and the zero points of the bands.

    Args:
        forward_model: From parameters to photometry.
        bands: Number B of bands.
        generator: The flow.
        selects: Whether galaxies count with the probability that the survey selects them.
    """

    def __init__(
        self, forward_model: ForwardModel, bands: int, generator: Generator, selects: bool = True
    ) -> None:
        super().__init__()
        self.forward_model, self.generator, self.selects = forward_model, generator, selects
        # In units of the prior's width, so that one learning rate serves all.
        self.offsets = nn.Parameter(torch.zeros(bands))
        self.register_buffer("expected", torch.zeros(bands))

    @property
    def zero_points(self) -> Tensor:
        """Magnitudes that are added to the model's in each band, shape (B,).

        They are drawn to `expected`, both in units of the prior's width.
        """

        return ZERO_POINT_ERROR * (self.expected + self.offsets)

    def forward(self, base: Tensor) -> Draw:
        """Galaxies from standard normals, shape (N, D)."""

        coordinates, log_prob = self.generator(base)
        parameters = self.forward_model.space.parameters(coordinates)
        seen = self.forward_model(parameters)
        flux = seen.flux * 10 ** (-0.4 * self.zero_points)
        selected = seen.log_selected if self.selects else torch.zeros_like(seen.log_selected)
        return Draw(parameters, coordinates, log_prob, flux, selected)

    @torch.no_grad()
    def draw(self, number: int, seed: int = 0, batch: int = 2000) -> Draw:
        """Draws galaxies in batches; the arguments decide the result to the last bit."""

        random = torch.Generator().manual_seed(seed)
        size = self.generator.size
        parts = [
            self(torch.randn(min(batch, number - start), size, generator=random))
            for start in range(0, number, batch)
        ]
        names = parts[0].parameters
        parameters = {name: torch.cat([part.parameters[name] for part in parts]) for name in names}
        others = zip(*(part[1:] for part in parts), strict=True)
        return Draw(parameters, *map(torch.cat, others))


class Comparison:
    """What a population is compared with, and how.

    Args:
        observed: The catalogue, or one of its bootstrap samples.
        size: Galaxies that are compared with it at a time.
        recipe: Says which distance.
    """

    def __init__(self, observed: Observed, size: int, recipe: Recipe) -> None:
        self.observed, self.recipe = observed, recipe
        self.objective = objective(
            recipe.distance,
            observed.data,
            directions=recipe.directions,
            levels=min(size, len(observed.data)),
            seed=recipe.seed,
        )
        self._epoch = 0

    def begin(self, epoch: int) -> None:
        """Changes the directions, or starts another sequence of minibatches, once per epoch."""

        if epoch != self._epoch:
            self._epoch = epoch
            self.objective.redraw(self.recipe.seed + epoch)

    def distance(self, draw: Draw, strength: float = 1.0) -> Tensor:
        """The distance of a draw's selected galaxies from the catalogue, a scalar."""

        features = self.observed.observe(
            draw.flux,
            floor=0.0 if self.recipe.published else self.recipe.error_floor,
            strength=strength,
        )
        return self.objective(self.observed.standardise(features).float(), draw.weights)


def divergence(draw: Draw, prior: Prior) -> Tensor:
    """KL divergence of the selected galaxies from those of the prior, up to a constant."""

    ratio = draw.log_prob - prior.log_prob(draw.coordinates, draw.parameters)
    fraction = torch.logsumexp(draw.log_selected, dim=0) - math.log(len(ratio))
    return (draw.weights * ratio).sum() - fraction


class _Noise:
    """A set of `size` draws: what is drawn is the loss' affair."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def batch(self, rows: np.ndarray) -> Mapping[str, Tensor]:
        return {"row": torch.as_tensor(rows)}


def train(
    model: PopulationModel,
    comparison: Comparison,
    prior: Prior,
    settings: TrainingSettings,
    *,
    directory: str | Path,
    steps: int = 30,
    identity: str = "",
    threads: int = 1,
    description: str = "fitting a population",
) -> pd.DataFrame:
    """Fits a population.

    Args:
        model: The model, left in evaluation mode with its last weights.
        comparison: What it is compared with.
        prior: What it is drawn to, with the recipe's weight.
        settings: `batch_size` galaxies are drawn per step.
        directory: Folder of the checkpoint.
        steps: Steps per epoch.
        identity: What else tells trainings apart, such as a digest of the catalogue.
        threads: CPU threads.
        description: What the progress bar says.

    Returns:
        The history of `uraniborg.training.fit`, with terms `distance` and `divergence`.
    """

    recipe = comparison.recipe
    weight = 0.0 if recipe.published else recipe.weight

    def loss(module: PopulationModel, batch: Mapping[str, Tensor], epoch: int) -> dict[str, Tensor]:
        strength = 1.0
        if recipe.published:
            # Full strength from the middle on.
            strength = min(1.0, _FIRST_NOISE ** (1 - 2 * (epoch - 1) / settings.epochs))
        comparison.begin(epoch)
        draw = module(torch.randn(len(batch["row"]), module.generator.size))
        apart = divergence(draw, prior)
        distance = comparison.distance(draw, strength) if recipe.photometry else 0 * apart
        penalty = module.offsets.square().sum() / 2
        idle = (math.log(_EFFICIENCY) - draw.effective.log()).clamp(min=0)
        return {
            "loss": distance + weight * (apart + penalty) + idle,
            "distance": distance.detach(),
            "divergence": apart.detach(),
        }

    return fit(
        model,
        loss,
        _Noise(steps * settings.batch_size),
        _Noise(settings.batch_size),
        settings,
        directory=directory,
        identity=identity,
        threads=threads,
        description=description,
    )
