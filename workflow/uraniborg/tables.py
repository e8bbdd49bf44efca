"""Tables with a unit and a description on every column, and spectra in memory-mapped shards.

Catalogues, posterior samples, histories and figure data are Parquet; spectra are Arrow IPC files
that are read through the page cache without a copy. Names follow the Multimodal Universe
(arXiv:2412.02527) where it has one, in lower case.
"""

import io
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io.votable.exceptions import W50
from astropy.io.votable.tree import VOTableFile
from astropy.table import Column as AstropyColumn
from astropy.table import Table
from astropy.table.meta import get_yaml_from_table
from astropy.units import UnitsWarning

from uraniborg.errors import UserError
from uraniborg.files import atomic
from uraniborg.grids import WavelengthGrid

__all__ = [
    "FLUX_UNIT",
    "QUARANTINE_COLUMNS",
    "SPECTRUM_COLUMNS",
    "Column",
    "Spectra",
    "SpectraWriter",
    "TableWriter",
    "read_metadata",
    "read_table",
    "write_table",
]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: Its name.
        type: An Arrow type, such as `pa.float64()`.
        unit: A unit that astropy can parse; empty for a pure number or text.
        description: One phrase.
    """

    name: str
    type: pa.DataType
    unit: str
    description: str

    def field(self) -> pa.Field:
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, metadata=metadata)


FLUX_UNIT = "1e-17 erg / (Angstrom s cm2)"

SPECTRUM_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("ra", pa.float64(), "deg", "Right ascension (ICRS)"),
    Column("dec", pa.float64(), "deg", "Declination (ICRS)"),
    Column("z", pa.float64(), "", "Heliocentric redshift"),
    Column("z_err", pa.float64(), "", "Standard error of the redshift"),
    Column("zwarning", pa.int64(), "", "Redshift warning flags of the survey, 0 for none"),
    Column("spectype", pa.string(), "", "Spectral class: GALAXY, QSO, STAR or SKY"),
    Column("subclass", pa.string(), "", "Spectral subclass as given by the survey"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("norm", pa.float64(), FLUX_UNIT, "Flux density by which models scale the spectrum"),
)
"""Scalar columns of a spectrum; `flux` and `ivar` are its vector columns."""

QUARANTINE_COLUMNS = (
    Column("source", pa.string(), "", "File that the object or the file itself came from"),
    Column("object_id", pa.string(), "", "Identifier, empty where it could not be read"),
    Column("reason", pa.string(), "", "Why it was set aside"),
    Column("remedy", pa.string(), "", "What would let it in"),
)
"""Columns of the table that lists what a survey set aside."""

_VECTOR_COLUMNS = {
    "flux": (FLUX_UNIT, "Flux density"),
    "ivar": ("1e34 Angstrom2 s2 cm4 / erg2", "Inverse variance of the flux density, 0 if masked"),
    "anomaly_flux": (FLUX_UNIT, "What an anomaly adds to the noiseless flux density"),
}


def write_table(
    path: str | Path,
    table: pd.DataFrame | Mapping[str, Sequence],
    columns: Sequence[Column],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a Parquet file with units and descriptions that astropy and TOPCAT understand.

    Args:
        path: The file to write.
        table: One entry per column; columns not declared are an error, not dropped.
        columns: The columns in order.
        metadata: Further text entries of the file's metadata.

    Raises:
        ValueError: The table's columns are not those declared.
    """

    arrow, widths = _arrow(pd.DataFrame(table), columns)
    metadata = {**(metadata or {}), **_astropy_metadata(columns), **_named(widths)}
    arrow = arrow.replace_schema_metadata(metadata)
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


class TableWriter:
    """Writes a Parquet file as `write_table` does, part by part, so that memory does not grow.

    The file appears when the `with` block ends well. No text may be longer than the longest of
    its column in the first part, whose length the file declares.

    Args:
        path: The file to write.
        columns: The columns in order.
        metadata: Further text entries of the file's metadata.

    Example:
        >>> with TableWriter("table.parquet", columns) as writer:
        ...     writer.write(part)
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[Column],
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.columns = path, columns
        self._metadata = {**(metadata or {}), **_astropy_metadata(columns)}
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(atomic(self.path))
        return self

    def write(self, part: pd.DataFrame | Mapping[str, Sequence]) -> None:
        """Appends rows.

        Raises:
            ValueError: The part's columns are not those declared, or a text is too long.
        """

        arrow, widths = _arrow(pd.DataFrame(part), self.columns)
        if self._writer is None:
            self._widths = widths
            self._metadata |= _named(widths)
            schema = arrow.schema.with_metadata(self._metadata)
            writer = pq.ParquetWriter(self._temporary, schema, compression="zstd")
            self._writer = self._stack.enter_context(writer)
        if any(width > self._widths[name] for name, width in widths.items()):
            raise ValueError("a text is longer than those of the first part")
        self._writer.write_table(arrow.replace_schema_metadata(self._metadata))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def _arrow(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[pa.Table, dict[str, int]]:
    """The columns in order, and the width of those of text."""

    names = [column.name for column in columns]
    if set(frame.columns) != set(names):
        raise ValueError(f"table has columns {sorted(frame.columns)}, declared are {sorted(names)}")
    schema = pa.schema([column.field() for column in columns])
    widths = {
        column.name: max([1, *map(len, frame[column.name].dropna())])
        for column in columns
        if pa.types.is_string(column.type)
    }
    return pa.Table.from_pandas(frame[names], schema=schema, preserve_index=False), widths


def _named(widths: Mapping[str, int]) -> dict[str, str]:
    """astropy stores text in columns of fixed width and asks for it under these names."""

    return {f"table::len::{name}": str(width) for name, width in widths.items()}


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Reads a Parquet file.

    Args:
        path: The file to read.
        columns: The columns to read, all by default.

    Raises:
        UserError: The file is absent, damaged or lacks a column.
    """

    try:
        missing = set(columns or ()) - set(pq.read_schema(path).names)
        if missing:
            raise UserError(f"{path}: has no column {', '.join(sorted(missing))}; check the file.")
        return pq.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; run the rule that makes it.") from error
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: is not a complete Parquet file; delete it and rerun.") from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text entries of a Parquet file's metadata."""

    metadata = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def _astropy_metadata(columns: Sequence[Column]) -> dict[str, str]:
    """What `astropy.table.Table.read` and the VOParquet convention (IVOA Note, 2025) look for."""

    header = Table()
    for column in columns:
        dtype = np.dtype(column.type.to_pandas_dtype())
        if dtype.hasobject:
            dtype = np.dtype("U1")
        header[column.name] = AstropyColumn(
            np.empty(0, dtype), unit=column.unit or None, description=column.description
        )
    votable = io.BytesIO()
    with warnings.catch_warnings():
        # A power of ten before a unit, nanomaggies and dex are not in the VOTable standard, but
        # readers know them.
        warnings.simplefilter("ignore", UnitsWarning)
        warnings.simplefilter("ignore", W50)
        VOTableFile.from_table(header).to_xml(votable)
    return {
        "table_meta_yaml": "\n".join(get_yaml_from_table(header)),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable.getvalue().decode(),
    }


class SpectraWriter:
    """Writes a shard of spectra batch by batch, so that memory does not grow with the shard.

    Every row has the scalars declared by `columns` and one vector per name in `vectors`, each as
    long as the grid. The file appears when the `with` block ends well.

    Args:
        path: The Arrow IPC file to write.
        grid: Wavelengths of the vectors' pixels, observed frame.
        columns: Scalar columns.
        vectors: Names of the vector columns, `flux` and `ivar` by default.
        metadata: Further text entries, such as `survey`, `instrument` and `data`.

    Example:
        >>> with SpectraWriter("shard.arrow", grid) as writer:
        ...     writer.write(scalars, flux=flux, ivar=ivar)
    """

    def __init__(
        self,
        path: str | Path,
        grid: WavelengthGrid,
        columns: Sequence[Column] = SPECTRUM_COLUMNS,
        vectors: Sequence[str] = ("flux", "ivar"),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.grid = Path(path), grid
        self.columns, self.vectors = tuple(columns), tuple(vectors)
        fields = [column.field() for column in self.columns]
        for name in self.vectors:
            unit, description = _VECTOR_COLUMNS[name]
            fields.append(Column(name, self._vector_type, unit, description).field())
        self.schema = pa.schema(fields, {**(metadata or {}), "wavelength": grid.to_json()})

    @property
    def _vector_type(self) -> pa.DataType:
        return pa.list_(pa.float32(), self.grid.size)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        temporary = self._stack.enter_context(atomic(self.path))
        self._writer = self._stack.enter_context(pa.ipc.new_file(temporary, self.schema))
        return self

    def __exit__(self, kind: type | None, value: Exception | None, trace: TracebackType) -> bool:
        return self._stack.__exit__(kind, value, trace)

    def write(self, scalars: pd.DataFrame | Mapping[str, Sequence], **vectors: np.ndarray) -> None:
        """Appends rows.

        Args:
            scalars: One entry per scalar column, each of N values.
            vectors: Arrays of shape (N, grid.size), converted to float32.

        Raises:
            ValueError: A column is missing, unknown or of the wrong shape.
        """

        names = [column.name for column in self.columns]
        if set(scalars) != set(names) or set(vectors) != set(self.vectors):
            raise ValueError(f"a batch needs the columns {names} and {list(self.vectors)}")
        arrays = [
            pa.array(scalars[column.name], column.type, from_pandas=True) for column in self.columns
        ]
        for name in self.vectors:
            values = np.ascontiguousarray(vectors[name], dtype=np.float32)
            if values.ndim != 2 or values.shape[1] != self.grid.size:
                raise ValueError(f"{name} has shape {values.shape}, not (N, {self.grid.size})")
            flat = pa.array(values.reshape(-1))
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=self._vector_type))
        self._writer.write_batch(pa.record_batch(arrays, schema=self.schema))


class Spectra:
    """Spectra of one or many shards, memory-mapped: only rows that are asked for are read.

    Args:
        paths: Shards of the same grid and columns, in order.

    Raises:
        UserError: A shard is absent or damaged, or the shards differ in grid or columns.

    Example:
        >>> spectra = Spectra(["a.arrow", "b.arrow"])
        >>> flux = spectra.vectors("flux", [0, 5, 2])  # (3, grid.size)
    """

    def __init__(self, paths: str | Path | Iterable[str | Path]) -> None:
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        if not self.paths:
            raise UserError("no shard of spectra was given; is the survey empty?")
        files = [_open_shard(path) for path in self.paths]
        for path, file in zip(self.paths, files, strict=True):
            if not file.schema.equals(files[0].schema, check_metadata=True):
                raise UserError(f"{path}: differs from {self.paths[0]} in columns, grid or survey.")
        self.metadata = {k.decode(): v.decode() for k, v in files[0].schema.metadata.items()}
        self.grid = WavelengthGrid.from_json(self.metadata.pop("wavelength"))
        batches = [file.get_batch(i) for file in files for i in range(file.num_record_batches)]
        self._table = pa.Table.from_batches(batches, schema=files[0].schema)
        # Where each batch begins, to find the batch of a row.
        self._starts = np.cumsum([0] + [batch.num_rows for batch in batches])
        self._vectors = {
            field.name: [self._as_array(batch, field.name) for batch in batches]
            for field in files[0].schema
            if pa.types.is_fixed_size_list(field.type)
        }

    def _as_array(self, batch: pa.RecordBatch, name: str) -> np.ndarray:
        values = batch.column(name).flatten().to_numpy(zero_copy_only=True)
        return values.reshape(-1, self.grid.size)

    def __len__(self) -> int:
        return self._table.num_rows

    @property
    def columns(self) -> list[Column]:
        """The scalar columns."""

        return [
            Column(
                field.name,
                field.type,
                field.metadata[b"unit"].decode(),
                field.metadata[b"description"].decode(),
            )
            for field in self._table.schema
            if field.name not in self._vectors
        ]

    @property
    def scalars(self) -> pd.DataFrame:
        """The scalar columns, one row per spectrum."""

        return self._table.drop_columns(list(self._vectors)).to_pandas()

    def column(self, name: str) -> np.ndarray:
        """One scalar column, shape (N,)."""

        return self._table.column(name).to_numpy()

    def vectors(self, name: str, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Rows of a vector column, shape (len(rows), grid.size), float32.

        Args:
            name: The column, such as `flux`.
            rows: Row numbers in any order.
        """

        rows = np.asarray(rows)
        output = np.empty((len(rows), self.grid.size), np.float32)
        batch_of_row = np.searchsorted(self._starts, rows, side="right") - 1
        for batch in np.unique(batch_of_row):
            here = batch_of_row == batch
            output[here] = self._vectors[name][batch][rows[here] - self._starts[batch]]
        return output

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Row numbers in order, `size` at a time."""

        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))


def _open_shard(path: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; run the rule that makes it.") from error
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: is not a complete Arrow file; delete it and rerun.") from error
