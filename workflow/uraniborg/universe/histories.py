"""Star-formation histories: how much mass formed how long ago.

Three bases to choose from, all with exact integrals over age cells: constant rates in bins
(`DirichletHistory`), a delayed exponential with a burst (`DelayedTauBurstHistory`), and mixtures
of learned components (`NMFHistory`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pyarrow as pa
import torch
from scipy.optimize import nnls
from scipy.special import gammainc
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.tables import Column, read_table
from uraniborg.universe.cosmology import age

__all__ = [
    "DEFAULT_EDGES",
    "RECENT",
    "DelayedTauBurstHistory",
    "DirichletHistory",
    "History",
    "NMFHistory",
    "component_edges",
    "history",
]

DEFAULT_EDGES = (0.0, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 6e9, 1.38e10)
"""Edges in yr of lookback time; the first bin is the life of a birth cloud."""

RECENT = 1e8
"""Lookback time in yr over which specific star-formation rates are averaged."""

_CONCENTRATION = 3.0
_SCATTER = 0.2
_BURST_DECLINE, _BURSTS = 1e8, 0.1
# Of the age of the universe: cells of components are even in time below and in its log above.
_SOFTENING = 3e-3
_FLOAT = pa.float64()


class History(Protocol):
    """A basis of star-formation histories."""

    @property
    def name(self) -> str:
        """Its name, see `history`."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the B parameters are, as columns of a table of true parameters."""
        ...

    @property
    def size(self) -> int:
        """Number B of parameters."""
        return len(self.columns)

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Mass formed in age cells, differentiable in the parameters and in z.

        Args:
            parameters: Shape (N, B).
            z: Redshifts, shape (N,): nothing forms before the Big Bang.
            age_edges: Edges of the age cells in yr, from 0 to beyond the Big Bang, shape (A + 1,).

        Returns:
            Shape (N, A), dtype of `parameters`, non-negative to rounding; rows sum to one M_sun.
        """
        ...

    def draw(self, log_ssfr: np.ndarray, z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Parameters of random galaxies, float64, shape (N, B).

        Args:
            log_ssfr: log10 of the wanted mean star-formation rate of the last 100 Myr in M_sun/yr
                per M_sun ever formed, shape (N,). Galaxies scatter about it by 0.2 dex.
            z: Redshifts, shape (N,).
            random: Its numbers are used up by N galaxies at a time.
        """
        ...

    def recent(self, parameters: Tensor, z: Tensor, period: float = RECENT) -> Tensor:
        """Fraction of the mass that formed in the last `period` yr, shape (N,)."""

        cells = torch.tensor([0.0, period, 1e11], dtype=torch.float64, device=parameters.device)
        return self.weights(parameters, z, cells)[:, 0]


@dataclass(frozen=True)
class DirichletHistory(History):
    """Star-formation rates that are constant in bins of lookback time (Leja et al. 2017).

    The parameters are the fractions of mass formed in the bins, youngest first; if they sum to
    one, so do the weights. Bins end at the age of the universe; the mass of a bin that lies wholly
    before the Big Bang forms at the Big Bang.

    Args:
        edges: Edges of the bins in yr of lookback time, increasing from 0.
    """

    edges: tuple[float, ...] = DEFAULT_EDGES
    name = "dirichlet"

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(
            Column(
                f"fraction_{index}",
                _FLOAT,
                "",
                f"Fraction of all stars formed {low / 1e6:g} to {high / 1e6:g} Myr ago",
            )
            for index, (low, high) in enumerate(pairwise(self.edges))
        )

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Shape (N, A): the exact overlap of bins and cells, see `History.weights`."""

        dtype = parameters.dtype
        edges = age_edges.new_tensor(self.edges)
        time = age(z)
        # Bins before the one in which the universe began are the same for all galaxies.
        first = torch.searchsorted(edges, time.detach())[:, None] - 1
        bins = torch.arange(self.size, device=parameters.device)
        complete = _uniform(age_edges, edges[:-1, None], edges[1:, None]).to(dtype)
        formed = (parameters * (bins < first)) @ complete
        share = (parameters * (bins == first)).sum(1, keepdim=True)
        begun = _uniform(age_edges.to(dtype), edges[first].to(dtype), time[:, None].to(dtype))
        formed = formed + share * begun
        earlier = (parameters * (bins > first)).sum(1, keepdim=True)
        cell = torch.searchsorted(age_edges, time.detach())[:, None] - 1
        cell = cell.clamp(max=len(age_edges) - 2)
        return formed.scatter_add(1, cell, earlier)

    def draw(self, log_ssfr: np.ndarray, z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Gamma deviates of concentration 3 about a delayed exponential from the Big Bang on.

        Where its rate is too low even if it only rises, the youngest bins are scaled up.
        """

        time = age(torch.as_tensor(z)).numpy()
        wanted = np.minimum(10**log_ssfr * RECENT, 0.5)
        x = _decline(wanted, time)
        edges = np.minimum(self.edges, time[:, None])
        formed = gammainc(2, x[:, None] * (1 - edges / time[:, None])) / gammainc(2, x)[:, None]
        mean = formed[:, :-1] - formed[:, 1:]
        share = _recent_share(x, time)
        rise = np.maximum(wanted / (1 - wanted) * (1 - share) / share, 1)
        mean[:, np.array(self.edges[:-1]) < RECENT] *= rise[:, None]
        fractions = mean * random.gamma(_CONCENTRATION, size=mean.shape)
        return fractions / fractions.sum(1, keepdims=True)


@dataclass(frozen=True)
class DelayedTauBurstHistory(History):
    """A delayed exponential, t exp(-t / tau) from its beginning on, with a burst.

    The burst sets in at once and declines exponentially in 100 Myr. Times are limited to what can
    be told apart and computed in single precision: the age of the smooth part to 0.02 to 80 tau,
    that of the burst to 1 Myr to 8 Gyr and to the age of the smooth part.
    """

    name = "delayed_tau_burst"

    @property
    def columns(self) -> tuple[Column, ...]:
        return (
            Column("log_tau", _FLOAT, "", "log10 of the decline time of star formation in yr"),
            Column("start", _FLOAT, "", "Beginning of star formation, as a fraction of the age"),
            Column("burst_fraction", _FLOAT, "", "Fraction of all stars formed in the burst"),
            Column("log_burst_age", _FLOAT, "", "log10 of the time since the burst began in yr"),
        )

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Shape (N, A): differences of closed forms, see `History.weights`."""

        log_tau, start, fraction, log_burst_age = parameters[:, :, None].unbind(1)
        duration = age(z)[:, None].to(parameters.dtype) * (1 - start)
        lookback = torch.minimum(age_edges.to(parameters.dtype), duration)
        # Mass younger than t, written without differences of nearly equal numbers: with x and u
        # the duration and t over tau, it is that between the ages x - u and x of t exp(-t).
        x = (duration / 10**log_tau).clamp(0.02, 80)
        u = lookback * (x / duration)
        growth = torch.expm1(u)
        smooth = ((1 + x - u) * growth - u) * ((1 - fraction) / (torch.expm1(x) - x))
        burst_age = torch.minimum((10**log_burst_age).clamp(1e6, 8e9), duration)
        burst = torch.expm1(torch.minimum(lookback, burst_age) / _BURST_DECLINE)
        burst = burst * (fraction / torch.expm1(burst_age / _BURST_DECLINE))
        return (smooth + burst).diff(dim=1)

    def draw(self, log_ssfr: np.ndarray, z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Bursts in a tenth of the galaxies, and the decline that gives the wanted rate (assumed).

        Star formation begins in the first fifth of the universe's age, or later where the wanted
        rate asks for it. Bursts are 10 Myr to 3 Gyr old and formed 1% to 30% of the mass, less
        where they alone would exceed the wanted rate.
        """

        time = age(torch.as_tensor(z)).numpy()
        uniform = random.uniform(size=(4, *z.shape))
        wanted = 10 ** (log_ssfr + _SCATTER * random.standard_normal(z.shape)) * RECENT
        wanted = np.minimum(wanted, 0.5)
        burst_age = 10 ** (7 + uniform[0] * np.log10(300))
        seen = np.expm1(np.minimum(burst_age, RECENT) / _BURST_DECLINE)
        seen /= np.expm1(burst_age / _BURST_DECLINE)
        fraction = 10 ** (-2 + uniform[1] * np.log10(30)) * (uniform[2] < _BURSTS)
        fraction = np.minimum(fraction, 0.9 * wanted / seen)
        smooth = (wanted - fraction * seen) / (1 - fraction)
        # A rate that only rises forms little more than 2 RECENT / duration of the mass recently.
        duration = np.minimum(time * (1 - 0.2 * uniform[3]), 1.5 * RECENT / smooth)
        x = _decline(smooth, duration)
        return np.stack(
            [np.log10(duration / x), 1 - duration / time, fraction, np.log10(burst_age)], axis=1
        )


@dataclass(frozen=True, eq=False)
class NMFHistory(History):
    """Mixtures of K components that a non-negative matrix factorisation found.

    The approach of Hahn et al. (2023, PROVABGS) with components learned by the rule
    `history_basis`. They are functions of lookback time over the age of the universe, so that they
    serve at every redshift. The parameters are the fractions of mass formed in the components.

    Attributes:
        components: Mass formed in cells between `component_edges`, rows sum to one, shape (K, C),
            float64.
    """

    components: Tensor
    name = "nmf"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads the table of the rule `history_basis`.

        Raises:
            UserError: The file is missing, damaged or has other cells.
        """

        table = read_table(path)
        components = table.filter(regex="^component_").to_numpy(dtype=np.float64).T
        if "older" not in table or not np.allclose(
            table["older"], component_edges(len(table))[1:], rtol=1e-6
        ):
            raise UserError(f"{path} has other cells of time; make it again: rule history_basis.")
        return cls(torch.tensor(components))

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(
            Column(f"component_{k}", _FLOAT, "", f"Fraction of all stars formed in component {k}")
            for k in range(len(self.components))
        )

    def weights(self, parameters: Tensor, z: Tensor, age_edges: Tensor) -> Tensor:
        """Shape (N, A): mass is even in the coordinate of the cells, see `History.weights`."""

        mass = parameters @ self.components.to(parameters)
        below = mass.cumsum(1) - mass
        cells = mass.shape[1]
        x = age_edges.to(mass) / age(z)[:, None].to(mass)
        position = torch.log1p(x / _SOFTENING) * (cells / np.log1p(1 / _SOFTENING))
        position = position.clamp(max=cells)
        cell = position.detach().long().clamp(max=cells - 1)
        younger = below.gather(1, cell) + mass.gather(1, cell) * (position - cell)
        return younger.diff(dim=1)

    def draw(self, log_ssfr: np.ndarray, z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Gamma deviates of concentration 3 about a delayed exponential, tilted to the wanted rate.

        Each component is weighted by a power of its own recent fraction; the power, one number per
        galaxy, makes the mixture's recent fraction the wanted one, as far as the components allow.
        """

        time = age(torch.as_tensor(z)).numpy()
        wanted = 10**log_ssfr * RECENT
        mean = self._delayed(_decline(wanted, time))
        weights = mean * random.gamma(_CONCENTRATION, size=mean.shape)
        wanted = wanted * 10 ** (_SCATTER * random.standard_normal(z.shape))
        one_each = torch.eye(self.size, dtype=torch.float64).repeat(len(z), 1)
        ages = torch.as_tensor(z).repeat_interleave(self.size)
        recent = self.recent(one_each, ages).numpy().reshape(len(z), self.size)

        def tilted(power: np.ndarray) -> np.ndarray:
            mixture = weights * (recent + 1e-4) ** power[:, None]
            return mixture / mixture.sum(1, keepdims=True)

        return tilted(
            _bisect(lambda power: (tilted(power) * recent).sum(1) - wanted, -8.0, 8.0, z.shape)
        )

    def _delayed(self, x: np.ndarray) -> np.ndarray:
        """Weights, none of them zero, nearest to delayed exponentials whose age is x tau."""

        table, weights = self._delayed_table
        return np.stack([np.interp(np.log(x), np.log(table), row) for row in weights], axis=1)

    @cached_property
    def _delayed_table(self) -> tuple[np.ndarray, np.ndarray]:
        x = np.geomspace(0.02, 80, 60)
        edges = component_edges(self.components.shape[1])
        formed = gammainc(2, x[:, None] * (1 - edges)) / gammainc(2, x)[:, None]
        components = self.components.numpy().T
        weights = [nnls(components, mass)[0] for mass in -np.diff(formed)]
        return x, np.array(weights).T + 0.01


def component_edges(cells: int) -> np.ndarray:
    """Lookback times over the age of the universe between which components are even, 0 to 1."""

    edges = _SOFTENING * np.expm1(np.linspace(0, np.log1p(1 / _SOFTENING), cells + 1))
    edges[-1] = 1
    return edges


def history(name: str, basis: str | Path | None = None) -> History:
    """The basis of star-formation histories of this name.

    Args:
        name: `dirichlet`, `delayed_tau_burst` or `nmf`.
        basis: The file of the rule `history_basis`, needed by `nmf`.

    Raises:
        UserError: The name is unknown, or the file is missing or damaged.
    """

    if name == NMFHistory.name:
        if basis is None:
            raise UserError("the star-formation histories 'nmf' need the file of their basis.")
        return NMFHistory.load(basis)
    known = {cls.name: cls for cls in (DirichletHistory, DelayedTauBurstHistory)}
    if name not in known:
        raise UserError(
            f"there are no star-formation histories {name!r}; choose one of "
            f"{', '.join([*known, NMFHistory.name])}."
        )
    return known[name]()


def _uniform(age_edges: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Shares of each age cell of a constant rate between two times, at least a year apart."""

    return age_edges.clamp(low, high).diff(dim=1) / (high - low).clamp(min=1.0)


def _decline(fraction: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Duration over tau of a delayed exponential that formed this fraction in the last 100 Myr."""

    log_x = _bisect(
        lambda log_x: fraction - _recent_share(np.exp(log_x), duration),
        np.log(0.02),
        np.log(80),
        fraction.shape,
    )
    return np.exp(log_x)


def _recent_share(x: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Fraction that a delayed exponential, x tau old, formed in the last 100 Myr."""

    u = x * np.minimum(RECENT / duration, 1)
    return ((1 + x - u) * np.expm1(u) - u) / (np.expm1(x) - x)


def _bisect(
    increasing: Callable[[np.ndarray], np.ndarray], low: float, high: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Where functions cross zero, the nearer end where they do not."""

    low, high = np.full(shape, low), np.full(shape, high)
    for _ in range(40):
        middle = (low + high) / 2
        above = increasing(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
