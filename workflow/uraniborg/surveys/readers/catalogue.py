"""Photometric catalogues, tables of any format, into a survey's table of photometry.

What the columns mean is said by the survey's file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from astropy import units as u
from astropy.table import Table

from uraniborg.errors import UserError
from uraniborg.instruments.bands import Band, bands_of
from uraniborg.instruments.galactic_extinction import extinction_coefficients
from uraniborg.instruments.magnitudes import NANOMAGGY_IN_JANSKY, flux_of_ab, flux_of_asinh
from uraniborg.instruments.photometer import Photometry, photometry_columns
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.readers.formats import base, column, load_table, numbers, texts
from uraniborg.surveys.readers.joins import SideTable, joined
from uraniborg.tables import Column

__all__ = [
    "OBJECT_COLUMNS",
    "Catalogue",
    "Layout",
    "read",
    "table_columns",
]

OBJECT_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
    Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
    Column("z", pa.float64(), "", "Heliocentric redshift"),
    Column("z_err", pa.float64(), "", "Standard error of the redshift"),
    Column("ebv", pa.float64(), "mag", "Reddening by the Milky Way (Schlegel et al. 1998)"),
)
"""Columns of an object in a survey of photometry, before those of its bands."""

_SCALARS = tuple(known.name for known in OBJECT_COLUMNS)
_VALUES = {"flux": ("ivar", "error"), "magnitude": ("error",)}
_COLUMN_KEYS = ("flux", "magnitude", "ivar", "error", "limit")
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
        extra: Names of the columns of further numbers, such as stellar masses, by the names that
            they are to have.
        join: `column`, by which tables of the same objects are joined, and `tables`, patterns of
            the names of those that add columns to the others; empty if there are none.
        galactic_extinction: Whether the fluxes have been corrected for it (`corrected`), are to
            be (`correct`, which needs `ebv`), or are wanted as they are (`keep`).
        format: Of the files; empty to go by their names.
        names: Names of the columns of a text without a header, or instead of a wrong one.

    Raises:
        UserError: A band is unknown or has no value or error, ebv is needed, or an extra column
            has the name of another.
    """

    bands: tuple[Band, ...]
    sources: Mapping[str, Mapping[str, Any]]
    columns: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    join: Mapping[str, Any] = field(default_factory=dict)
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
        taken = {known.name for known in (*OBJECT_COLUMNS, *photometry_columns(self.bands))}
        if taken & set(self.extra):
            names = ", ".join(sorted(taken & set(self.extra)))
            raise UserError(f"extra: {names} is the name of another column; choose another.")

    @classmethod
    def of(cls, instrument: str, settings: Mapping[str, Any]) -> "Layout":
        """The layout that the section `catalogue` of a survey's file describes.

        Args:
            instrument: Name of the photometer.
            settings: Keys `bands`, `columns`, `extra`, `join`, `galactic_extinction`, `format` and
                `names`.
        """

        others = {key: value for key, value in settings.items() if key != "bands"}
        others["names"] = tuple(others.get("names", ()))
        return cls(bands_of(instrument), settings["bands"], **others)

    @property
    def wanted(self) -> set[str]:
        """The columns of the catalogue that are read."""

        named = [_reference(source) for source in (*self.columns.values(), *self.extra.values())]
        for source in self.sources.values():
            named += [source[key] for key in _COLUMN_KEYS if isinstance(source.get(key), str)]
        return {base(name) for name in named}

    @property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns of the survey's table."""

        extra = (
            Column(name, pa.float64(), "", f"Column {_reference(source)} of the catalogue")
            for name, source in self.extra.items()
        )
        return (*table_columns(self.bands), *extra)


def _one_of(source: Mapping[str, Any], keys: Sequence[str], name: str) -> str:
    present = [key for key in keys if key in source]
    if len(present) != 1:
        raise UserError(f"bands: {name}: give exactly one of {' and '.join(map(repr, keys))}.")
    return present[0]


class Catalogue(NamedTuple):
    """Objects as a catalogue lists them.

    Args:
        scalars: `object_id` (text, made from file and row where there is no column), and `ra`,
            `dec`, `z`, `z_err`, `ebv` and the layout's `extra`, NaN where unknown; each of shape
            (N,).
        photometry: Of the survey's bands.
        lacking: Name of the table that had to be joined and lacks the object, empty where none
            does, shape (N,).
    """

    scalars: dict[str, np.ndarray]
    photometry: Photometry
    lacking: np.ndarray


def read(path: Path, layout: Layout, sides: Sequence[SideTable] = ()) -> Catalogue:
    """Reads a catalogue.

    A value that is not finite, that the layout says was not observed, or whose error is not
    positive counts as not observed. Fluxes come in nanomaggies (AB).

    Args:
        path: The file.
        layout: What its columns mean.
        sides: Tables to join by the column that the layout says.

    Raises:
        UnreadableError: The file is damaged, lacks a column, or contradicts the layout.
    """

    table = load_table(path, layout.format, layout.names)
    lacking = np.full(len(table), "", object)
    if sides:
        table, lacking = joined(table, sides, layout.join["column"])
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
    return Catalogue(scalars, Photometry(flux, ivar, limit, observed, detected), lacking)


def _reference(source: str | Mapping[str, Any]) -> str:
    return source if isinstance(source, str) else source["column"]


def _scaled(table: Table, source: str | Mapping[str, Any]) -> np.ndarray:
    scale = 1.0 if isinstance(source, str) else source.get("scale", 1.0)
    return numbers(table, _reference(source)) * scale


def _scalars(table: Table, layout: Layout, path: Path) -> dict[str, np.ndarray]:
    scalars: dict[str, np.ndarray] = {}
    for name in _SCALARS[1:]:
        source = layout.columns.get(name)
        if source is None:
            scalars[name] = np.full(len(table), np.nan)
        else:
            scalars[name] = _scaled(table, source)
    if "object_id" in layout.columns:
        names = texts(table, layout.columns["object_id"])
    else:
        stem = path.name.split(".")[0]
        names = np.array([f"{stem}-{row:08d}" for row in range(len(table))], object)
    extra = {name: _scaled(table, source) for name, source in layout.extra.items()}
    return {"object_id": names, **scalars, **extra}


def _band(table: Table, source: Mapping[str, Any], band: Band) -> tuple[np.ndarray, ...]:
    """Flux, ivar and limit of one band."""

    kind = "flux" if "flux" in source else "magnitude"
    value = numbers(table, source[kind])
    error = numbers(table, source["ivar" if "ivar" in source else "error"])
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
        at = numbers(table, at) if isinstance(at, str) else np.full(len(table), float(at))
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

    stated = column(table, source[kind]).unit
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


def table_columns(bands: tuple[Band, ...]) -> tuple[Column, ...]:
    """The columns of a survey's table of photometry, real or simulated."""

    return (*OBJECT_COLUMNS, *photometry_columns(bands))
