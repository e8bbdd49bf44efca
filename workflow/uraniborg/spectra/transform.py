"""From the rest-frame spectrum of a model to the pixels of a spectrograph."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid

__all__ = ["RedshiftTransform"]


class RedshiftTransform(nn.Module):
    """Redshifts rest-frame spectra and samples them on an observed grid.

    Both grids are logarithmic with the same step, so that a redshift is a shift: a gather and a
    cubic convolution of four taps (Keys 1981, IEEE TASSP 29, 1153) instead of a general
    interpolation. Normalised spectra carry no (1 + z) factor.

    Args:
        observed: The spectrograph's grid, of L pixels.
        z_max: The largest redshift.
        z_min: The smallest; the rest-frame grid has M pixels that serve the whole range.
        lsf_sigma: Width of the Gaussian line-spread function that is applied, in pixels; 0 leaves
            the spectrum at the resolution of the decoder.

    Example:
        >>> transform = RedshiftTransform(WavelengthGrid("log10", 3.578, 1e-4, 3921), z_max=0.5)
        >>> observed = transform(restframe, z)  # (N, M), (N,) -> (N, L)
    """

    def __init__(
        self,
        observed: WavelengthGrid,
        z_max: float,
        z_min: float = -0.01,
        lsf_sigma: float = 0.0,
    ) -> None:
        super().__init__()
        kernel = _gaussian_kernel(lsf_sigma)
        margin = 2 + len(kernel) // 2
        self.observed, self.restframe = observed, observed.restframe(z_max, z_min, margin)
        self.z_max, self.z_min = z_max, z_min
        self._offset = observed.pixels_of_redshift(z_max) + margin
        self.register_buffer("_lsf", kernel, persistent=False)

    @classmethod
    def of(cls, architecture: Mapping[str, Any], grid: WavelengthGrid) -> Self:
        """The transform of a model's settings `z_max`, `z_min` and `lsf`."""

        lsf = architecture["lsf"]
        sigma = 0.0 if lsf == "none" else float(lsf)
        return cls(grid, architecture["z_max"], architecture["z_min"], sigma)

    def forward(self, restframe: Tensor, z: Tensor) -> Tensor:
        """Rest-frame spectra (N, M) at redshifts (N,) as observed spectra (N, L).

        Raises:
            RuntimeError: A redshift is outside the range (index out of bounds).
        """

        pixels, taps = self._neighbours(z)
        window = self._convolve(restframe).gather(1, pixels)
        return _weighted(taps, window, range(4), self.observed.size)

    def adjoint(self, observed: Tensor, z: Tensor) -> Tensor:
        """The transpose of `forward`: observed weights (N, L) pulled back to (N, M)."""

        pixels, taps = self._neighbours(z)
        padded = nn.functional.pad(observed, (3, 3))
        spread = _weighted(taps, padded, range(3, -1, -1), self.observed.size + 3)
        output = observed.new_zeros(len(z), self.restframe.size)
        return self._convolve(output.scatter(1, pixels, spread))

    def _neighbours(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rest-frame pixels (N, L + 3) that are touched, and the weights of four taps (N, 4)."""

        # Double precision: a position is several thousand pixels and a tap a fraction of one.
        position = self._offset - torch.log10(1 + z.double()) / self.observed.step
        first = position.floor()
        t = (position - first).to(torch.float32)
        taps = (
            ((-0.5 * t + 1.0) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1.0,
            ((-1.5 * t + 2.0) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        )
        pixels = first.long()[:, None] - 1 + torch.arange(self.observed.size + 3, device=z.device)
        return pixels, torch.stack(taps, dim=1)

    def _convolve(self, restframe: Tensor) -> Tensor:
        if len(self._lsf) == 1:
            return restframe
        half = len(self._lsf) // 2
        return nn.functional.conv1d(restframe[:, None], self._lsf[None, None], padding=half)[:, 0]


def _weighted(taps: Tensor, window: Tensor, starts: Sequence[int], size: int) -> Tensor:
    """The sum over taps (N, 4) of each times `size` pixels of the window from its start."""

    total = taps[:, 0, None] * window[:, starts[0] : starts[0] + size]
    for t in (1, 2, 3):
        total = torch.addcmul(total, taps[:, t, None], window[:, starts[t] : starts[t] + size])
    return total


def _gaussian_kernel(sigma: float) -> Tensor:
    half = int(4 * sigma + 0.5)
    offsets = torch.arange(-half, half + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2) if half else torch.ones(1)
    return kernel / kernel.sum()
