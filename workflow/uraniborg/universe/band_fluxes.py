"""Fluxes of redshifted spectra in bands, differentiable, from coarse rest-frame spectra."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.photometry import AB_ZERO, SPEED_OF_LIGHT, FilterCurve

__all__ = ["BandFluxes", "band_grid"]


def band_grid(
    filters: Sequence[FilterCurve],
    z_max: float,
    z_min: float = 0.0,
    step: float = 2e-3,
    low: float = math.inf,
) -> WavelengthGrid:
    """The coarse rest-frame grid that `BandFluxes` of these filters and redshifts needs.

    Args:
        filters: The filters.
        z_max: The largest redshift.
        z_min: The smallest.
        step: Its step in dex. At the default, 0.5% in wavelength, magnitudes differ from those of
            full resolution by 0.1 mmag in the median and by 8 mmag in one band of a hundred, where
            an emission line lies at the edge of a filter.
        low: Wavelength in Angstrom that the grid has to include in any case.
    """

    shortest = min(curve.wavelength[0] for curve in filters) / (1 + z_max)
    low = math.log10(min(shortest, low))
    high = max(math.log10(curve.wavelength[-1]) for curve in filters) - math.log10(1 + z_min)
    start = math.floor(low / step) - 3
    return WavelengthGrid("log10", start * step, step, math.ceil(high / step) + 4 - start)


class BandFluxes:
    """Fluxes of redshifted spectra in bands, differentiable in the spectra and in redshift.

    On a logarithmic grid redshift is a shift. At shifts by whole pixels, the flux in a band is
    the product of the spectrum, constant within each pixel, with exact integrals of the filter
    over the pixels; between them it is interpolated (Catmull-Rom), for the filters are smooth.

    Args:
        filters: The B filters.
        grid: Rest-frame grid, log10, such as `band_grid` gives.

    Raises:
        ValueError: The grid is not log10.

    Example:
        >>> filters = [read_filter(f"sdss_{band}0") for band in "ugriz"]
        >>> grid = band_grid(filters, z_max=0.5)
        >>> bands = BandFluxes(filters, grid)
        >>> bands(model.flux(parameters), parameters["z"])  # (N, 5) nanomaggies
    """

    def __init__(self, filters: Sequence[FilterCurve], grid: WavelengthGrid) -> None:
        if grid.kind != "log10":
            raise ValueError("redshift is a shift on a log10 grid only")
        self.grid = grid
        low = min(curve.wavelength[0] for curve in filters)
        high = max(curve.wavelength[-1] for curve in filters)
        # Pixels of the observed frame, counted as those of the rest frame, that the filters touch.
        first = math.floor((math.log10(low) - grid.start) / grid.step + 0.5)
        last = math.ceil((math.log10(high) - grid.start) / grid.step - 0.5)
        pixels = np.arange(first, last + 1)
        edges = 10 ** (grid.start + grid.step * (np.append(pixels, last + 1) - 0.5))
        weight = np.stack([_photon_integrals(curve, edges) for curve in filters], axis=1)
        # 1e-17 erg/s/cm2/Angstrom in nanomaggies.
        weight *= 1e9 * 1e-17 / (AB_ZERO * SPEED_OF_LIGHT)
        # The four neighbouring shifts that the interpolation needs, -1 to 2, side by side.
        wider = np.pad(weight, ((4, 4), (0, 0)))
        count = len(pixels) + 3
        shifted = [wider[2 + k : 2 + k + count] for k in (-1, 0, 1, 2)]
        self._first = first - 2
        self._weight = torch.as_tensor(np.stack(shifted, axis=1))

    def __call__(self, flux: Tensor, z: Tensor) -> Tensor:
        """Fluxes in nanomaggies (AB), shape (N, B).

        Args:
            flux: Flux density in 1e-17 erg/s/cm2/Angstrom, shape (N, grid.size), at the wavelengths
                of the grid times 1 + z.
            z: Redshifts, shape (N,).

        Raises:
            ValueError: A filter reaches beyond the spectra.
        """

        shift = torch.log10(1 + z.double()) / self.grid.step
        whole = shift.detach().floor()
        t = (shift - whole).to(flux.dtype)[:, None]
        start = self._first - whole.long()
        if len(start) and (start.min() < 0 or start.max() + len(self._weight) > self.grid.size):
            raise ValueError("a filter reaches beyond the spectra")
        weight = self._weight.to(flux.device, flux.dtype)
        window = _Window.apply(flux, start, len(weight))
        nodes = (window @ weight.flatten(1)).unflatten(1, weight.shape[1:])
        before, left, right, after = nodes.unbind(1)
        slope_left, slope_right = (right - before) / 2, (after - left) / 2
        rise = right - left
        curvature = 3 * rise - 2 * slope_left - slope_right
        return left + t * (slope_left + t * (curvature + t * (slope_left + slope_right - 2 * rise)))


def _photon_integrals(curve: FilterCurve, edges: np.ndarray) -> np.ndarray:
    """integral(T l dl) over each pixel over integral(T / l dl) over the filter, exact for T
    linear between its points."""

    wavelength, transmission = (np.asarray(x, np.float64) for x in curve)
    points = np.union1d(wavelength, edges[(edges > wavelength[0]) & (edges < wavelength[-1])])
    values = np.interp(points, wavelength, transmission)
    low, high = points[:-1], points[1:]
    slope = np.diff(values) / (high - low)
    level = values[:-1] - slope * low
    photons = level * (high**2 - low**2) / 2 + slope * (high**3 - low**3) / 3
    zero = np.sum(level * np.log(high / low) + slope * (high - low))
    pixel = np.searchsorted(edges, (low + high) / 2) - 1
    inside = (pixel >= 0) & (pixel < len(edges) - 1)
    return np.bincount(pixel[inside], photons[inside], len(edges) - 1) / zero


class _Window(torch.autograd.Function):
    """Copies `size` columns of each row, from a start of its own; its gradient is a copy too."""

    @staticmethod
    def forward(ctx, rows: Tensor, start: Tensor, size: int) -> Tensor:  # noqa: ANN001
        index = start[:, None] + torch.arange(size, device=rows.device)
        ctx.save_for_backward(index)
        ctx.shape = rows.shape
        return rows.gather(1, index)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        (index,) = ctx.saved_tensors
        # No column is copied twice, so nothing has to be added up.
        return gradient.new_zeros(ctx.shape).scatter_(1, index, gradient), None, None
