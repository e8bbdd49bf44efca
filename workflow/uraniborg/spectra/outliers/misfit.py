"""How badly a model fits, beyond the noise and beyond what it misses of every object.

A model of few latents misses something of every spectrum, and at a high signal-to-noise ratio that
is significant in all of them. It is measured on ordinary objects, as a fraction f of the light by
rest-frame wavelength, and taken out of the residuals of others, so that what is left is theirs.

Residuals are summed over 1, 4, 16 and 64 pixels, because a cosmic ray, an emission line and a
wrong continuum are significant on different scales. A sum C of normalised residuals over a block
with n good pixels, in which the sum of the model's signal-to-noise ratios is S, has the variance
n + f^2 S^2, if what is missed has the same sign throughout the block.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.spectra.autoencoder import Reconstruction, SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.transform import RedshiftTransform

__all__ = ["SCALES", "STATISTICS", "ModelMisfit"]

SCALES = (1, 4, 16, 64)
"""Pixels over which residuals are summed."""

STATISTICS = (*(f"mean_{scale}" for scale in SCALES[1:]), "largest_1")
"""What is measured of the residuals of each object: logarithms of the mean of whitened squares by
scale, and of the largest one at scale 1.

The mean at scale 1 is next to the reduced chi-squared, which tells wrong noise before anything
else; with it, fewer contaminants are found among as many false alarms.
"""

# The quantile of squared residuals by which the misfit is found, and that of a squared normal.
_QUANTILE, _OF_NORMAL = 0.9, 2.705543
# Least width in pixels of the bins of rest-frame wavelength.
_BIN = 8
# Residuals in a bin below which its neighbours' misfit is taken.
_FEWEST = 30
# Histogram of log10 f^2.
_LOWEST, _HIGHEST, _LEVELS = -9.0, 3.0, 600


class _Blocks(NamedTuple):
    """Sums over blocks of pixels, each (N, B): good pixels, normalised residuals, model's S/N."""

    good: Tensor
    residual: Tensor
    signal: Tensor

    def enough(self, scale: int) -> Tensor:
        """Which blocks of so many pixels have at least a quarter of good ones, (N, B)."""

        return 4 * self.good >= scale

    def variance(self, fraction: Tensor) -> Tensor:
        """Of the residuals, where f^2 of the light is missed (N, B)."""

        return torch.addcmul(self.good, fraction, self.signal.square())


class ModelMisfit(nn.Module):
    """The fraction of the light that a model misses of ordinary objects, by rest-frame wavelength.

    Args:
        transform: The model's; the misfit is known in rest-frame pixels as wide as the observed.

    Example:
        >>> misfit = ModelMisfit.of(model, dataset.batches(256))
        >>> statistics = misfit.statistics(batch, model(*batch))  # (N, 4)
    """

    def __init__(self, transform: RedshiftTransform) -> None:
        super().__init__()
        self._observed, restframe = transform.observed, transform.restframe
        # Rest-frame pixel, as wide as the observed ones, that the bluest one is at redshift 0.
        self._first = (self._observed.start - restframe.start) / self._observed.step
        size = restframe.size // transform.oversampling
        self.register_buffer("variance", torch.zeros(len(SCALES), size))

    @classmethod
    @torch.inference_mode()
    def of(cls, model: SpectrumAutoencoder, batches: Iterable[Batch]) -> Self:
        """Measures the misfit of a model.

        The f^2 at which a squared residual C^2 / (n + f^2 S^2) is the 0.9 quantile of a squared
        normal is a number of each block, and f^2 the 0.9 quantile of these numbers among the blocks
        in a bin of rest-frame wavelength: outliers that are rarer than one in ten do not matter
        much. Histograms of them are all that is kept.

        Args:
            model: The trained model.
            batches: Objects that it was not trained on.

        Raises:
            UserError: There are too few objects.
        """

        misfit = cls(model.transform)
        size = misfit.variance.shape[1]
        widths = [max(scale, _BIN) for scale in SCALES]
        histograms = [torch.zeros(-(-size // w) * _LEVELS, dtype=torch.int64) for w in widths]
        for batch in batches:
            first = misfit._first_pixel(batch.z)
            blocks = _blocks(batch, model(*batch))
            for scale, width, histogram, sums in zip(
                SCALES, widths, histograms, blocks, strict=True
            ):
                excess = sums.residual.square() / _OF_NORMAL - sums.good
                exponent = (excess / sums.signal.square()).log10()
                level = (exponent - _LOWEST) * (_LEVELS / (_HIGHEST - _LOWEST))
                # The logarithm is NaN where noise alone would do.
                level = level.nan_to_num(nan=0.0).clamp(0, _LEVELS - 1).long()
                centre = scale * torch.arange(level.shape[1]) + (scale - 1) // 2
                place = (first[:, None] + centre) // width * _LEVELS + level
                histogram += torch.bincount(place[sums.good > 0], minlength=len(histogram))
        for scale, width, histogram in zip(range(len(SCALES)), widths, histograms, strict=True):
            by_bin = _quantile(histogram.view(-1, _LEVELS))
            misfit.variance[scale] = by_bin.repeat_interleave(width)[:size]
        return misfit

    def at_least(self, fraction: float) -> None:
        """Raises the misfit to a fraction of the light wherever it is less."""

        self.variance.clamp_(min=fraction**2)

    def statistics(self, batch: Batch, reconstruction: Reconstruction) -> Tensor:
        """The statistics `STATISTICS` of N spectra, shape (N, 4); NaN without good pixels.

        Args:
            batch: The spectra. What is masked must be finite all the same.
            reconstruction: What the model makes of them.
        """

        means = []
        for scale, squares, good in self._squares(batch, reconstruction):
            if scale == 1:
                largest = squares.amax(dim=1)
            else:
                means.append(squares.sum(dim=1) / (good > 0).sum(dim=1))
        largest = largest.where((batch.ivar > 0).any(dim=1), torch.nan)
        values = torch.stack([*means, largest], dim=1)
        # A perfect fit is the least surprising, not an error.
        return values.clamp_min(torch.finfo(values.dtype).tiny).log()

    def shares(self, batch: Batch, reconstruction: Reconstruction) -> Tensor:
        """What each pixel contributes to the statistics, shape (N, 4, L): those of a block share
        its squared residual evenly, and the largest is that of one pixel. The sum over good pixels
        is one.

        Args:
            batch: The spectra. What is masked must be finite all the same.
            reconstruction: What the model makes of them.
        """

        shares = []
        for scale, squares, good in self._squares(batch, reconstruction):
            if scale == 1:
                largest = nn.functional.one_hot(squares.argmax(dim=1), squares.shape[1])
            else:
                even = (squares / good.clamp_min(1)).repeat_interleave(scale, dim=1)
                shares.append(nn.functional.pad(even, (0, batch.ivar.shape[1] - even.shape[1])))
        shares = torch.stack([*shares, largest.to(batch.flux)], dim=1) * (batch.ivar > 0)[:, None]
        return shares / shares.sum(dim=2, keepdim=True)

    def _squares(
        self, batch: Batch, reconstruction: Reconstruction
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Scales, squared whitened residuals of their blocks, and numbers of good pixels there."""

        first = self._first_pixel(batch.z)
        for scale, sums in zip(SCALES, _blocks(batch, reconstruction), strict=True):
            windows = self._windows(scale)[:, (scale - 1) // 2 :: scale]
            fraction = windows[:, : sums.good.shape[1]][first]
            # Blocks without good pixels count as nothing.
            squares = sums.residual.square() / sums.variance(fraction).clamp_min(1)
            yield scale, squares, sums.good

    def whitened(self, batch: Batch, reconstruction: Reconstruction, scale: int) -> Tensor:
        """Residuals summed over the pixels around every one, as `statistics` sums them over blocks,
        in units of their expected scatter, shape (N, L); NaN where too few pixels are good.

        Args:
            batch: The spectra. What is masked must be finite all the same.
            reconstruction: What the model makes of them.
            scale: Over how many pixels, one of `SCALES`.
        """

        pixels = _pixels(batch, reconstruction)
        sums = _Blocks(*(_running_sum(values, scale) for values in pixels))
        fraction = self._windows(scale)[self._first_pixel(batch.z)]
        values = sums.residual / sums.variance(fraction).sqrt()
        return values.where(sums.enough(scale), torch.nan)

    def _windows(self, scale: int) -> Tensor:
        """f^2 by the first rest-frame pixel that is observed; all are views, shape (P, L)."""

        return self.variance[SCALES.index(scale)].unfold(0, self._observed.size, 1)

    def _first_pixel(self, z: Tensor) -> Tensor:
        """Rest-frame pixel of each object's bluest one, shape (N,)."""

        first = self._first - torch.log10(1 + z.double()) / self._observed.step
        last = self.variance.shape[1] - self._observed.size
        return first.round().long().clamp(0, last)


def _blocks(batch: Batch, reconstruction: Reconstruction) -> Iterator[_Blocks]:
    """Sums over blocks of as many pixels as `SCALES` say, one after the other; blocks with too few
    good pixels have none."""

    sums = _pixels(batch, reconstruction)
    yield sums
    for smaller, scale in pairwise(SCALES):
        sums = _Blocks(*(_summed(values, scale // smaller) for values in sums))
        enough = sums.enough(scale).to(sums.good)
        yield _Blocks(*(values * enough for values in sums))


def _pixels(batch: Batch, reconstruction: Reconstruction) -> _Blocks:
    """Blocks of one pixel."""

    weight = batch.ivar.sqrt()
    signal = reconstruction.light * weight
    return _Blocks((batch.ivar > 0).to(weight), batch.flux * weight - signal, signal)


def _running_sum(values: Tensor, scale: int) -> Tensor:
    """Sums over so many columns around each, fewer at the ends, shape (N, L)."""

    total = nn.functional.pad(values.double().cumsum(dim=1), (1, 0))
    first = torch.arange(values.shape[1]) - (scale - 1) // 2
    low, high = first.clamp(min=0), (first + scale).clamp(max=values.shape[1])
    return (total[:, high] - total[:, low]).to(values.dtype)


def _summed(values: Tensor, number: int) -> Tensor:
    """Sums over so many columns, without the rest; by slices, which is faster than reshaping."""

    whole = values.shape[1] // number * number
    total = values[:, 0:whole:number].clone()
    for i in range(1, number):
        total += values[:, i:whole:number]
    return total


def _quantile(histogram: Tensor) -> Tensor:
    """The f^2 at the quantile in each bin, shape (bins,): 0 if noise alone would do, and that of
    the next bin where there are too few objects."""

    cumulative = histogram.cumsum(dim=1).double()
    number = cumulative[:, -1]
    known = (number >= _FEWEST).nonzero()[:, 0]
    if len(known) == 0:
        raise UserError(
            "there are too few objects to measure by how much the model misfits; enlarge the "
            "survey or change the fractions under `splits`."
        )
    rank = _QUANTILE * number[:, None]
    level = torch.searchsorted(cumulative, rank).clamp(max=_LEVELS - 1)
    below = nn.functional.pad(cumulative, (1, 0)).gather(1, level)
    inside = (rank - below) / (cumulative.gather(1, level) - below).clamp_min(1)
    exponent = _LOWEST + (level + inside) * (_HIGHEST - _LOWEST) / _LEVELS
    fraction = torch.where(level > 0, 10**exponent, 0.0)[:, 0]
    bins = torch.arange(len(number))
    nearest = (bins[:, None] - known).abs().argmin(dim=1)
    return fraction[known[nearest]].float()
