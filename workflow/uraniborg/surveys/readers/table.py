"""Reader of one spectrum per file: any table that astropy reads, with columns by their usual names.

FITS, ECSV, CSV, VOTable and Parquet, plain or compressed by gzip where astropy takes it. Columns
are `wavelength` (or `spectral_axis`, `lambda`, `loglam`), `flux`, and one of `ivar` and `error` (or
`uncertainty`, `sigma`, `std`); `mask` is optional and true where a pixel is bad. Units are those of
the columns, without them vacuum Angstrom and 1e-17 erg s-1 cm-2 Angstrom-1. What is known of the
object is in the header or metadata: `REDSHIFT` or `Z`, `Z_ERR`, `OBJECT`, `RA`, `DEC`, `SPECTYPE`
(`GALAXY` if absent), `SUBCLASS`, `ZWARNING`, and `AIRORVAC`, which is `air` for wavelengths in air.
"""

import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io.registry import IORegistryError
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.table import Column, Table

from uraniborg.surveys.preparation import Observations
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.tables import FLUX_UNIT
from uraniborg.universe.refraction import air_to_vacuum

__all__ = ["read"]

_WAVELENGTHS = ("wavelength", "spectral_axis", "lambda", "wave", "loglam")
_ERRORS = ("error", "uncertainty", "sigma", "std", "flux_error")
_REMEDY = "Give it columns wavelength, flux and ivar or error, with units."
_FLUX = u.Unit(FLUX_UNIT)
# What astropy's readers raise at damaged files and unknown formats.
_DAMAGED = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    IORegistryError,
    VOTableSpecError,
    zlib.error,
)


def read(path: Path) -> Iterator[Observations]:
    """Yields the one spectrum of a file.

    Args:
        path: A table that astropy reads, one row per pixel.

    Raises:
        UnreadableError: The file is damaged, lacks a column, or a unit does not fit.
    """

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = _table(path)
        columns = {name.lower(): table[name] for name in table.colnames}
        try:
            yield _observations(columns, _metadata(table), path)
        except u.UnitConversionError as error:
            raise UnreadableError(f"has a unit that does not fit: {error}", _REMEDY) from error


def _table(path: Path) -> Table:
    try:
        return Table.read(path)
    except PermissionError as error:
        raise UnreadableError("may not be read", "Change its permissions.") from error
    except _DAMAGED as error:
        raise UnreadableError("is damaged or no table that astropy reads", _REMEDY) from error


def _metadata(table: Table) -> dict[str, Any]:
    return {str(key).upper(): value for key, value in table.meta.items()}


def _observations(
    columns: Mapping[str, Column], metadata: Mapping[str, Any], path: Path
) -> Observations:
    wavelength = _wavelength(columns, str(metadata.get("AIRORVAC", "")).strip().lower() == "air")
    density = u.spectral_density(wavelength * u.Angstrom)
    column = _first(columns, ("flux",))
    unit = column.unit or _FLUX
    flux = (_values(column) * unit).to_value(_FLUX, density)
    error = _first(columns, ("ivar", *_ERRORS))
    with np.errstate(divide="ignore", invalid="ignore"):
        if error is columns.get("ivar"):
            sigma = _values(error) ** -0.5 * (error.unit or unit**-2) ** -0.5
        else:
            sigma = _values(error) * (error.unit or unit)
        ivar = np.asarray(sigma.to_value(_FLUX, density)) ** -2.0
    bad = _values(columns["mask"]) != 0 if "mask" in columns else np.zeros(len(flux), bool)
    return Observations(
        scalars={name: np.array([value]) for name, value in _scalars(metadata, path).items()},
        wavelength=wavelength[None],
        flux=flux.astype(np.float32)[None],
        ivar=np.where(np.isfinite(ivar), ivar, 0).astype(np.float32)[None],
        bad=bad[None],
    )


def _wavelength(columns: Mapping[str, Column], in_air: bool) -> np.ndarray:
    """Vacuum wavelengths in Angstrom."""

    column = _first(columns, _WAVELENGTHS)
    values = _values(column)
    if column is columns.get("loglam"):
        values = 10**values
    else:
        values = (values * (column.unit or u.Angstrom)).to_value(u.Angstrom, u.spectral())
    return air_to_vacuum(values) if in_air else values


def _first(columns: Mapping[str, Column], names: Sequence[str]) -> Column:
    for name in names:
        if name in columns:
            return columns[name]
    raise UnreadableError(f"has no column {' or '.join(names)}", _REMEDY)


def _values(column: Column) -> np.ndarray:
    """As numbers, NaN where missing."""

    return np.ma.filled(np.ma.asarray(column.data, np.float64), np.nan)


def _scalars(metadata: Mapping[str, Any], path: Path) -> dict[str, Any]:
    def number(*names: str) -> float:
        return float(next((metadata[name] for name in names if name in metadata), np.nan))

    def text(name: str, default: str) -> str:
        return str(metadata.get(name, default)).strip()

    try:
        return {
            "object_id": text("OBJECT", path.name.split(".")[0]),
            "ra": number("RA"),
            "dec": number("DEC"),
            "z": number("REDSHIFT", "Z"),
            "z_err": number("Z_ERR"),
            "zwarning": int(metadata.get("ZWARNING", 0)),
            "spectype": text("SPECTYPE", "GALAXY"),
            "subclass": text("SUBCLASS", ""),
        }
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"has a header that is not understood: {error}", _REMEDY) from error
