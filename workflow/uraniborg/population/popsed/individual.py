"""Galaxies fitted one by one: the posterior of each under the model and prior of the population.

What is fitted is the same as for a population: the forward model, the prior of all galaxies, the
survey's selection, the errors of the photometry with a floor. A population is not the stack of
such posteriors, in which each galaxy takes part with its error and with the prior.

Posteriors of so few bands are wide and bent, so that chains mix slowly, and all are of one model:
a library of galaxies drawn from the prior once serves everyone as importance sample. A galaxy's
flux is in proportion to its mass, which is integrated out of the choice among the library and
drawn afterwards. Approximations of that choice are made up for by weights.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from scipy.stats import truncnorm
from torch import Tensor

from uraniborg.population.popsed.forward import ForwardModel
from uraniborg.population.popsed.parameters import BOUNDS
from uraniborg.population.popsed.photometry import Catalogue
from uraniborg.population.popsed.prior import Prior

__all__ = ["Fits", "Library", "fit_individually", "stacked"]

_MASS = BOUNDS[0]
# Smaller shares of the mass cannot be told apart.
_LEAST_FRACTION = 1e-12
# With a smaller one most fractions would be too small to be seen, among which the prior is flat.
_LEAST_CONCENTRATION = 0.2
# Tried per draw that is kept, so that weights are resampled from many.
_TRIED = 4
# Masses are tried from Student's distribution: the likelihood of a faint galaxy's log mass has a
# long tail.
_FREEDOM = 4
_BATCH = 4000


@dataclass(frozen=True)
class Library:
    """Galaxies of all redshifts, histories, metals and dust, whose mass is left open.

    Args:
        forward_model: From parameters to photometry.
        prior: Density of all galaxies.
        parameters: By name, shape (L,), `history` (L, K); the mass is that of the prior's knee.
        flux: Noiseless fluxes at that mass in nanomaggies, shape (L, B).
        log_proposal: Log of the density they were drawn from, over the flat box, shape (L,).
        log_weight: Log of the prior's density at that mass less that, shape (L,).
    """

    forward_model: ForwardModel
    prior: Prior
    parameters: dict[str, Tensor]
    flux: Tensor
    log_proposal: Tensor
    log_weight: Tensor

    @classmethod
    @torch.no_grad()
    def draw(
        cls, forward_model: ForwardModel, prior: Prior, size: int = 1_000_000, seed: int = 0
    ) -> Self:
        """Draws a library: flat in redshift, all others as in the prior.

        Args:
            forward_model: From parameters to photometry.
            prior: Density of all galaxies.
            size: Galaxies L of the library.
            seed: Seed of the draw.
        """

        random = np.random.default_rng(seed)
        parts = []
        for first in range(0, size, _BATCH):
            parameters, log_proposal = _propose(prior, min(_BATCH, size - first), random)
            flux = forward_model(parameters).flux
            log_weight = _log_prior(prior, parameters) - log_proposal
            parts.append((parameters, flux, log_proposal, log_weight))
        parameters, *others = zip(*parts, strict=True)
        joined = {name: torch.cat([part[name] for part in parameters]) for name in parameters[0]}
        return cls(forward_model, prior, joined, *(torch.cat(column) for column in others))


class Fits(NamedTuple):
    """Fits of G galaxies, S draws of each."""

    samples: pd.DataFrame
    """Columns `galaxy` and `draw`, and the physical parameters; G x S rows."""

    galaxies: pd.DataFrame
    """One row per galaxy: `galaxy`; `effective_size`, the number of independent draws that the
    importance sample is worth; `chi_square`, the least in the library, of the bands measured."""


def fit_individually(
    library: Library,
    catalogue: Catalogue,
    *,
    error_floor: float = 0.02,
    selects: bool = True,
    samples: int = 200,
    seed: int = 0,
) -> Fits:
    """Fits each galaxy of a catalogue for itself.

    Args:
        library: Galaxies that the posteriors are made of.
        catalogue: The galaxies to fit, G of them.
        error_floor: Error of the model's fluxes, as a fraction of them.
        selects: Whether the prior is that of the galaxies that the survey selects.
        samples: Draws S of each galaxy. An effective size below that says that draws repeat, and
            one of a few that the posterior is not known; a larger library is the remedy.
            The lowest masses of a galaxy of which no band is known to a third are too rare.
        seed: Seed of everything that is drawn.
    """

    random = np.random.default_rng(seed)
    masses = torch.linspace(_MASS.low, _MASS.high, 500)
    one = {
        name: values[:1].expand(500, *values.shape[1:])
        for name, values in library.parameters.items()
    }
    by_mass = _log_prior(library.prior, one | {"stellar_mass": masses})
    squares = library.flux.square()
    tables, rows = [], []
    for galaxy in range(len(catalogue)):
        single = _Galaxy.of(catalogue, galaxy, error_floor)
        choice = _choose(library, squares, single, by_mass)
        draws, size = _draw(library, single, choice, selects, samples, random)
        names, values = library.forward_model.space.columns(draws)
        tables.append(values)
        rows.append((galaxy, size, choice.chi_square))
    table = pd.DataFrame(torch.cat(tables).numpy(), columns=list(names))
    table.insert(0, "galaxy", np.repeat(np.arange(len(catalogue)), samples))
    table.insert(1, "draw", np.tile(np.arange(samples), len(catalogue)))
    return Fits(table, pd.DataFrame(rows, columns=["galaxy", "effective_size", "chi_square"]))


def stacked(fits: Fits, name: str) -> Tensor:
    """All draws of a parameter of all galaxies as one sample, shape (G S,), float64.

    Its distribution is what is often taken for the population's.
    """

    return torch.as_tensor(fits.samples[name].to_numpy(float))


class _Galaxy(NamedTuple):
    """The photometry of one galaxy, each of shape (B,)."""

    flux: Tensor
    sigma: Tensor
    observed: Tensor
    limited: Tensor
    error_floor: float

    @classmethod
    def of(cls, catalogue: Catalogue, row: int, error_floor: float) -> Self:
        observed = torch.as_tensor(catalogue.observed[row])
        sigma = torch.as_tensor(np.nan_to_num(catalogue.sigma[row], nan=1.0)).float()
        flux = torch.as_tensor(np.nan_to_num(catalogue.flux[row])).float()
        limited = torch.as_tensor(catalogue.limited[row])
        return cls(flux, sigma, observed, limited, error_floor)

    def log_likelihood(self, flux: Tensor) -> Tensor:
        """Of noiseless fluxes, shape (N, B); shape (N,)."""

        spread = (self.sigma.square() + (self.error_floor * flux).square()).sqrt()
        offset = (self.flux - flux) / spread
        measured = -offset.square() / 2 - spread.log()
        each = torch.where(self.limited, torch.special.log_ndtr(offset), measured)
        return torch.where(self.observed, each, 0.0).sum(1)


class _Choice(NamedTuple):
    """How well the library's galaxies fit, their masses integrated out."""

    log_prob: Tensor
    """Log of the probability to choose each, up to a constant, shape (L,)."""

    log_mass: Tensor
    """log10 of the mass that fits best, in units of the library's, shape (L,)."""

    width: Tensor
    """Its error in dex, shape (L,)."""

    chi_square: float
    """The least."""


@torch.no_grad()
def _choose(library: Library, squares: Tensor, galaxy: _Galaxy, by_mass: Tensor) -> _Choice:
    """Compares a galaxy with the library.

    Mass follows by least squares. The errors are those of a model that meets the data, upper
    limits and the survey's selection are left out, and the prior on mass is the same whatever the
    other parameters are: `by_mass` at 500 masses.
    """

    measured = galaxy.observed & ~galaxy.limited
    variance = galaxy.sigma.square() + (galaxy.error_floor * galaxy.flux).square()
    weight = torch.where(measured, 1 / variance, 0.0)
    across, along = library.flux @ (galaxy.flux * weight), squares @ weight
    ratio = (across / along).clamp(min=1e-9)
    chi_square = (galaxy.flux.square() * weight).sum() - 2 * ratio * across + ratio.square() * along
    log_mass = ratio.log10()
    width = (1 / (along.sqrt() * ratio * math.log(10))).clamp(max=1.0)
    share = (log_mass + library.prior.knee - _MASS.low) / (_MASS.high - _MASS.low)
    node = (share.clamp(0, 1) * (len(by_mass) - 1)).round().long()
    log_prob = library.log_weight + by_mass[node] - chi_square / 2 + width.log()
    # Masses a little outside may be drawn inside.
    outside = torch.maximum(share - 1, -share).clamp(min=0) * (_MASS.high - _MASS.low) / width
    return _Choice(log_prob - outside.square() / 2, log_mass, width, float(chi_square.min()))


@torch.no_grad()
def _draw(
    library: Library,
    galaxy: _Galaxy,
    choice: _Choice,
    selects: bool,
    number: int,
    random: np.random.Generator,
) -> tuple[dict[str, Tensor], float]:
    """Draws from the posterior, and their effective number."""

    tried = _TRIED * number
    shares = (choice.log_prob.double() - choice.log_prob.max()).exp()
    cumulative = (shares / shares.sum()).cumsum(0)
    # Evenly spread shares of probability: less scatter than independent ones.
    levels = torch.as_tensor((np.arange(tried) + random.random(tried)) / tried)
    row = torch.searchsorted(cumulative, levels).clamp(max=len(shares) - 1)
    offset = torch.as_tensor(random.standard_t(_FREEDOM, tried)).float()
    mass = choice.log_mass[row] + choice.width[row] * offset + library.prior.knee
    parameters = {name: values[row] for name, values in library.parameters.items()}
    parameters["stellar_mass"] = mass
    seen = library.forward_model(parameters)
    log_target = _log_prior(library.prior, parameters) - library.log_proposal[row]
    log_target = log_target + galaxy.log_likelihood(seen.flux)
    if selects:
        log_target = log_target + seen.log_selected
    log_target[(mass < _MASS.low) | (mass > _MASS.high)] = -torch.inf
    log_offset = -(_FREEDOM + 1) / 2 * torch.log1p(offset.square() / _FREEDOM)
    log_tried = choice.log_prob[row] + log_offset - choice.width[row].log()
    weights = (log_target - log_tried).double().softmax(0)
    even = torch.as_tensor((np.arange(number) + random.random()) / number)
    kept = torch.searchsorted(weights.cumsum(0), even).clamp(max=tried - 1)
    # Both steps' relative variances add up.
    of_choice = float(shares.sum() ** 2 / shares.square().sum())
    of_weights = float(1 / weights.square().sum())
    return {n: v[kept] for n, v in parameters.items()}, 1 / (1 / of_choice + 1 / of_weights)


def _propose(
    prior: Prior, number: int, random: np.random.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """Galaxies as in the prior but for mass and redshift, and the log of their density, (N,).

    The density is over the flat box, up to a constant.
    """

    space = prior.space
    flat = prior.flat or not prior.concentration
    concentration = np.maximum(1.0 if flat else prior.concentration, _LEAST_CONCENTRATION)
    concentration = np.broadcast_to(concentration, space.components)
    history = random.dirichlet(concentration, number).clip(_LEAST_FRACTION)
    log_density = ((concentration - 1) * np.log(history)).sum(1)
    parameters = {
        "z": random.uniform(space.z_min, space.z_max, number),
        "stellar_mass": np.full(number, prior.knee),
        "history": history,
    }
    for bound in BOUNDS[1:]:
        if prior.flat or not bound.width:
            parameters[bound.name] = random.uniform(bound.low, bound.high, number)
            continue
        low, high = ((end - bound.centre) / bound.width for end in (bound.low, bound.high))
        offset = truncnorm.rvs(low, high, size=number, random_state=random)
        parameters[bound.name] = bound.centre + bound.width * offset
        log_density -= offset**2 / 2
    tensors = {name: torch.as_tensor(values).float() for name, values in parameters.items()}
    return tensors, torch.as_tensor(log_density).float()


def _log_prior(prior: Prior, parameters: Mapping[str, Tensor]) -> Tensor:
    """Log of the prior's density over the flat box, up to a constant, shape (N,)."""

    # At the centre of the normal space the density of the box itself is a constant.
    centre = torch.zeros(len(parameters["z"]), prior.space.size)
    return prior.log_prob(centre, dict(parameters))
