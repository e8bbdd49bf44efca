"""Stars between 3100 and 10300 A: what their spectra depend on, and the file that says how.

The logarithm of a star's flux density is linear in smooth functions of its temperature, gravity and
metallicity, as in The Cannon (Ness et al. 2015, ApJ 808, 16), with splines in temperature, so that
one fit holds from M to O stars. The rule `star_basis` fits products of coefficients and basis
spectra to observed spectra (`star_fit`) and adds spectra of white dwarfs (`white_dwarfs`).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import safetensors
import torch
from safetensors.torch import save
from scipy.interpolate import BSpline
from scipy.linalg import block_diag

from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.grids import WavelengthGrid

__all__ = ["TEMPERATURES", "StarBasis", "dwarf_gravity", "penalty", "predictors"]

TEMPERATURES = (2300.0, 38000.0)
"""Effective temperatures in K between which spectra change; those beyond look like the nearest."""

# Nodes of the functions of log10 temperature: the cubic spline, and piecewise linear functions
# that multiply gravity, its square, metallicity and its square.
_SPLINE = np.log10([2300, 2750, 3150, 3500, 3850, 4300, 4800, 5400, 6100, 7000, 8200, 9800, 12500,
                    17000, 24000, 38000])  # fmt: skip
_GRAVITY = np.log10([3200, 3700, 4300, 5000, 6000, 7500, 10000, 16000, 30000])
_GRAVITY_SQUARED = np.log10([3500, 5000, 8000])
_METALS = np.log10([3700, 4500, 5300, 6200, 7500, 9500])
_METALS_SQUARED = np.log10([4300, 5300, 6500])
_SIZES = (len(_SPLINE) + 2, *map(len, (_GRAVITY, _GRAVITY_SQUARED, _METALS, _METALS_SQUARED)))


class StarBasis(NamedTuple):
    """The fit: log flux density is `predictors(...) @ coefficients @ basis`, up to a constant."""

    grid: WavelengthGrid
    """Vacuum wavelengths of the basis, log10."""
    coefficients: np.ndarray
    """Shape (P, K)."""
    basis: np.ndarray
    """Shape (K, grid.size)."""
    white_dwarfs: np.ndarray
    """log flux density of white dwarfs, see `white_dwarfs.white_dwarfs`."""
    metadata: dict[str, Any]
    """Where it comes from, and how good it is."""

    def write(self, path: str | Path) -> None:
        """Writes the file, spectra in half precision; the same fit gives the same bytes."""

        scale = np.abs(self.basis).max(1, keepdims=True)
        tensors = {
            "basis": torch.as_tensor(self.basis / scale).half(),
            "coefficients": torch.as_tensor(self.coefficients * scale.T).float(),
            "white_dwarfs": torch.as_tensor(self.white_dwarfs).half(),
        }
        metadata = {"grid": json.loads(self.grid.to_json()), **self.metadata}
        with atomic(path) as temporary:
            text = {"uraniborg": json.dumps(metadata, sort_keys=True)}
            temporary.write_bytes(save(tensors, text))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads the file.

        Raises:
            UserError: The file is missing, damaged, or another kind of file.
        """

        names = ("coefficients", "basis", "white_dwarfs")
        remedy = "restore it, or build it again with the rule star_basis"
        try:
            with safetensors.safe_open(path, framework="np") as file:
                arrays = [file.get_tensor(n).astype(float) for n in names]
                metadata = json.loads((file.metadata() or {}).get("uraniborg", "{}"))
            return cls(WavelengthGrid(**metadata.pop("grid")), *arrays, metadata)
        except FileNotFoundError as error:
            raise UserError(f"{path}: the basis of stars is missing; {remedy}.") from error
        except (safetensors.SafetensorError, OSError, KeyError) as error:
            raise UserError(f"{path}: is not a basis of stars; {remedy}.") from error


def dwarf_gravity(temperature: np.ndarray) -> np.ndarray:
    """log10 of the gravity of main-sequence stars in cm/s2, at temperatures in K.

    Rounded from the mean dwarfs of Pecaut & Mamajek (2013, ApJS 208, 9).
    """

    nodes = [3.35, 3.45, 3.55, 3.60, 3.68, 3.76, 3.90, 4.10]
    return np.interp(np.log10(temperature), nodes, [5.1, 5.0, 4.8, 4.65, 4.55, 4.4, 4.15, 4.0])


def predictors(temperature: np.ndarray, log_g: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """What log flux is linear in.

    Metals count below 8300 K, less and less up to 10,000 K, and not at all beyond.

    Args:
        temperature: Effective temperature in K, shape (N,).
        log_g: log10 of gravity in cm/s2, shape (N,).
        metallicity: [Fe/H], shape (N,).

    Returns:
        Shape (N, P), float64.
    """

    temperature = np.clip(temperature, *TEMPERATURES)
    x = np.log10(temperature)
    gravity = (log_g - dwarf_gravity(temperature))[:, None]
    metals = (metallicity * np.clip((4.0 - x) / 0.08, 0, 1))[:, None]
    knots = np.concatenate([_SPLINE[[0] * 3], _SPLINE, _SPLINE[[-1] * 3]])
    columns = [
        BSpline(knots, np.eye(_SIZES[0]), 3)(np.clip(x, _SPLINE[0], _SPLINE[-1])),
        _hats(x, _GRAVITY) * gravity,
        _hats(x, _GRAVITY_SQUARED) * gravity**2 / 2,
        _hats(x, _METALS) * metals,
        _hats(x, _METALS_SQUARED) * metals**2 / 2,
    ]
    return np.concatenate(columns, axis=1)


def penalty() -> np.ndarray:
    """The fit's penalty, shape (P, P): smooth in temperature, small in gravity and metallicity."""

    second = np.diff(np.eye(_SIZES[0]), 2, axis=0)
    # Cool stars change fast with temperature, and there are few of them.
    weight = np.where(np.arange(_SIZES[0] - 2) < 6, 1e-4, 0.015)
    blocks = [second.T @ (second * weight[:, None])]
    strengths = ((0.09, 0.09), (0.15, 0.3), (0.09, 0.06), (0.15, 0.15))
    for size, (smooth, small) in zip(_SIZES[1:], strengths, strict=True):
        first = np.diff(np.eye(size), axis=0)
        blocks.append(smooth * first.T @ first + small * np.eye(size))
    return block_diag(*blocks) + 1e-6 * np.eye(sum(_SIZES))


def _hats(x: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Piecewise linear functions that are one at one node each, shape (N, len(nodes))."""

    return np.stack([np.interp(x, nodes, row) for row in np.eye(len(nodes))], axis=1)
