"""Reader of the Multimodal Universe's HDF5 files of spectra (arXiv:2412.02527).

Datasets are rows x pixels; the catalogue's columns lie beside them under the survey's own names.
SDSS spectra are padded to a common length with wavelength -1.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from uraniborg.surveys.preparation import Observations
from uraniborg.surveys.readers.errors import UnreadableError

__all__ = ["read"]

_VECTORS = ("spectrum_lambda", "spectrum_flux", "spectrum_ivar", "spectrum_mask")
_NAMES = {
    "object_id": ("object_id",),
    "ra": ("ra",),
    "dec": ("dec",),
    "z": ("Z",),
    "z_err": ("Z_ERR", "ZERR"),
    "zwarning": ("ZWARNING", "ZWARN"),
    "spectype": ("CLASS", "SPECTYPE"),
    "subclass": ("SUBCLASS", "SUBTYPE"),
}
"""Names of the scalars in SDSS, then in DESI files."""

_OPTIONAL = {"spectype": "", "subclass": ""}
_REMEDY = "Use a file of spectra in the layout of the Multimodal Universe."


def read(path: Path, rows: int = 512) -> Iterator[Observations]:
    """Yields a file's spectra in order.

    Args:
        path: An HDF5 file.
        rows: Spectra that are in memory at a time.

    Raises:
        UnreadableError: The file is damaged or lacks a dataset.
    """

    try:
        with h5py.File(path) as file:
            names = _present(file)
            for start in range(0, len(file["object_id"]), rows):
                yield _observations(file, names, slice(start, start + rows))
    except OSError as error:
        raise UnreadableError("is truncated or no HDF5 file", "Fetch the file again.") from error


def _present(file: h5py.File) -> dict[str, str]:
    """The dataset of each scalar that the file has."""

    names = {
        scalar: next((name for name in candidates if name in file), None)
        for scalar, candidates in _NAMES.items()
    }
    missing = [name for name in _VECTORS if name not in file]
    missing += [
        " or ".join(_NAMES[scalar])
        for scalar, name in names.items()
        if name is None and scalar not in _OPTIONAL
    ]
    if missing:
        raise UnreadableError(f"has no dataset {', '.join(missing)}", _REMEDY)
    lengths = {len(file[name]) for name in (*_VECTORS, *filter(None, names.values()))}
    shapes = {file[name].shape for name in _VECTORS}
    if len(lengths) > 1 or len(shapes) > 1 or file["spectrum_flux"].ndim != 2:
        raise UnreadableError("has datasets of different lengths", _REMEDY)
    return {scalar: name for scalar, name in names.items() if name is not None}


def _observations(file: h5py.File, names: dict[str, str], part: slice) -> Observations:
    wavelength, flux, ivar, bad = (file[name][part] for name in _VECTORS)
    scalars = {scalar: file[name][part] for scalar, name in names.items()}
    for name, default in _OPTIONAL.items():
        scalars.setdefault(name, np.full(len(flux), default, object))
    for name in ("object_id", "spectype", "subclass"):
        scalars[name] = np.array([_text(value) for value in scalars[name]], object)
    for name in ("ra", "dec", "z", "z_err"):
        scalars[name] = np.asarray(scalars[name], np.float64)
    scalars["zwarning"] = np.asarray(scalars["zwarning"], np.int64)
    return Observations(scalars, wavelength, flux, ivar, np.asarray(bad, bool))


def _text(value: object) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()
