"""One fit of a population, from the catalogue to a table of galaxies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uraniborg.population.distances import Floor, directions, floor, sliced_wasserstein
from uraniborg.population.popsed.forward import ForwardModel
from uraniborg.population.popsed.generator import Generator
from uraniborg.population.popsed.photometry import Catalogue, Observed
from uraniborg.population.popsed.prior import Prior
from uraniborg.population.popsed.training import (
    Comparison,
    Draw,
    PopulationModel,
    Recipe,
    divergence,
    train,
)
from uraniborg.training import TrainingSettings

__all__ = [
    "TYPICAL_Z",
    "FitSettings",
    "Fitted",
    "Judge",
    "fit_population",
    "fit_settings",
    "galaxies_of",
]

TYPICAL_Z = 0.1
"""Typical redshift of the surveys, at which the mean history of the prior is seen."""

# Galaxies and directions by which finished fits are judged, other than those of training.
_JUDGED, _DIRECTIONS, _SEED = 20_000, 128, 7919
# At most so many galaxies of a catalogue are compared with each other for the floor.
_FLOOR = 50_000
# Star-formation rates that photometry cannot tell from none, log10 per yr.
_QUIESCENT = -14.0


@dataclass(frozen=True)
class FitSettings:
    """How one fit is made.

    Args:
        recipe: What is minimised.
        epochs: Epochs of `steps` steps.
        steps: Steps per epoch.
        batch_size: Galaxies drawn per step.
        learning_rate: Peak learning rate.
        flow: Arguments of `Generator`.
        bootstrap: Whether the catalogue is drawn again with replacement.
        vary: Whether the prior is varied within its doubt, its weight by a factor of up to two, and
            the zero points that are expected by their error.
        galaxies: Galaxies of the catalogue to use at most; None for all.
    """

    recipe: Recipe = field(default_factory=Recipe)
    epochs: int = 15
    steps: int = 30
    batch_size: int = 1000
    learning_rate: float = 5e-3
    flow: Mapping[str, Any] = field(default_factory=dict)
    bootstrap: bool = False
    vary: bool = False
    galaxies: int | None = None


def fit_settings(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> FitSettings:
    """Settings of a fit from those of the configuration.

    Args:
        settings: Names and values of arguments of `FitSettings` and `Recipe`, mixed.
        changes: What differs in this fit.
    """

    merged = {**settings, **changes}
    of_recipe = {each.name for each in fields(Recipe)}
    recipe = Recipe(**{name: value for name, value in merged.items() if name in of_recipe})
    others = {name: value for name, value in merged.items() if name not in of_recipe}
    return FitSettings(recipe, **others)


@dataclass(frozen=True)
class Fitted:
    """A finished fit.

    Args:
        model: The population.
        draw: Galaxies that it drew, for all that is computed of it.
        history: Of the training.
        summary: Numbers: `divergence` from the prior, `weight` of the prior, `effective`, the
            effective fraction of the drawn galaxies that is selected, and `zero_point_BAND` in mag.
    """

    model: PopulationModel
    draw: Draw
    history: pd.DataFrame
    summary: dict[str, float]


class Judge:
    """Holds fits against a catalogue, all in the same way.

    Args:
        catalogue: The catalogue.
        error_floor: Error of the model's fluxes, as a fraction of them.
    """

    def __init__(self, catalogue: Catalogue, error_floor: float = 0.0) -> None:
        self.observed, self.error_floor = Observed(catalogue), error_floor
        self._directions = directions(_DIRECTIONS, self.observed.data.shape[1], _SEED)

    def features(self, flux: Tensor) -> Tensor:
        """Features of noiseless fluxes after noise that is always the same, shape (N, B)."""

        random = torch.Generator().manual_seed(_SEED)
        return self.observed.observe(flux, random, self.error_floor)

    @torch.no_grad()
    def distance(self, draw: Draw) -> float:
        """Sliced Wasserstein distance of a draw's selected galaxies from the catalogue."""

        sample = self.observed.standardise(self.features(draw.flux))
        data = self.observed.data.double()
        weights = draw.weights.double()
        return float(sliced_wasserstein(sample, data, self._directions, weights))

    def floor(self, size: int = _JUDGED, splits: int = 10) -> Floor:
        """The distance of a perfect model's galaxies, by parts of the catalogue.

        Its parts are smaller than what is compared; distances go with the root of
        1 / n + 1 / m.

        Args:
            size: Galaxies that the model draws.
            splits: Random parts of the catalogue that are compared.
        """

        data = self.observed.data[:_FLOOR].double()
        half = len(data) // 2
        measured = floor(data, (half, half), self._directions, splits, _SEED)
        sizes = 1 / size + 1 / len(self.observed.data)
        return Floor(*(value * (sizes * half / 2) ** 0.5 for value in measured))


def fit_population(
    catalogue: Catalogue,
    forward_model: ForwardModel,
    settings: FitSettings,
    *,
    directory: str | Path,
    identity: str = "",
    threads: int = 1,
    description: str = "fitting a population",
) -> Fitted:
    """Fits a population to a catalogue.

    Args:
        catalogue: The photometry.
        forward_model: From parameters to photometry.
        settings: How.
        directory: Folder of the checkpoint.
        identity: What else tells trainings apart, such as a digest of the catalogue.
        threads: CPU threads.
        description: What the progress bar says.
    """

    recipe, space = settings.recipe, forward_model.space
    random = np.random.default_rng([_SEED, recipe.seed])
    used = catalogue.take(np.arange(len(catalogue))[: settings.galaxies])
    if settings.bootstrap:
        used = used.take(random.integers(len(used), size=len(used)))
    prior = Prior.of(space, forward_model.history, TYPICAL_Z)
    if recipe.published:
        prior = Prior.flat_box(space)
    if settings.vary:
        prior = prior.vary(random)
        recipe = replace(recipe, weight=recipe.weight * 2 ** random.uniform(-1, 1))
    torch.manual_seed(recipe.seed)
    model = PopulationModel(
        forward_model,
        len(catalogue.bands),
        Generator(space.size, **settings.flow),
        selects=not recipe.published,
    )
    model.offsets.requires_grad_(not recipe.published)
    if settings.vary:
        model.expected.copy_(torch.as_tensor(random.standard_normal(len(catalogue.bands))))
    history = train(
        model,
        Comparison(Observed(used), settings.batch_size, recipe),
        prior,
        TrainingSettings(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            keep="last",
            seed=recipe.seed,
        ),
        directory=directory,
        steps=settings.steps,
        identity=f"{identity} {settings}",
        threads=threads,
        description=description,
    )
    draw = model.draw(_JUDGED, seed=_SEED)
    summary = {
        "divergence": float(divergence(draw, prior)),
        "weight": 0.0 if recipe.published else recipe.weight,
        "effective": float(draw.effective),
    }
    names = [f"zero_point_{band.name}" for band in catalogue.bands]
    summary |= dict(zip(names, model.zero_points.tolist(), strict=True))
    return Fitted(model, draw, history, summary)


def galaxies_of(
    draw: Draw, forward_model: ForwardModel, features: Tensor, names: tuple[str, ...], number: int
) -> pd.DataFrame:
    """The selected population as galaxies of equal weight.

    Args:
        draw: Galaxies with their chances of selection.
        forward_model: The model that they were drawn for.
        features: Their photometry, shape (N, B).
        names: Names of the B features.
        number: Galaxies wanted.

    Returns:
        `z`, `stellar_mass`, `log_metallicity`, `A_V`, `birth_cloud_ratio`, `dust_slope`,
        `history_0` and so on; `log_sfr`, `log_ssfr` (both of the last 100 Myr; the latter not
        below -14) and `age`; `volume` in which the survey would select the galaxy, Mpc^3/sr; and
        the features.
    """

    rows = _systematic(draw.weights, number)
    parameters = {name: values[rows] for name, values in draw.parameters.items()}
    formation = forward_model.model.formation(parameters)
    columns, values = forward_model.space.columns(parameters)
    table = pd.DataFrame(values.numpy(), columns=list(columns))
    table["log_sfr"] = formation["log_sfr"]
    table["log_ssfr"] = (table["log_sfr"] - table["stellar_mass"]).clip(lower=_QUIESCENT)
    table["age"] = formation["age"]
    table["volume"] = forward_model.volume(parameters).numpy()
    table[list(names)] = features[rows].numpy()
    return table


def _systematic(weights: Tensor, number: int) -> Tensor:
    """Rows drawn in proportion to weights, evenly spaced in their cumulative sum, (number,)."""

    cumulative = weights.double().cumsum(0)
    points = (torch.arange(number, dtype=torch.float64) + 0.5) / number
    return torch.searchsorted(cumulative / cumulative[-1], points).clamp(max=len(weights) - 1)
