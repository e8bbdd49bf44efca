"""From the rest-frame spectrum of a model to the pixels of a spectrograph."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.lsf import lsf_kernels
from uraniborg.instruments.rebinning import pixel_edges

__all__ = ["RedshiftTransform"]

# Pixels of the kernel that is learned, as published (arXiv:2211.07890, section 4.2).
_LEARNED_PIXELS = 5
# Reach in pixels of line-spread functions that are read from the weights' file, whose rest-frame
# grid must be known before.
_REACH = 8


class RedshiftTransform(nn.Module):
    """Redshifts rest-frame spectra and observes them with a spectrograph's pixels and resolution.

    Both grids are logarithmic, the rest-frame one finer by an integer, so that a redshift is a
    shift: a gather and a cubic convolution (Keys 1981, IEEE TASSP 29, 1153) instead of a general
    interpolation. Flux is conserved: an observed pixel is the mean over the finer pixels within it.
    Normalised spectra carry no (1 + z) factor.

    Args:
        observed: The spectrograph's grid, of L pixels.
        z_max: The largest redshift.
        z_min: The smallest; the rest-frame grid has M pixels that serve the whole range.
        oversampling: Rest-frame pixels per observed pixel.
        lsf: The line-spread function, applied to observed pixels. A number or an array of shape
            (L,) is the standard deviation in pixels of an unresolved line in the spectrum, as
            `Spectrograph.lsf` gives it; 0 leaves the spectrum at the resolution of the decoder.
            `learned` is a positive, normalised kernel of five pixels that is trained with the rest.

    Raises:
        ValueError: The grid is not logarithmic, or an argument is out of its range.

    Example:
        >>> transform = RedshiftTransform(WavelengthGrid("log10", 3.578, 1e-4, 3921), z_max=0.5)
        >>> observed = transform(restframe, z)  # (N, M), (N,) -> (N, L)
    """

    def __init__(
        self,
        observed: WavelengthGrid,
        z_max: float,
        z_min: float = -0.01,
        oversampling: int = 1,
        lsf: float | Tensor | Literal["learned"] = 0.0,
    ) -> None:
        super().__init__()
        if oversampling < 1:
            raise ValueError(f"oversampling is at least 1, not {oversampling}")
        self.observed, self.z_max, self.z_min = observed, z_max, z_min
        self.oversampling = oversampling
        reach = self._set_lsf(lsf)
        margin = 2 + reach
        coarse = observed.restframe(z_max, z_min, margin)
        self.restframe = _finer(coarse, oversampling)
        # Rest-frame pixel that is first in the first observed pixel at redshift zero.
        self._offset = oversampling * (observed.pixels_of_redshift(z_max) + margin)

    @classmethod
    def of(
        cls, architecture: Mapping[str, Any], grid: WavelengthGrid, lsf: Tensor | None = None
    ) -> Self:
        """The transform of a model's settings.

        Args:
            architecture: The settings `z_max`, `z_min`, `oversampling` (1 by default) and `lsf`
                (`none`, `instrument`, `learned` or a number of pixels; `none` by default).
            grid: The spectrograph's.
            lsf: The width that `instrument` stands for, shape (L,), see `Spectrograph.lsf`; None
                where it is about to be read from the file of the weights.
        """

        setting = architecture.get("lsf", "none")
        if setting == "instrument":
            setting = torch.ones(grid.size) if lsf is None else lsf
        elif setting == "none":
            setting = 0.0
        elif setting != "learned":
            # Numbers on a command line are text.
            setting = float(setting)
        oversampling = architecture.get("oversampling", 1)
        return cls(grid, architecture["z_max"], architecture["z_min"], oversampling, setting)

    @property
    def has_native_resolution(self) -> bool:
        """Whether rest-frame spectra have the sampling and the resolution of the data."""

        return self.oversampling == 1 and self._kernels is None

    def forward(self, restframe: Tensor, z: Tensor) -> Tensor:
        """Rest-frame spectra (N, M) at redshifts (N,) as observed spectra (N, L).

        Raises:
            RuntimeError: A redshift is outside the range (index out of bounds).
        """

        return self._convolve(self._shift(restframe, z))

    def adjoint(self, observed: Tensor, z: Tensor) -> Tensor:
        """The transpose of `forward`: observed weights (N, L) pulled back to (N, M)."""

        kernels = self._kernels
        if kernels is not None:
            observed = _TransposedConvolution.apply(observed, kernels)
        first, taps = self._neighbours(z)
        size, phases = observed.shape[1], self.oversampling
        output = observed.new_zeros(len(z), self.restframe.size)
        for phase in range(phases):
            here = taps[:, phase::phases]
            more = here.shape[1] - 1
            padded = nn.functional.pad(observed, (more, more))
            spread = _weighted(here.flip(1), padded, size + more)
            output.scatter_(1, self._pixels(first, phase, size + more), spread)
        return output

    def sample(self, restframe: Tensor, z: Tensor, wavelength: Tensor) -> Tensor:
        """Rest-frame spectra at redshifts, averaged over pixels of any wavelengths.

        Flux is conserved: the mean over a pixel is the difference of the cumulative flux between
        its edges, halfway between the wavelengths, which is interpolated by cubic convolution. No
        line-spread function is applied: the result has the resolution of the rest-frame spectra.

        Args:
            restframe: Shape (N, M).
            z: Redshifts, shape (N,), of any size.
            wavelength: Pixel centres in Angstrom, vacuum, observed frame, rising; shape (P,) for
                all spectra or (N, P).

        Returns:
            Shape (N, P); NaN in pixels that reach beyond the rest-frame grid. Differentiable.

        Raises:
            ValueError: Wavelengths do not rise.
        """

        grid = self.restframe
        edges = pixel_edges(wavelength).expand(len(z), -1)
        shifted = edges / (1 + z.double()[:, None])
        width = torch.as_tensor(grid.edges, device=restframe.device).diff()
        cumulative = nn.functional.pad((restframe.double() * width).cumsum(dim=1), (1, 0))
        position = (torch.log10(shifted) - grid.start) / grid.step + 0.5
        inside = (position >= 1) & (position <= grid.size - 1)
        first = position.floor().clamp(1, grid.size - 2)
        taps = _cubic_taps(position - first)
        at_edges = sum(
            tap * cumulative.gather(1, first.long() + i - 1) for i, tap in enumerate(taps)
        )
        mean = at_edges.diff(dim=1) / shifted.diff(dim=1)
        covered = inside[:, 1:] & inside[:, :-1]
        return torch.where(covered, mean, torch.nan).to(restframe.dtype)

    def _shift(self, restframe: Tensor, z: Tensor) -> Tensor:
        """Means over observed pixels, and over as many beyond either end as the kernel reaches."""

        first, taps = self._neighbours(z)
        size, phases = self.observed.size + 2 * self._radius, self.oversampling
        total = None
        for phase in range(phases):
            here = taps[:, phase::phases]
            pixels = self._pixels(first, phase, size + here.shape[1] - 1)
            total = _weighted(here, restframe.gather(1, pixels), size, total)
        return total

    def _neighbours(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """First rest-frame pixel (N,) that counts in the first observed pixel, and the weights of
        this one and the next (N, oversampling + 3)."""

        # Double precision: a position is several thousand pixels and a tap a fraction of one.
        position = self._offset - self.oversampling * self._radius
        position = position - torch.log10(1 + z.double()) / self.restframe.step
        first = position.floor()
        cubic = torch.stack(_cubic_taps((position - first).to(torch.float32)), dim=1)
        # The mean over the pixels within an observed one.
        more = self.oversampling - 1
        taps = sum(nn.functional.pad(cubic, (i, more - i)) for i in range(more + 1))
        return first.long() - 1, taps / self.oversampling

    def _pixels(self, first: Tensor, phase: int, size: int) -> Tensor:
        """Every so many-th rest-frame pixel, shape (N, size)."""

        steps = self.oversampling * torch.arange(size, device=first.device)
        return first[:, None] + phase + steps

    def _set_lsf(self, lsf: float | Tensor | Literal["learned"]) -> int:
        """Registers what describes the line-spread function; returns how far it may reach."""

        self.lsf = self._lsf_kernels = self.lsf_logits = None
        if isinstance(lsf, Tensor):
            if lsf.shape != (self.observed.size,):
                raise ValueError(f"lsf has shape {tuple(lsf.shape)}, not ({self.observed.size},)")
            del self.lsf, self._lsf_kernels
            self.register_buffer("lsf", lsf.detach().float().clone())
            self.register_buffer("_lsf_kernels", lsf_kernels(self.lsf), persistent=False)
            self.register_load_state_dict_post_hook(_renew_kernels)
            _check_reach(self._radius)
            return _REACH
        if lsf == "learned":
            del self.lsf_logits
            # Nearly no convolution to begin with.
            distance = torch.arange(_LEARNED_PIXELS) - _LEARNED_PIXELS // 2
            self.lsf_logits = nn.Parameter(-2.0 * distance.abs())
        elif lsf > 0:
            del self._lsf_kernels
            kernels = lsf_kernels(torch.tensor([float(lsf)]))
            self.register_buffer("_lsf_kernels", kernels, persistent=False)
        return self._radius

    @property
    def _kernels(self) -> Tensor | None:
        """One kernel for all pixels (2 R + 1, 1), one for each (2 R + 1, L), or none."""

        if self.lsf_logits is not None:
            return self.lsf_logits.softmax(dim=0)[:, None]
        return self._lsf_kernels

    @property
    def _radius(self) -> int:
        if self.lsf_logits is not None:
            return len(self.lsf_logits) // 2
        return 0 if self._lsf_kernels is None else len(self._lsf_kernels) // 2

    def _convolve(self, observed: Tensor) -> Tensor:
        kernels = self._kernels
        return observed if kernels is None else _Convolution.apply(observed, kernels)


class _Convolution(torch.autograd.Function):
    """Convolution with a kernel per pixel, (N, L + 2 R) to (N, L).

    Its gradient is the transposed convolution, without the arrays that slicing would leave behind.
    """

    @staticmethod
    def forward(context: FunctionCtx, extended: Tensor, kernels: Tensor) -> Tensor:
        context.save_for_backward(extended if kernels.requires_grad else None, kernels)
        size = extended.shape[1] - len(kernels) + 1
        total = kernels[0] * extended[:, :size]
        for k in range(1, len(kernels)):
            total.addcmul_(kernels[k], extended[:, k : k + size])
        return total

    @staticmethod
    def backward(context: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        extended, kernels = context.saved_tensors
        of_kernels = None if extended is None else _correlation(extended, gradient, kernels)
        return _TransposedConvolution.apply(gradient, kernels), of_kernels


class _TransposedConvolution(torch.autograd.Function):
    """The transpose of `_Convolution`, (N, L) to (N, L + 2 R)."""

    @staticmethod
    def forward(context: FunctionCtx, observed: Tensor, kernels: Tensor) -> Tensor:
        context.save_for_backward(observed if kernels.requires_grad else None, kernels)
        size = observed.shape[1]
        total = observed.new_zeros(len(observed), size + len(kernels) - 1)
        for k in range(len(kernels)):
            total[:, k : k + size].addcmul_(kernels[k], observed)
        return total

    @staticmethod
    def backward(context: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        observed, kernels = context.saved_tensors
        of_kernels = None if observed is None else _correlation(gradient, observed, kernels)
        return _Convolution.apply(gradient, kernels), of_kernels


def _correlation(extended: Tensor, observed: Tensor, kernels: Tensor) -> Tensor:
    """The gradient of one kernel for all pixels, of the shape of `kernels`, (2 R + 1, 1)."""

    size = observed.shape[1]
    sums = [(observed * extended[:, k : k + size]).sum() for k in range(len(kernels))]
    return torch.stack(sums)[:, None]


def _weighted(taps: Tensor, window: Tensor, size: int, total: Tensor | None = None) -> Tensor:
    """The sum over taps (N, T) of each times `size` pixels of the window from its own on."""

    for t in range(taps.shape[1]):
        tap, here = taps[:, t, None], window[:, t : t + size]
        total = tap * here if total is None else torch.addcmul(total, tap, here)
    return total


def _cubic_taps(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of four neighbours for a position between the middle two, from 0 to 1."""

    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


def _finer(grid: WavelengthGrid, factor: int) -> WavelengthGrid:
    """The grid whose pixels are these divided in equal parts."""

    step = grid.step / factor
    start = grid.start - step * (factor - 1) / 2
    return WavelengthGrid(grid.kind, start, step, grid.size * factor)


def _renew_kernels(transform: RedshiftTransform, _: object) -> None:
    """The kernels follow from the widths, so they are not stored with them."""

    transform._lsf_kernels = lsf_kernels(transform.lsf)
    _check_reach(transform._radius)


def _check_reach(radius: int) -> None:
    if radius > _REACH:
        raise ValueError(f"a line-spread function reaches {radius} pixels, more than {_REACH}")
