"""FITS tables with units and descriptions, whole or not at all, the same bytes for the same data.

Standard: https://fits.gsfc.nasa.gov/fits_standard.html (version 4.0).
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.units import Unit

from uraniborg.files import atomic
from uraniborg.tables import Column

__all__ = ["FitsWriter"]

_BLOCK = 2880
"""FITS files consist of blocks of so many bytes."""

_FORMATS = {"b1": "L", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}
"""Letters of the standard by type of the values."""


class FitsWriter:
    """Writes tables one after the other, each an extension, so that memory does not grow.

    The file appears when the `with` block ends well.

    Args:
        path: The file to write.
        header: Cards of the primary header, which has no data.

    Example:
        >>> with FitsWriter("spectra.fits", {"SURVEY": "sdss"}) as writer:
        ...     writer.write("0266-51602-0001", columns, {"wavelength": x, "flux": y})
    """

    def __init__(self, path: str | Path, header: Mapping[str, Any] | None = None) -> None:
        self.path, self.header = path, dict(header or {})
        self._stack = ExitStack()
        self._template: tuple[Any, fits.Header] | None = None

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic(self.path))
        self._file = self._stack.enter_context(temporary.open("wb"))
        header = fits.PrimaryHDU().header
        header.update(self.header)
        self._file.write(header.tostring().encode("ascii"))
        return self

    def write(
        self,
        name: str,
        columns: Sequence[Column],
        data: Mapping[str, Sequence] | pd.DataFrame,
        header: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends a table.

        Args:
            name: Name of the extension.
            columns: Its columns in order.
            data: One entry per column: text, logical, integer or floating-point values.
            header: Further cards of its header.
        """

        values = [_values(data[column.name]) for column in columns]
        formats = [_format(array) for array in values]
        # Logical values are letters.
        values = [np.where(array, b"T", b"F") if array.dtype == bool else array for array in values]
        dtype = [
            (column.name, array.dtype.newbyteorder(">"))
            for column, array in zip(columns, values, strict=True)
        ]
        rows = np.empty(len(values[0]), dtype)
        for column, array in zip(columns, values, strict=True):
            rows[column.name] = array
        # Most files have many tables of one kind, whose headers differ in a few cards.
        kind = (tuple(columns), tuple(formats), len(rows))
        if self._template is None or self._template[0] != kind:
            self._template = kind, _header(*kind)
        cards = self._template[1].copy()
        cards["EXTNAME"] = name
        cards.update(header or {})
        self._file.write(cards.tostring().encode("ascii"))
        contents = rows.tobytes()
        self._file.write(contents + bytes(-len(contents) % _BLOCK))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def _values(column: Sequence) -> np.ndarray:
    values = np.asarray(column)
    if values.dtype.kind in "OUT":
        return np.array([str(value).encode("ascii", "replace") for value in values], "S")
    return values


def _format(values: np.ndarray) -> str:
    if values.dtype.kind == "S":
        return f"{values.dtype.itemsize}A"
    return _FORMATS[values.dtype.str[1:]]


def _header(columns: tuple[Column, ...], formats: tuple[str, ...], rows: int) -> fits.Header:
    fields = [
        fits.Column(column.name, form, Unit(column.unit).to_string("fits") or None)
        for column, form in zip(columns, formats, strict=True)
    ]
    header = fits.BinTableHDU.from_columns(fields, nrows=rows).header
    for number, column in enumerate(columns, 1):
        header.set(f"TCOMM{number}", column.description, after=f"TFORM{number}")
    return header
