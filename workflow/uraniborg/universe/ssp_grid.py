"""The file of simple stellar populations and their nebulae.

Spectra are products of coefficients and few basis spectra. One file holds, for Z metallicities,
A ages, U ionisation parameters and M wavelengths (vacuum, Angstrom, uneven):

    wavelength              (M,)          wavelength
    age                     (A,)          age of the stars in yr
    metallicity             (Z,)          mass fraction of metals over that of the Sun, 0.02
    live_fraction           (Z, A)        mass in living stars over mass formed
    ionising_rate           (Z, A)        photons below 911.75 A in 1e46/s per M_sun formed
    coefficients            (Z, A, K)     and
    basis                   (K, M)        product: L_sun/Angstrom per M_sun formed
    nebular_age_edges       (T + 1,)      edges of the age bins of the nebulae in yr
    log_u                   (U,)          log10 of the ionisation parameter
    line_wavelength         (L,)          wavelength; the lines' names are in the metadata
    line_ratio              (Z, U, T, L)  L_sun per 1e46 photons/s
    continuum_coefficients  (Z, U, T, C)  and
    continuum_basis         (C, M)        product: L_sun/Angstrom per 1e46 photons/s

`basis`, `line_ratio` and `continuum_basis` are in half precision, to be multiplied along the last
axis by the tensor of the same name with `_scale`. The metadata is one JSON text: provenance, names
of the lines, and how well the products reproduce the original spectra.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.torch import save
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.files import atomic

__all__ = ["LYMAN_LIMIT", "age_edges", "overlaps", "read_grid", "write_grid"]

LYMAN_LIMIT = 911.75
"""Wavelength of the photons that just ionise hydrogen, vacuum Angstrom."""

_TENSORS = {
    "wavelength",
    "age",
    "metallicity",
    "live_fraction",
    "ionising_rate",
    "coefficients",
    "basis",
    "nebular_age_edges",
    "log_u",
    "line_wavelength",
    "line_ratio",
    "continuum_coefficients",
    "continuum_basis",
}
_HALF_PRECISION = ("basis", "line_ratio", "continuum_basis")


def write_grid(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Writes the file; the same contents give the same bytes.

    Args:
        path: The safetensors file.
        tensors: All tensors listed above.
        metadata: Anything that JSON can hold, `lines` (names) included.
    """

    tensors = {name: tensors[name].contiguous() for name in sorted(tensors)}
    with atomic(path) as temporary:
        temporary.write_bytes(save(tensors, {"uraniborg": json.dumps(metadata, sort_keys=True)}))


def read_grid(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads the file's tensors, scales multiplied in, and its metadata.

    Raises:
        UserError: The file is missing, damaged, or another kind of file.
    """

    remedy = "restore it, or build it again with the rule ssp_grid"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {}).get("uraniborg", "{}"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: the grid of stellar populations is missing; {remedy}.") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{path}: is not a complete safetensors file; {remedy}.") from error
    scales = {f"{name}_scale" for name in _HALF_PRECISION}
    if not _TENSORS | scales <= set(tensors) or "lines" not in metadata:
        raise UserError(f"{path}: is not a grid of stellar populations; {remedy}.")
    for name in _HALF_PRECISION:
        tensors[name] = tensors[name].float() * tensors.pop(f"{name}_scale")
    return tensors, metadata


def age_edges(age: np.ndarray) -> np.ndarray:
    """Edges of the age cells that the spectra stand for, yr, shape (A + 1,).

    A cell reaches half way to the neighbouring ages; the first begins at zero.

    Args:
        age: Ages of the grid in yr, increasing, shape (A,).
    """

    middle = (age[1:] + age[:-1]) / 2
    return np.concatenate([[0.0], middle, [2 * age[-1] - middle[-1]]])


def overlaps(cells: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Length that each cell shares with each bin, shape (A, B), from their edges."""

    low = np.maximum(cells[:-1, None], bins[:-1])
    high = np.minimum(cells[1:, None], bins[1:])
    return np.clip(high - low, 0, None)
