"""The transform of the published spectrum autoencoders: linear interpolation on any grid."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["InterpolationTransform", "Wavelengths"]


@dataclass(frozen=True, eq=False)
class Wavelengths:
    """Pixel centres in Angstrom, rising but spaced as they like, shape (size,)."""

    wavelength: np.ndarray

    @property
    def size(self) -> int:
        return len(self.wavelength)


class InterpolationTransform(nn.Module):
    """Redshifts rest-frame spectra and interpolates them linearly, as SPENDER's authors do.

    Wavelengths times 1 + z, linear interpolation between the two neighbours, zero where the
    rest-frame spectrum does not reach, then one kernel for all pixels (Melchior et al. 2023,
    arXiv:2211.07890, section 2.2). Neither does it conserve flux nor does the kernel follow the
    wavelength: models of this library use `RedshiftTransform` instead.

    Positions are computed in the precision of wavelengths and redshifts, as theirs are: single
    precision is good to a thousandth of a pixel, which shows next to strong lines.

    Args:
        observed: Wavelengths of the L observed pixels in Angstrom, of either precision.
        restframe: Wavelengths of the M rest-frame pixels in Angstrom, of either precision.
        lsf: Kernel that multiplies neighbouring pixels in order of rising wavelength, divided by
            its sum; none leaves the spectrum at the resolution of the decoder.

    Example:
        >>> observed, restframe = torch.linspace(4000, 9000, 500), torch.linspace(2500, 9000, 900)
        >>> transform = InterpolationTransform(observed, restframe)
        >>> flux = transform(spectra, z)  # (N, 900), (N,) -> (N, 500)
    """

    def __init__(self, observed: Tensor, restframe: Tensor, lsf: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("observed_wavelength", observed.clone())
        self.register_buffer("restframe_wavelength", restframe.clone())
        self.register_buffer("lsf", torch.ones(1) if lsf is None else lsf.float())

    @property
    def observed(self) -> Wavelengths:
        return Wavelengths(self.observed_wavelength.double().numpy(force=True))

    @property
    def restframe(self) -> Wavelengths:
        return Wavelengths(self.restframe_wavelength.double().numpy(force=True))

    @property
    def z_max(self) -> float:
        """The largest redshift at which the rest-frame spectrum covers every observed pixel."""

        return float(self.observed.wavelength[0] / self.restframe.wavelength[0] - 1)

    @property
    def z_min(self) -> float:
        """The smallest such redshift."""

        return float(self.observed.wavelength[-1] / self.restframe.wavelength[-1] - 1)

    def forward(self, restframe: Tensor, z: Tensor) -> Tensor:
        """Rest-frame spectra (N, M) at redshifts (N,) as observed spectra (N, L)."""

        shifted = self.restframe_wavelength * (1 + z)[:, None]
        precision = torch.promote_types(shifted.dtype, self.observed_wavelength.dtype)
        shifted = shifted.to(precision)
        wavelength = self.observed_wavelength.to(precision).expand(len(z), -1).contiguous()
        right = torch.searchsorted(shifted, wavelength).clamp(1, shifted.shape[1] - 1)
        low, high = shifted.gather(1, right - 1), shifted.gather(1, right)
        fraction = ((wavelength - low) / (high - low)).to(restframe)
        flux = torch.lerp(restframe.gather(1, right - 1), restframe.gather(1, right), fraction)
        flux = torch.where(self.covered(z), flux, 0)
        if len(self.lsf) == 1:
            return flux
        kernel = self.lsf / self.lsf.sum()
        return nn.functional.conv1d(flux[:, None], kernel[None, None], padding="same")[:, 0]

    def covered(self, z: Tensor) -> Tensor:
        """Observed pixels that the rest-frame spectrum reaches, shape (N, L), bool."""

        shifted = self.restframe_wavelength[[0, -1]] * (1 + z)[:, None]
        wavelength = self.observed_wavelength
        return (wavelength > shifted[:, :1]) & (wavelength < shifted[:, 1:])
