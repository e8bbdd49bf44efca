"""Normalising flows: densities that a network learns, with the scales of what they describe."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import LazyComposedTransform, LazyTransform
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from uraniborg.errors import UserError

__all__ = ["Flow"]

BOX = 5.0
"""Half-width of the region, in scales, where splines act and that conditioning networks see."""

SLOPE = 0.1
"""Least slope of an affine transform, and the inverse of the largest.

A wider range is not more likely for real features, but lets some far outliers look nearer.
"""

FAR = 1e6
"""Features further out than this, in scales, are taken to be there: nothing can overflow."""


class Flow(nn.Module):
    """A normalising flow p(features | context) and the scales of its features.

    Features are centred and scaled by quantiles, then transformed to a standard normal by networks
    that are masked such that each feature depends on those before it, in random orders
    (Papamakarios et al. 2017, arXiv:1705.07057). Two kinds:

    - `autoregressive`: affine transforms, as published for outliers (arXiv:2302.02496).
    - `spline`: each affine transform is followed by one of rational-quadratic splines (Durkan et
      al. 2019, arXiv:1906.04032). A spline can only move what is inside its box, so the affine
      transform brings the features there.

    Far away, log p falls quadratically along every ray: splines are the identity outside the box,
    and the networks see their inputs clamped to it, so that only the normal varies where a ray has
    left it in every layer, and no network extrapolates. Features beyond a million scales are
    clamped to that, so that log p is finite wherever the input is. Context is clamped to the range
    of `standardise_by`: objects beyond it are judged as those at its edge.

    Args:
        features: Number of features, D.
        context: Number of context features, C, which may be 0.
        kind: `autoregressive` or `spline`.
        transforms: Number of transforms (`autoregressive`, 5 by default and as published) or
            of pairs of them (`spline`, 2 by default).
        hidden: Widths of the networks.
        bins: Bins of the splines.
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        kind: Literal["autoregressive", "spline"] = "spline",
        transforms: int | None = None,
        hidden: tuple[int, ...] = (50,),
        bins: int = 5,
    ) -> None:
        super().__init__()
        self.features, self.context, self.kind = features, context, kind
        self.transforms = transforms or {"autoregressive": 5, "spline": 2}[kind]
        self.hidden, self.bins = tuple(hidden), bins
        layers: list[LazyTransform] = []
        for _ in range(self.transforms):
            layers.append(self._layer(partial(MonotonicAffineTransform, slope=SLOPE), ((), ())))
            if kind == "spline":
                shapes = ((bins,), (bins,), (bins - 1,))
                layers.append(self._layer(_Spline, shapes))
        self.transform = LazyComposedTransform(*layers)
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        self.register_buffer("context_centre", torch.zeros(context, dtype=torch.float64))
        self.register_buffer("context_scale", torch.ones(context, dtype=torch.float64))
        self.register_buffer("context_range", torch.tensor([[-BOX], [BOX]]).repeat(1, context))

    @property
    def architecture(self) -> dict[str, int | str | list[int]]:
        """The arguments that build this flow again."""

        names = ("features", "context", "kind", "transforms", "bins")
        return {name: getattr(self, name) for name in names} | {"hidden": list(self.hidden)}

    def standardise_by(self, features: Tensor, context: Tensor | None = None) -> None:
        """Takes centres and scales from a training set: medians, and half of the central 68%.

        Args:
            features: Shape (N, D), finite.
            context: Shape (N, C), finite.

        Raises:
            UserError: More than two thirds of the objects share a value.
        """

        _locate(features, self.centre, self.scale, "feature")
        if self.context:
            _locate(context, self.context_centre, self.context_scale, "context feature")
            standard = (context.double() - self.context_centre) / self.context_scale
            self.context_range.copy_(torch.stack(standard.aminmax(dim=0)))

    def log_prob(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """Log of the density, in the units of the features, shape (N,), float64.

        NaN for objects with a feature or context that is not finite; the others do not notice.

        Args:
            features: Shape (N, D).
            context: Shape (N, C).
        """

        finite = features.isfinite().all(dim=1)
        if self.context:
            finite = finite & context.isfinite().all(dim=1)
        base, determinant = self._transform(features, context)
        normal = -(base.double().square() + math.log(2 * math.pi)).sum(dim=1) / 2
        return torch.where(finite, normal + determinant, torch.nan)

    def to_base(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """Where objects are transformed to: standard normal if the density is right, (N, D)."""

        return self._transform(features, context)[0]

    @torch.no_grad()
    def sample(
        self,
        number: int,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws objects, shape (number, D).

        Args:
            number: How many.
            context: One row for each, shape (number, C).
            generator: Source of random numbers.
        """

        base = torch.randn(number, self.features, generator=generator, device=self.centre.device)
        inverse = self.transform(self._standard_context(context)).inv
        return (self.centre + self.scale * inverse(base).double()).float()

    def _transform(self, features: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features in the base space, and log of the determinant of the whole transformation."""

        # Wide enough for the difference of any two numbers of single precision.
        standard = (features.double() - self.centre) / self.scale
        standard = standard.nan_to_num(nan=0.0).clamp(-FAR, FAR).float()
        transform = self.transform(self._standard_context(context))
        base, determinant = transform.call_and_ladj(standard)
        return base, determinant.double() - self.scale.log().sum()

    def _standard_context(self, context: Tensor | None) -> Tensor | None:
        if not self.context:
            return None
        standard = (context.double() - self.context_centre) / self.context_scale
        lower, upper = self.context_range
        return torch.clamp(standard.nan_to_num(nan=0.0).float(), lower, upper)

    def _layer(self, univariate: Callable, shapes: tuple[tuple[int, ...], ...]) -> LazyTransform:
        return _BoundedTransform(
            self.features,
            self.context,
            order=torch.randperm(self.features),
            univariate=univariate,
            shapes=shapes,
            hidden_features=self.hidden,
            activation=nn.ELU,
        )


class _BoundedTransform(MaskedAutoregressiveTransform):
    """An autoregressive transform whose network sees features clamped to the box."""

    def meta(self, c: Tensor | None, x: Tensor) -> torch.distributions.Transform:
        return super().meta(c, x.clamp(-BOX, BOX))


class _Spline(MonotonicRQSTransform):
    """zuko's spline in the box, its knots found along the first dimension: along a last one of a
    few bins, torch's softmax takes twenty times as long."""

    def __init__(self, widths: Tensor, heights: Tensor, derivatives: Tensor) -> None:
        super(MonotonicRQSTransform, self).__init__()
        limit = math.log(1e-3)
        derivatives = derivatives / (1 + abs(derivatives / limit))
        self.horizontal, self.vertical = (
            _knots(values / (1 + abs(2 * values / limit))) for values in (widths, heights)
        )
        self.derivatives = nn.functional.pad(derivatives, (1, 1)).exp()


def _knots(logits: Tensor) -> Tensor:
    """Edges (..., K + 1) of bins that fill the box, from logits (..., K) of their widths."""

    inner = logits.movedim(-1, 0).softmax(dim=0).cumsum(dim=0)
    edges = torch.cat([torch.zeros_like(inner[:1]), inner])
    return (BOX * (2 * edges - 1)).movedim(0, -1)


def _locate(values: Tensor, centre: Tensor, scale: Tensor, name: str) -> None:
    """Writes the median and half of the central 68% of each column."""

    # By NumPy, because torch's quantiles refuse a survey's millions of numbers.
    quantiles = np.quantile(values.double().cpu().numpy(), [0.16, 0.5, 0.84], axis=0)
    lower, median, upper = torch.from_numpy(quantiles)
    varies = upper > lower
    if not varies.all():
        raise UserError(
            f"{name} {int(varies.int().argmin())} (from 0) has the same value in most objects, so "
            "it has no density; leave it out."
        )
    centre.copy_(median)
    scale.copy_((upper - lower) / 2)
