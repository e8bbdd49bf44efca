"""Inverse multiscale occlusion: which pixels make an ordinary spectrum an outlier
(arXiv:2310.20012).

The pixels of one window of the outlier are pasted into ordinary spectra. By how much that raises
the score of these, per pixel, is attributed to the pixels of the window. Windows of several sizes
tile the spectrum; their attributions are averaged with weights that are larger where the ordinary
spectra agree.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from uraniborg.spectra.attribution.scores import Score
from uraniborg.spectra.dataset import Batch

__all__ = [
    "Estimate",
    "PastedSpectra",
    "Pasting",
    "Scales",
    "attributed",
    "combined",
    "consensus",
    "inverse_occlusion",
    "per_pixel",
    "window_sums",
]

# Of the largest standard deviation of any scale: a scale where all baselines agree, or say nothing,
# counts as if they differed by this much.
_AGREEMENT = 1e-3
# Of the largest value of a map: what counts least in a consensus.
_DISAGREEMENT = 1e-6


@dataclass(frozen=True)
class Scales:
    """Sizes of windows in pixels, and where their tilings begin; as published by default.

    Args:
        sizes: Sizes in pixels.
        offsets: Size of the first window of each tiling, 0 for that of all others. What is beyond
            the size counts modulo the size.

    Raises:
        ValueError: There are no sizes, not as many offsets, or a number is out of its range.
    """

    sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    offsets: tuple[int, ...] = (0, 2, 10, 42, 170)

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.offsets):
            raise ValueError(f"{len(self.sizes)} sizes and {len(self.offsets)} offsets")
        if min(self.sizes) < 1 or min(self.offsets) < 0:
            raise ValueError("sizes are at least 1 and offsets at least 0")

    def windows(self, length: int) -> tuple[Tensor, ...]:
        """Edges of the windows onto so many pixels: window i of a scale has the pixels from edge i
        to before edge i + 1. The first and the last may be smaller."""

        edges = []
        for size, offset in zip(self.sizes, self.offsets, strict=True):
            first = offset % size or size
            inner = torch.arange(min(first, length), length, size)
            edges.append(torch.cat([torch.tensor([0]), inner, torch.tensor([length])]))
        return tuple(edges)


class Estimate(NamedTuple):
    """What is known of windows before any is pasted, each of shape (K, W), float64.

    Attributes:
        effect: By how much they change the scores of the hosts, to first order.
        distance: How far they take the hosts, which tells where first order fails.
    """

    effect: Tensor
    distance: Tensor


class Pasting(Protocol):
    """K hosts of L pixels, and K donors of which windows are pasted into them.

    Attributes:
        good: Pixels that are not masked, shape (L,), bool.
        host_scores: Scores of the hosts as they are, shape (K,), float64.
    """

    good: Tensor
    host_scores: Tensor

    def scores(self, host: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Scores of hosts with the pixels of their donors in a window, shape (N,), float64.

        Args:
            host: Their numbers, shape (N,).
            start: First pixel of each window, shape (N,).
            stop: The one after its last, shape (N,).
        """
        ...

    def estimate(self, edges: Tensor) -> Estimate | None:
        """What is known of all windows with W + 1 edges, see `Scales.windows`; None of a score
        that has no gradient."""
        ...


class PastedSpectra:
    """Pastes pixels and scores the spectra, whatever the score; a `Pasting`.

    Args:
        score: What is attributed.
        spectrum: One spectrum, whose inverse variance and redshift all have; masked pixels are
            those of the host.
        hosts: Shape (K, L).
        donors: Shape (K, L).
        batch_size: Spectra that are scored at a time.
    """

    def __init__(
        self, score: Score, spectrum: Batch, hosts: Tensor, donors: Tensor, batch_size: int = 256
    ) -> None:
        self.score, self.spectrum, self.batch_size = score, spectrum, batch_size
        self.good = spectrum.ivar[0] > 0
        self.hosts, self.donors = hosts, donors.where(self.good, hosts)
        self.host_scores = self._scored(hosts)

    def scores(self, host: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Scores of hosts with the pixels of a window, see `Pasting`."""

        pixel = torch.arange(self.hosts.shape[1])
        parts = [
            self._scored(
                self.donors[k].where((pixel >= a[:, None]) & (pixel < b[:, None]), self.hosts[k])
            )
            for k, a, b in zip(
                *(x.split(self.batch_size) for x in (host, start, stop)), strict=True
            )
        ]
        return torch.cat([self.host_scores[:0], *parts])

    def estimate(self, edges: Tensor) -> Estimate | None:
        """Gradient times difference, and the difference in standard deviations, see `Pasting`."""

        if self._gradient is None:
            return None
        change = (self.donors - self.hosts).double()
        chi2 = window_sums(change.square() * self.spectrum.ivar, edges)
        return Estimate(window_sums(self._gradient * change, edges), chi2.sqrt())

    @cached_property
    def _gradient(self) -> Tensor | None:
        """Gradients of the scores of the hosts (K, L), if they have any."""

        with torch.enable_grad():
            hosts = self.hosts.clone().requires_grad_()
            scores = self.score(self._batch(hosts))
            return torch.autograd.grad(scores.sum(), hosts)[0] if scores.requires_grad else None

    @torch.no_grad()
    def _scored(self, flux: Tensor) -> Tensor:
        return self.score(self._batch(flux)).double()

    def _batch(self, flux: Tensor) -> Batch:
        number = len(flux)
        return Batch(flux, self.spectrum.ivar.expand(number, -1), self.spectrum.z.expand(number))


def inverse_occlusion(
    score: Score,
    spectrum: Batch,
    baselines: Tensor,
    scales: Scales | None = None,
    batch_size: int = 256,
) -> Tensor:
    """By how much each window of an outlier raises the score of ordinary spectra, per pixel, for
    every scale and baseline as published; shape (scales, K, L), float64, 0 in masked pixels.

    Args:
        score: What is attributed. The paper's f is the log-probability, so its sign is turned.
        spectrum: The outlier, one spectrum, finite.
        baselines: Ordinary spectra at its redshift, shape (K, L).
        scales: The windows, as published by default.
        batch_size: Spectra that are scored at a time.
    """

    donors = spectrum.flux.expand_as(baselines)
    pasting = PastedSpectra(score, spectrum, baselines, donors, batch_size)
    return attributed(pasting, scales or Scales())


def attributed(pasting: Pasting, scales: Scales, share: float = 1.0, largest: int = 4) -> Tensor:
    """By how much the windows of all scales raise the scores of the hosts, per pixel that is not
    masked, shape (scales, K, L), float64.

    Args:
        pasting: The hosts and donors.
        scales: The windows.
        share: Of the windows of each scale that are evaluated because their estimated effect is
            large, and as many because they take the hosts far. The others are left at the
            estimate, if there is one. With 1, none is.
        largest: Size in pixels up to which windows may be left at the estimate.
    """

    maps = []
    for size, edges in zip(scales.sizes, scales.windows(len(pasting.good)), strict=True):
        small = share < 1 and size <= largest
        estimate = pasting.estimate(edges) if small else None
        if estimate is None:
            effect = torch.zeros(len(pasting.host_scores), len(edges) - 1, dtype=torch.float64)
            chosen = torch.ones_like(effect, dtype=torch.bool)
        else:
            effect = estimate.effect
            chosen = _largest(effect.abs(), share) | _largest(estimate.distance, share)
        host, window = chosen.nonzero(as_tuple=True)
        scores = pasting.scores(host, edges[:-1][window], edges[1:][window])
        effect[chosen] = scores - pasting.host_scores[host]
        maps.append(per_pixel(effect, edges, pasting.good))
    return torch.stack(maps)


def per_pixel(effect: Tensor, edges: Tensor, good: Tensor) -> Tensor:
    """Effects of windows (K, W) with W + 1 edges, shared evenly by their good pixels (L,); shape
    (K, L), 0 in all other pixels."""

    number = nn.functional.pad(good.cumsum(dim=0), (1, 0))[edges].diff()
    shared = effect / number.clamp_min(1)
    return shared.repeat_interleave(edges.diff(), dim=1).where(good, 0)


def combined(attribution: Tensor) -> Tensor:
    """One number per pixel, shape (L,): the mean over baselines, averaged over scales with weights
    that are the inverse of the standard deviation over baselines.

    Args:
        attribution: Shape (scales, K, L).
    """

    mean, spread = attribution.mean(dim=1), attribution.std(dim=1, correction=0)
    floor = (_AGREEMENT * spread.amax(dim=0)).clamp_min(torch.finfo(spread.dtype).tiny)
    # Relative to the smallest, so that nothing overflows.
    smallest = spread.maximum(floor).amin(dim=0)
    weight = smallest / spread.maximum(floor)
    return (weight * mean).sum(dim=0) / weight.sum(dim=0)


def consensus(attribution: Tensor) -> Tensor:
    """One number per pixel, shape (L,): the geometric mean of what is positive over all scales and
    baselines, each in units of its largest value. Not in the paper.

    A pixel counts as far as all agree that it raises the score. What raises it in one ordinary
    spectrum alone, or only together with its wider surroundings, hardly does.

    Args:
        attribution: Shape (scales, K, L).
    """

    positive = attribution.clamp_min(0)
    largest = positive.amax(dim=2, keepdim=True)
    share = positive / largest.clamp_min(torch.finfo(positive.dtype).tiny)
    mean = share.clamp_min(_DISAGREEMENT).log().mean(dim=(0, 1)).exp()
    # No one says that a pixel counts.
    return mean.where(positive.amax(dim=(0, 1)) > 0, 0)


def window_sums(values: Tensor, edges: Tensor) -> Tensor:
    """Sums of pixels (K, L) or (K, L, R) over windows with W + 1 edges, shape (K, W) or (K, W, R),
    float64."""

    first = torch.zeros_like(values[:, :1], dtype=torch.float64)
    return torch.cat([first, values.double().cumsum(dim=1)], dim=1)[:, edges].diff(dim=1)


def _largest(values: Tensor, share: float) -> Tensor:
    """Which of all values are among the largest, at least one, of the shape of `values`."""

    number = max(1, round(share * values.numel()))
    return values >= values.flatten().topk(number).values[-1]
