"""Tabulated spectra on the pixels of a grid."""

import numpy as np

from uraniborg.grids import WavelengthGrid

__all__ = ["on_grid", "pixel_means"]


def pixel_means(wavelength: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means over pixels of spectra that are linear between tabulated points.

    The integral is exact, so flux is conserved where pixels are wider than the table's spacing,
    and the result is linear interpolation where they are narrower.

    Args:
        wavelength: Tabulated wavelengths, increasing, shape (M,).
        values: Shape (..., M).
        edges: Edges of the pixels, increasing, within the table, shape (P + 1,).

    Returns:
        Shape (..., P), float64.

    Raises:
        ValueError: A pixel reaches beyond the table.
    """

    if edges[0] < wavelength[0] or edges[-1] > wavelength[-1]:
        raise ValueError(
            f"pixels from {edges[0]:.1f} to {edges[-1]:.1f} A reach beyond the table's "
            f"{wavelength[0]:.1f} to {wavelength[-1]:.1f} A"
        )
    values = np.asarray(values, dtype=np.float64)
    width = np.diff(wavelength)
    areas = (values[..., 1:] + values[..., :-1]) / 2 * width
    integral = np.concatenate([np.zeros_like(values[..., :1]), areas.cumsum(-1)], axis=-1)
    index = np.clip(np.searchsorted(wavelength, edges, side="right") - 1, 0, len(width) - 1)
    beyond = edges - wavelength[index]
    slope = np.diff(values, axis=-1)[..., index] / width[index]
    at_edges = integral[..., index] + beyond * (values[..., index] + slope * beyond / 2)
    return np.diff(at_edges, axis=-1) / np.diff(edges)


def on_grid(wavelength: np.ndarray, values: np.ndarray, grid: WavelengthGrid) -> np.ndarray:
    """Spectra of stars or nebulae per wavelength as means over the pixels of a grid.

    Beyond the table they fall as wavelength^-4 from its last twentieth on, as the light of stars
    does far in the infrared (Rayleigh-Jeans). Before it, shortward of the Lyman limit, there is no
    light: hydrogen absorbs it.

    Args:
        wavelength: Tabulated wavelengths, increasing, shape (M,).
        values: Shape (..., M).
        grid: The pixels.
    """

    if grid.edges[0] < wavelength[0]:
        dark = np.array([grid.edges[0], wavelength[0] * (1 - 1e-9)])
        values = np.concatenate([np.zeros((*values.shape[:-1], 2)), values], axis=-1)
        wavelength = np.concatenate([dark, wavelength])
    if grid.edges[-1] > wavelength[-1]:
        tail = wavelength > 0.95 * wavelength[-1]
        level = np.mean(values[..., tail] * wavelength[tail] ** 4, axis=-1, keepdims=True)
        step = np.log(wavelength[-1] / wavelength[-2])
        beyond = np.arange(np.log(wavelength[-1]) + step, np.log(grid.edges[-1]) + 2 * step, step)
        beyond = np.exp(beyond)
        values = np.concatenate([values, level * beyond**-4.0], axis=-1)
        wavelength = np.concatenate([wavelength, beyond])
    return pixel_means(wavelength, values, grid.edges)
