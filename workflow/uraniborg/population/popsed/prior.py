"""What is known of galaxies before any photometry: volume, a broad mass function, broad dust.

The prior is of all galaxies; the survey's selection is the forward model's. It is soft: a fit is
drawn to it by a small weight, chosen so that the photometry is met, see
`uraniborg.population.popsed.training`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from uraniborg.population.popsed.parameters import BOUNDS, ParameterSpace
from uraniborg.universe.cosmology import age, comoving_volume_element
from uraniborg.universe.histories import RECENT, NMFHistory, component_edges

__all__ = ["LOG_SSFR", "Prior", "cosmic_concentration"]

LOG_SSFR = (-10.5, 0.8)
"""Centre and width of the prior of log10 of the specific star-formation rate of the last 100 Myr,
per yr and mass formed: both sequences of nearby galaxies (Salim et al. 2007, ApJS 173, 267)."""

# Smaller shares of the mass cannot be seen.
_LEAST_FRACTION = 1e-4
_LEAST_RECENT = 1e-6
_LOG_NORMAL = math.log(2 * math.pi) / 2


def cosmic_concentration(history: NMFHistory, z: float, total: float = 5.0) -> tuple[float, ...]:
    """Concentrations of a Dirichlet distribution with the mean history of all galaxies.

    Args:
        history: The K components.
        z: Redshift at which they are seen, typical of the survey.
        total: Sum of the concentrations: the smaller, the more the galaxies differ from each other.

    Returns:
        K numbers; those of components that the mean history has no need of are a hundredth.
    """

    components = history.components.numpy()
    edges = component_edges(components.shape[1])
    formed = np.interp(edges, *_cosmic_history(z))
    share = nnls(components.T, np.diff(formed))[0]
    share = np.maximum(share / share.sum(), 0.01)
    return tuple((total * share / share.sum()).tolist())


def _cosmic_history(z: float) -> tuple[np.ndarray, np.ndarray]:
    """Lookback time over the age of the universe, and the fraction of stars formed since."""

    redshift = torch.linspace(z, 10, 2000, dtype=torch.float64)
    time = age(redshift).numpy()
    x = 1 + redshift.numpy()
    rate = x**2.7 / (1 + (x / 2.9) ** 5.6)
    lookback = (time[0] - time) / time[0]
    formed = np.append(0, np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(lookback)))
    return lookback, formed / formed[-1]


@dataclass(frozen=True)
class Prior:
    """A density of galaxies in the standard normal space of their parameters.

    Redshift: comoving volume times (1 + z)^evolution. Stellar mass: a Schechter function whose
    exponential may be softened. Metals and dust: the normal distributions of `BOUNDS`. Histories: a
    Dirichlet distribution whose mean is the star-formation history of the universe (Madau &
    Dickinson 2014, ARA&A 52, 415, eq. 15), times a broad log-normal distribution of the specific
    star-formation rate, for else a magnitude limit would select the rare bursts of the former.

    Args:
        space: The parameters.
        concentration: Of the Dirichlet distribution of the history, see `cosmic_concentration`;
            none for a flat one.
        recent: Fraction of each component that formed in the last 100 Myr; none for no preference
            in the specific star-formation rate.
        slope: Low-mass slope of the mass function per dex is 1 + slope.
        knee: log10 of its characteristic mass in M_sun.
        softness: Power of M / M* in the exponential; 1 for Schechter's.
        evolution: Power of 1 + z by which the density of galaxies evolves.
        dust_slope: Centre of the slope of the dust's law.
        flat: Whether there is no preference within the box instead of all this, as published.
    """

    space: ParameterSpace
    concentration: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()
    slope: float = -1.4
    knee: float = 10.8
    softness: float = 1.0
    evolution: float = 0.0
    dust_slope: float = BOUNDS[-1].centre
    flat: bool = False

    @classmethod
    def of(cls, space: ParameterSpace, history: NMFHistory, z: float) -> "Prior":
        """The default prior for components of histories, seen at a typical redshift."""

        each = torch.eye(history.size, dtype=torch.float64)
        recent = history.recent(each, torch.full((history.size,), z, dtype=torch.float64))
        return cls(space, cosmic_concentration(history, z), tuple(recent.tolist()))

    @classmethod
    def flat_box(cls, space: ParameterSpace) -> "Prior":
        """No preference within the box, as published."""

        return cls(space, flat=True)

    def log_prob(self, y: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Log of the density at coordinates (N, D) up to a constant, shape (N,).

        Args:
            y: Coordinates, shape (N, D).
            parameters: The same as `ParameterSpace.parameters` gives them.
        """

        # The box is flat in the standard normal space: what is added are ratios to the box.
        total = -(y.square() / 2 + _LOG_NORMAL).sum(1)
        if self.flat:
            return total
        z, mass = parameters["z"], parameters["stellar_mass"]
        total = total + comoving_volume_element(z).log().to(y.dtype)
        total = total + self.evolution * torch.log1p(z)
        x = math.log(10) * (mass - self.knee)
        total = total + (1 + self.slope) * x - torch.exp(self.softness * x)
        if self.concentration:
            fractions = parameters["history"].clamp(min=_LEAST_FRACTION)
            concentration = torch.tensor(self.concentration, dtype=y.dtype, device=y.device)
            total = total + ((concentration - 1) * fractions.log()).sum(1)
        if self.recent:
            share = parameters["history"] @ torch.tensor(
                self.recent, dtype=y.dtype, device=y.device
            )
            log_ssfr = torch.log10(share.clamp(min=_LEAST_RECENT) / RECENT)
            total = total - ((log_ssfr - LOG_SSFR[0]) / LOG_SSFR[1]).square() / 2
        for bound in BOUNDS:
            if bound.width:
                centre = self.dust_slope if bound.name == "dust_slope" else bound.centre
                offset = (parameters[bound.name] - centre) / bound.width
                total = total - offset.square() / 2
        return total

    def vary(self, random: np.random.Generator) -> "Prior":
        """Another prior of the family, for an ensemble: its numbers are drawn within their doubt.

        The slope by 0.15, the knee by 0.15 dex, the evolution by 2 (assumed: twice the scatter of
        published mass functions of the last 5 Gyr, Baldry et al. 2012, Leja et al. 2020), the
        slope of the dust's law by 0.2 (Salim et al. 2018).
        """

        slope, knee, evolution, dust = random.standard_normal(4) * (0.15, 0.15, 2.0, 0.2)
        return replace(
            self,
            slope=self.slope + slope,
            knee=self.knee + knee,
            evolution=self.evolution + evolution,
            dust_slope=self.dust_slope + dust,
        )
