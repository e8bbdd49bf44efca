"""Tables that tell more about the objects of a catalogue, row by row beside it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy.table import Table

from uraniborg.surveys.readers.formats import load_table, texts

__all__ = ["SideTable", "joined", "side_table"]


class SideTable(NamedTuple):
    """A table that tells more about objects.

    Args:
        name: What it is called.
        rows: One row per object.
        identifiers: Of the objects, unique, shape (len(rows),).
        repeated: Identifiers of further rows, which were dropped.
    """

    name: str
    rows: Table
    identifiers: pd.Index
    repeated: tuple[str, ...]


def side_table(path: Path, name: str, by: str, wanted: Collection[str]) -> SideTable:
    """Reads a table whose columns are to be joined to catalogues.

    Args:
        path: The file; its name tells its format.
        name: What it is called.
        by: The column of identifiers.
        wanted: Columns to keep, of which others may be in other tables.

    Raises:
        UnreadableError: The file is damaged, or has no column of identifiers.
    """

    table = load_table(path)
    identifiers = pd.Index(texts(table, by))
    double = identifiers.duplicated()
    kept = [column for column in table.colnames if column in wanted]
    repeated = tuple(identifiers[double])
    return SideTable(name, table[kept][~double], identifiers[~double], repeated)


def joined(table: Table, sides: Sequence[SideTable], by: str) -> tuple[Table, np.ndarray]:
    """A catalogue with the columns of other tables.

    A column that several tables have is that of the catalogue, or else of the first of them.

    Args:
        table: The catalogue, N rows.
        sides: The other tables.
        by: The column of identifiers.

    Returns:
        The table of N rows, and the name of the first table that lacks each of its objects, empty
        where none does, shape (N,). What a table lacks has values of no meaning.

    Raises:
        UnreadableError: The catalogue has no column of identifiers.
    """

    table = table.copy(copy_data=False)
    identifiers = texts(table, by)
    lacking = np.full(len(table), "", object)
    for side in sides:
        row = side.identifiers.get_indexer(identifiers)
        lacking[(row < 0) & (lacking == "")] = side.name
        for name in side.rows.colnames:
            if name not in table.colnames:
                table[name] = side.rows[name][np.maximum(row, 0)]
    return table, lacking
