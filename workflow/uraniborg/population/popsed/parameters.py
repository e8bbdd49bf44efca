"""What a galaxy of the population model is: its parameters, their bounds and their soft priors.

The flow works in a space where the box of all parameters is a standard normal: each coordinate y
is Phi^-1 of the share of its range below the parameter. There a flat box is no preference at all,
which is the prior of the published recipe (Li et al. 2024, arXiv:2309.16958).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["BOUNDS", "Bound", "ParameterSpace"]

# Phi^-1 in single precision is finite within these shares.
_EDGE = 1e-6


@dataclass(frozen=True)
class Bound:
    """A parameter's range, and what is known of it before any photometry.

    Args:
        name: Its name, that of `uraniborg.universe.galaxy_population.PARAMETERS`.
        unit: Its unit.
        low: Lower end.
        high: Upper end.
        centre: Centre of the soft prior.
        width: Standard deviation of the soft prior, a normal distribution within the range; 0
            where it is flat, or given by `uraniborg.population.popsed.prior`.
    """

    name: str
    unit: str
    low: float
    high: float
    centre: float = 0.0
    width: float = 0.0


BOUNDS = (
    Bound("stellar_mass", "dex(M_sun)", 7.0, 12.5),
    Bound("log_metallicity", "dex(Z_sun)", -2.0, 0.39, -0.3, 0.5),
    Bound("A_V", "mag", 0.0, 3.0, 0.0, 0.4),
    Bound("birth_cloud_ratio", "", 0.0, 3.0, 1.0, 0.7),
    Bound("dust_slope", "", -1.2, 0.5, -0.5, 0.3),
)
"""All parameters but the redshift, whose range is the survey's, and the history.

Ranges and widths are assumed: wide enough for what is known of galaxies, narrower than the box.
Metals: Gallazzi et al. (2005). Dust: Salim et al. (2018), whose curves are steep; the slope is that
of the deviation from wavelength^-0.7.
"""


@dataclass(frozen=True)
class ParameterSpace:
    """The box of a galaxy's parameters and the standard normal space above it.

    Args:
        z_min: Smallest redshift, above 0.
        z_max: Largest redshift.
        components: Number K of components of the star-formation history; their fractions are flat
            over the simplex, as a Dirichlet distribution of concentration one.

    Example:
        >>> space = ParameterSpace(0.003, 0.4, 6)
        >>> parameters = space.parameters(torch.randn(100, space.size))
    """

    z_min: float
    z_max: float
    components: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates: z, stellar mass, K - 1 of the history, and the others."""

        history = tuple(f"history_{k}" for k in range(self.components - 1))
        return ("z", BOUNDS[0].name, *history, *(bound.name for bound in BOUNDS[1:]))

    @property
    def size(self) -> int:
        """Number D of coordinates."""

        return len(self.names)

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        return {
            "z": (self.z_min, self.z_max),
            **{bound.name: (bound.low, bound.high) for bound in BOUNDS},
        }

    def parameters(self, y: Tensor) -> dict[str, Tensor]:
        """Physical parameters by name, shape (N,), `history` (N, K), from coordinates (N, D)."""

        share = torch.special.ndtr(y).clamp(_EDGE, 1 - _EDGE)
        columns = dict(zip(self.names, share.unbind(1), strict=True))
        parameters = {
            name: low + (high - low) * columns[name] for name, (low, high) in self._ranges.items()
        }
        return parameters | {"history": _simplex(share[:, 2 : 1 + self.components])}

    def coordinates(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `parameters`, shape (N, D); values beyond the box go to its edge."""

        shares = {
            name: (parameters[name] - low) / (high - low)
            for name, (low, high) in self._ranges.items()
        }
        history = _from_simplex(parameters["history"])
        shares |= {f"history_{k}": column for k, column in enumerate(history.unbind(1))}
        share = torch.stack([shares[name].to(history.dtype) for name in self.names], dim=1)
        return torch.special.ndtri(share.clamp(_EDGE, 1 - _EDGE))

    def columns(self, parameters: Mapping[str, Tensor]) -> tuple[Sequence[str], Tensor]:
        """Names and values, shape (N, 2 + K + ...), of the physical parameters as one table."""

        names = [name for name in parameters if name != "history"]
        history = [f"history_{k}" for k in range(self.components)]
        values = [parameters[name][:, None] for name in names]
        return [*names, *history], torch.cat([*values, parameters["history"]], dim=1)


def _simplex(share: Tensor) -> Tensor:
    """Fractions that are flat over the simplex, (N, K), from uniform numbers, (N, K - 1).

    Sticks are broken by the inverse distribution functions of their Beta(1, K - 1 - k) lengths.
    """

    count = share.shape[1]
    exponent = 1 / torch.arange(count, 0, -1, dtype=share.dtype, device=share.device)
    rest = (1 - share) ** exponent
    left = torch.cat([torch.ones_like(rest[:, :1]), rest.cumprod(dim=1)], dim=1)
    return torch.cat([left[:, :-1] * (1 - rest), left[:, -1:]], dim=1)


def _from_simplex(fractions: Tensor) -> Tensor:
    """The inverse of `_simplex`."""

    count = fractions.shape[1] - 1
    left = 1 - torch.cat([torch.zeros_like(fractions[:, :1]), fractions.cumsum(1)[:, :-1]], dim=1)
    rest = 1 - fractions[:, :-1] / left[:, :-1].clamp(min=_EDGE)
    power = torch.arange(count, 0, -1, dtype=fractions.dtype, device=fractions.device)
    return 1 - rest.clamp(0, 1) ** power
