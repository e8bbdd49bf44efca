"""Photometric catalogues, any table that astropy reads, into a survey's table of photometry.

What the columns mean is said by the survey's file.

Formats: FITS, CSV, ECSV, text in columns, VOTable and Parquet, plain or compressed by gzip.
"""

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.io import ascii as text
from astropy.io import fits
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

from uraniborg.errors import UserError
from uraniborg.instruments.bands import Band, bands_of
from uraniborg.instruments.galactic_extinction import extinction_coefficients
from uraniborg.instruments.magnitudes import NANOMAGGY_IN_JANSKY, flux_of_ab, flux_of_asinh
from uraniborg.instruments.photometer import Photometry, photometry_columns
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.tables import Column

__all__ = [
    "OBJECT_COLUMNS",
    "Catalogue",
    "Layout",
    "read",
    "table_columns",
]

_FORMATS = {
    ".fits": "fits",
    ".fit": "fits",
    ".csv": "csv",
    ".ecsv": "ecsv",
    ".xml": "votable",
    ".vot": "votable",
    ".votable": "votable",
    ".parquet": "parquet",
}
"""Formats by a file's suffix; any other is text in columns."""

OBJECT_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
    Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
    Column("z", pa.float64(), "", "Heliocentric redshift"),
    Column("z_err", pa.float64(), "", "Standard error of the redshift"),
    Column("ebv", pa.float64(), "mag", "Reddening by the Milky Way (Schlegel et al. 1998)"),
)
"""Columns of an object in a survey of photometry, before those of its bands."""

_SCALARS = tuple(column.name for column in OBJECT_COLUMNS)
_VALUES = {"flux": ("ivar", "error"), "magnitude": ("error",)}
_MAGNITUDE = {u.mag, u.ABmag}


@dataclass(frozen=True)
class Layout:
    """What the columns of a catalogue mean, as the file of a survey says.

    Args:
        bands: The bands of the survey's instrument.
        sources: By name of a band, keys `flux` or `magnitude` with `ivar` or `error` (names of
            columns, an element of a vector column as `NAME[0]`), and how to read them: `unit`,
            `zero_point`, `magnitudes`, `system`, `not_observed`, `not_detected`, `limit`. A band
            without is not observed.
        columns: Names of the columns of `object_id`, `ra`, `dec`, `z`, `z_err` and `ebv`; a name
            may be a mapping with `column` and a `scale` to multiply it by.
        galactic_extinction: Whether the fluxes have been corrected for it (`corrected`), are to
            be (`correct`, which needs `ebv`), or are wanted as they are (`keep`).
        format: Of the files; empty to go by their names.
        names: Names of the columns of a text without a header, or instead of a wrong one.

    Raises:
        UserError: A band is unknown or has no value or error, or ebv is needed.
    """

    bands: tuple[Band, ...]
    sources: Mapping[str, Mapping[str, Any]]
    columns: Mapping[str, Any] = field(default_factory=dict)
    galactic_extinction: Literal["corrected", "correct", "keep"] = "corrected"
    format: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {band.name for band in self.bands}
        for name, source in self.sources.items():
            if name not in known:
                raise UserError(f"bands: {name!r} is none of {', '.join(sorted(known))}.")
            value = _one_of(source, _VALUES, name)
            _one_of(source, _VALUES[value], name)
            if value == "flux" and ("unit" in source) == ("zero_point" in source):
                raise UserError(f"bands: {name}: give one of 'unit' and 'zero_point'.")
        unknown = set(self.columns) - set(_SCALARS)
        if unknown:
            raise UserError(f"columns: {', '.join(sorted(unknown))} is none of {_SCALARS}.")
        if self.galactic_extinction == "correct" and "ebv" not in self.columns:
            raise UserError("galactic_extinction: 'correct' needs a column for 'ebv'; add it.")

    @classmethod
    def of(cls, instrument: str, settings: Mapping[str, Any]) -> "Layout":
        """The layout that the section `catalogue` of a survey's file describes.

        Args:
            instrument: Name of the photometer.
            settings: Keys `bands`, `columns`, `galactic_extinction`, `format` and `names`.
        """

        others = {key: value for key, value in settings.items() if key != "bands"}
        others["names"] = tuple(others.get("names", ()))
        return cls(bands_of(instrument), settings["bands"], **others)


def _one_of(source: Mapping[str, Any], keys: Sequence[str], name: str) -> str:
    present = [key for key in keys if key in source]
    if len(present) != 1:
        raise UserError(f"bands: {name}: give exactly one of {' and '.join(map(repr, keys))}.")
    return present[0]


class Catalogue(NamedTuple):
    """Objects as a catalogue lists them.

    Args:
        scalars: `object_id` (text, made from file and row where there is no column), and `ra`,
            `dec`, `z`, `z_err` and `ebv`, NaN where unknown; each of shape (N,).
        photometry: Of the survey's bands.
    """

    scalars: dict[str, np.ndarray]
    photometry: Photometry


def read(path: Path, layout: Layout) -> Catalogue:
    """Reads a catalogue.

    A value that is not finite, that the layout says was not observed, or whose error is not
    positive counts as not observed. Fluxes come in nanomaggies (AB).

    Args:
        path: The file.
        layout: What its columns mean.

    Raises:
        UnreadableError: The file is damaged, lacks a column, or contradicts the layout.
    """

    table = _read_table(path, layout)
    if len(table) == 0:
        raise UnreadableError("has no row", "Use a file that lists objects.")
    scalars = _scalars(table, layout, path)
    known = {
        name: _band(table, layout.sources[name], band)
        for band in layout.bands
        if (name := band.name) in layout.sources
    }
    nothing = (np.zeros(len(table)), np.zeros(len(table)), np.full(len(table), np.inf))
    flux, ivar, limit = (
        np.stack([known.get(band.name, nothing)[i] for band in layout.bands], axis=1)
        for i in range(3)
    )
    observed = (ivar > 0) | np.isfinite(limit)
    if layout.galactic_extinction == "correct":
        coefficients = extinction_coefficients([band.filter for band in layout.bands])
        dimming = 10 ** (-0.4 * np.multiply.outer(scalars["ebv"], coefficients))
        flux, ivar, limit = flux / dimming, ivar * dimming**2, limit / dimming
    detected = flux * np.sqrt(ivar) >= np.array([band.limit for band in layout.bands])
    return Catalogue(scalars, Photometry(flux, ivar, limit, observed, detected))


def _read_table(path: Path, layout: Layout) -> Table:
    plain = path.name.removesuffix(".gz")
    form = layout.format or _FORMATS.get(Path(plain).suffix.lower(), "text")
    damaged = UnreadableError(f"is truncated or no {form} table", "Fetch the file again.")
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            # As a whole, so that gzip's own checksum is looked at.
            content = gzip.decompress(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            return _parse(content, form, layout.names)
    except PermissionError as error:
        raise UnreadableError("may not be read", "Change its permissions.") from error
    except text.InconsistentTableError as error:
        raise UnreadableError(
            "has rows whose number of columns is not that of its header",
            "Name all columns in `catalogue: names` of the survey, or fetch the file again.",
        ) from error
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        pa.ArrowException,
        VOTableSpecError,
    ) as error:
        raise damaged from error


def _parse(content: bytes, form: str, names: Sequence[str]) -> Table:
    if form == "parquet":
        return Table.from_pandas(pq.read_table(io.BytesIO(content)).to_pandas())
    if form == "fits":
        with fits.open(io.BytesIO(content), memmap=False) as file:
            tables = [hdu for hdu in file if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
            return Table.read(fits.HDUList([fits.PrimaryHDU(), tables[0]]), format="fits")
    if form == "votable":
        return Table.read(io.BytesIO(content), format="votable")
    lines = content.decode()
    if form == "ecsv":
        return text.read(lines, format="ecsv")
    delimiter = "," if form == "csv" else r"\s"
    if names:
        kind, options = "no_header", {"names": list(names)}
    elif lines.startswith("#"):
        kind, options = "commented_header", {}
    else:
        kind, options = "basic", {}
    if "\n" not in lines:
        raise ValueError("a table has more than one line")
    return text.read(lines, format=kind, delimiter=delimiter, comment="#", guess=False, **options)


def _scalars(table: Table, layout: Layout, path: Path) -> dict[str, np.ndarray]:
    scalars: dict[str, np.ndarray] = {}
    for name in _SCALARS[1:]:
        source = layout.columns.get(name)
        if source is None:
            scalars[name] = np.full(len(table), np.nan)
        else:
            source = {"column": source} if isinstance(source, str) else source
            scalars[name] = _numbers(table, source["column"]) * source.get("scale", 1.0)
    if "object_id" in layout.columns:
        identifiers = _column(table, layout.columns["object_id"])
        names = [_text(value) for value in identifiers]
    else:
        stem = path.name.split(".")[0]
        names = [f"{stem}-{row:08d}" for row in range(len(table))]
    return {"object_id": np.array(names, object), **scalars}


def _band(table: Table, source: Mapping[str, Any], band: Band) -> tuple[np.ndarray, ...]:
    """Flux, ivar and limit of one band."""

    kind = "flux" if "flux" in source else "magnitude"
    value = _numbers(table, source[kind])
    error = _numbers(table, source["ivar" if "ivar" in source else "error"])
    sentinels = {
        case: np.isin(value, source.get(case, ())) | np.isin(error, source.get(case, ()))
        for case in ("not_observed", "not_detected")
    }
    if "ivar" in source:
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(error > 0, error, np.nan) ** -0.5
    _check_unit(table, source, kind)
    offset = 0.0 if source.get("system", "survey") == "ab" else band.offset
    missing = sentinels["not_observed"] | sentinels["not_detected"]
    value, error = np.where(missing, np.nan, value), np.where(missing, np.nan, error)
    flux, ivar = _nanomaggies(value, error, source, band, offset)

    limit = np.full(len(table), np.inf)
    if "limit" in source:
        at = source["limit"]
        at = _numbers(table, at) if isinstance(at, str) else np.full(len(table), float(at))
        ceiling, _ = _nanomaggies(at, np.ones(len(table)), source, band, offset)
        ceiling = np.where(np.isfinite(at), ceiling, np.inf)
    else:
        ceiling = 10 ** (0.4 * (22.5 - band.depth))
    return flux, ivar, np.where(sentinels["not_detected"], ceiling, limit)


def _nanomaggies(
    value: np.ndarray, error: np.ndarray, source: Mapping[str, Any], band: Band, offset: float
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar in AB; the offset turns the survey's zero point into that of AB."""

    if "flux" in source:
        factor = _factor(source) * 10 ** (-0.4 * offset)
        known = np.isfinite(value) & np.isfinite(error) & (error > 0)
        ivar = np.where(known, error, 1.0) ** -2.0
        return np.where(known, value, 0) * factor, np.where(known, ivar, 0) / factor**2
    if source.get("magnitudes", "pogson") == "asinh":
        if not band.softening:
            raise UserError(f"bands: {band.name}: its survey has no asinh magnitudes.")
        flux, ivar = flux_of_asinh(value, error, band.softening)
        factor = 10 ** (-0.4 * offset)
        return flux * factor, ivar / factor**2
    return flux_of_ab(value + offset, error)


def _factor(source: Mapping[str, Any]) -> float:
    """Nanomaggies per unit of flux."""

    if "zero_point" in source:
        return 10 ** (0.4 * (22.5 - source["zero_point"]))
    return _janskys(source["unit"]) / NANOMAGGY_IN_JANSKY


def _janskys(unit: str) -> float:
    """A unit of flux density in Jy.

    Raises:
        UserError: It is no such unit.
    """

    if unit in ("nanomaggies", "nanomaggy", "nmgy"):
        return NANOMAGGY_IN_JANSKY
    try:
        return float(u.Unit(unit).to(u.Jy))
    except (ValueError, u.UnitConversionError) as error:
        raise UserError(
            f"bands: unit {unit!r} is no flux density; use nanomaggies, Jy, mJy, uJy or nJy, "
            "or give a 'zero_point'."
        ) from error


def _check_unit(table: Table, source: Mapping[str, Any], kind: str) -> None:
    """Raises an error where the file states another unit than the layout."""

    stated = _column(table, source[kind]).unit
    if stated is None or isinstance(stated, u.UnrecognizedUnit):
        return
    remedy = "Correct `catalogue: bands` of the survey."
    name, stated_name = source[kind], stated.to_string()
    if kind == "magnitude":
        if stated not in _MAGNITUDE:
            raise UnreadableError(f"gives {name} in {stated_name}, not in magnitudes", remedy)
        return
    try:
        in_janskys = _janskys(stated_name)
    except UserError:
        in_janskys = np.nan
    if "unit" in source and not np.isclose(in_janskys, _janskys(source["unit"]), rtol=1e-3):
        raise UnreadableError(f"gives {name} in {stated_name}, not in {source['unit']}", remedy)


def _column(table: Table, reference: str) -> Any:  # noqa: ANN401
    """A column, or an element of a vector column named `NAME[0]`."""

    name, index = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", reference).groups()
    name = reference if reference in table.colnames else name
    if name not in table.colnames:
        present = ", ".join(table.colnames[:20]) + (", ..." if len(table.colnames) > 20 else "")
        raise UnreadableError(
            f"has no column {name} (it has {present})", "Correct `catalogue` of the survey."
        )
    column = table[name]
    if index is None or name == reference:
        if column.ndim > 1:
            raise UnreadableError(
                f"has vectors in column {name}", f"Name an element of it, such as {name}[0]."
            )
        return column
    if column.ndim != 2 or int(index) >= column.shape[1]:
        raise UnreadableError(f"has no {reference}", "Count the elements from 0.")
    return column[:, int(index)]


def _numbers(table: Table, reference: str) -> np.ndarray:
    """A column as float64, NaN where it is masked."""

    column = _column(table, reference)
    try:
        values = np.ma.asarray(column).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise UnreadableError(
            f"has text in column {reference}", "Name a column of numbers, or mend the file."
        ) from error
    return np.ma.filled(values, np.nan)


def _text(value: object) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def table_columns(bands: tuple[Band, ...]) -> tuple[Column, ...]:
    """The columns of a survey's table of photometry, real or simulated."""

    return (*OBJECT_COLUMNS, *photometry_columns(bands))
