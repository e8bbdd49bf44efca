"""Tables as astronomers keep them: FITS, CSV, ECSV, text in columns, VOTable and Parquet, plain or
compressed by gzip.
"""

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import ascii as text
from astropy.io import fits
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

from uraniborg.surveys.readers.errors import UnreadableError

__all__ = ["base", "column", "load_table", "numbers", "texts"]

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

_ELEMENT = re.compile(r"(.*?)(?:\[(\d+)\])?")
"""A column, or an element of a vector column."""


def load_table(path: Path, form: str = "", names: Sequence[str] = ()) -> Table:
    """A table of at least one row.

    Args:
        path: The file.
        form: Its format, one of those that `catalogue: format` of a survey may be; empty to go by
            the file's name.
        names: Names of the columns of a text without a header, or instead of a wrong one.

    Raises:
        UnreadableError: The file is damaged or has no row.
    """

    plain = path.name.removesuffix(".gz")
    form = form or _FORMATS.get(Path(plain).suffix.lower(), "text")
    damaged = UnreadableError(f"is truncated or no {form} table", "Fetch the file again.")
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            # As a whole, so that gzip's own checksum is looked at.
            content = gzip.decompress(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            table = _parse(content, form, names)
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
    if len(table) == 0:
        raise UnreadableError("has no row", "Use a file that lists objects.")
    return table


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


def base(reference: str) -> str:
    """The column that a reference such as `NAME[0]` is an element of."""

    return _ELEMENT.fullmatch(reference)[1]


def column(table: Table, reference: str) -> Any:  # noqa: ANN401
    """A column, or an element of a vector column named `NAME[0]`.

    Raises:
        UnreadableError: There is none, or a vector's element is not named.
    """

    name, index = _ELEMENT.fullmatch(reference).groups()
    name = reference if reference in table.colnames else name
    if name not in table.colnames:
        present = ", ".join(table.colnames[:20]) + (", ..." if len(table.colnames) > 20 else "")
        raise UnreadableError(
            f"has no column {name} (it has {present})", "Correct `catalogue` of the survey."
        )
    values = table[name]
    if index is None or name == reference:
        if values.ndim > 1:
            raise UnreadableError(
                f"has vectors in column {name}", f"Name an element of it, such as {name}[0]."
            )
        return values
    if values.ndim != 2 or int(index) >= values.shape[1]:
        raise UnreadableError(f"has no {reference}", "Count the elements from 0.")
    return values[:, int(index)]


def numbers(table: Table, reference: str) -> np.ndarray:
    """A column as float64, NaN where it is masked.

    Raises:
        UnreadableError: There is none, or it holds text.
    """

    try:
        values = np.ma.asarray(column(table, reference)).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise UnreadableError(
            f"has text in column {reference}", "Name a column of numbers, or mend the file."
        ) from error
    return np.ma.filled(values, np.nan)


def texts(table: Table, reference: str) -> np.ndarray:
    """A column as text, such as identifiers.

    Raises:
        UnreadableError: There is none.
    """

    values = column(table, reference)
    return np.array([_text(value) for value in values], object)


def _text(value: object) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()
