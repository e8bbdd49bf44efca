"""Real data into shards: reading, checking, selecting, and a list of what was set aside.

Every shard is made on its own from its part of the files, in bounded memory; the catalogue then
puts the shards together and is the list of a survey's objects that everything else starts from.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.progress import track
from uraniborg.surveys.preparation import (
    DUPLICATE,
    Observations,
    prepare,
    quarantine_table,
    quarantined,
)
from uraniborg.surveys.readers import desi, multimodal_universe, sdss
from uraniborg.surveys.readers import table as table_reader
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.splits import split_of
from uraniborg.tables import (
    QUARANTINE_COLUMNS,
    Column,
    Spectra,
    SpectraWriter,
    read_table,
    write_table,
)

__all__ = [
    "READERS",
    "catalogue",
    "ingest",
]

READERS = {
    "desi": desi.read,
    "multimodal_universe": multimodal_universe.read,
    "sdss": sdss.read,
    "table": table_reader.read,
}
"""Functions that yield `Observations` from a path, by name of the format."""

_BATCH = 256

_CATALOGUE_COLUMNS = (
    Column("shard", pa.int64(), "", "Number of the shard that holds the spectrum"),
    Column("row", pa.int64(), "", "Row of the spectrum in the survey's shards taken together"),
)
_SPLIT_COLUMN = Column("split", pa.string(), "", "Part of the survey: train, valid or test")


def ingest(
    survey: Survey,
    files: Mapping[str, Path],
    shard: str | Path,
    quarantine: str | Path,
) -> None:
    """Writes one shard of spectra from files and lists what was left out, with the reasons.

    Args:
        survey: Says how to read, normalise and select.
        files: Files of this shard, by the name that the quarantine table calls them.
        shard: Arrow file to write, `uraniborg.tables.SPECTRUM_COLUMNS`, flux and ivar.
        quarantine: Parquet file to write, `uraniborg.tables.QUARANTINE_COLUMNS`.

    Raises:
        UserError: A file is absent.
    """

    grid = survey.grid
    left_out: list[dict[str, str]] = []
    seen: set[str] = set()
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    with SpectraWriter(shard, grid, metadata=metadata) as writer:
        prepared = (
            prepare(observations, name, survey, grid, seen, left_out)
            for name, observations in _read(files, READERS[survey.reader], left_out)
        )
        for scalars, flux, ivar in _joined(prepared, _BATCH):
            writer.write(scalars, flux=flux, ivar=ivar)
    write_table(quarantine, quarantine_table(left_out), QUARANTINE_COLUMNS, {"survey": survey.name})
    for reason, number in Counter(entry["reason"] for entry in left_out).most_common():
        print(f"left out {number}: {reason}")


def _read(
    files: Mapping[str, Path],
    read: Callable[[Path], Iterator[Observations]],
    left_out: list[dict[str, str]],
) -> Iterator[tuple[str, Observations]]:
    for name, path in track(files.items(), "reading", "files", len(files)):
        if not path.exists():
            raise UserError(f"{path}: there is no such file.")
        try:
            for observations in read(path):
                yield name, observations
        except UnreadableError as error:
            left_out.append(quarantined(name, "", error.reason, error.remedy))


def _joined(
    batches: Iterable[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]], size: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
    """The same rows in batches of at least `size`, but for the last."""

    waiting, rows = [], 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch[1])
        if rows >= size:
            yield _concatenated(waiting)
            waiting, rows = [], 0
    if rows:
        yield _concatenated(waiting)


def _concatenated(
    batches: Sequence[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]],
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    scalars, flux, ivar = zip(*batches, strict=True)
    joined = {name: np.concatenate([part[name] for part in scalars]) for name in scalars[0]}
    return joined, np.concatenate(flux), np.concatenate(ivar)


def catalogue(
    survey: Survey,
    shards: Sequence[str | Path],
    quarantines: Sequence[str | Path],
    path: str | Path,
    quarantine: str | Path,
    splits: Mapping[str, float] | None = None,
) -> None:
    """Lists a survey's objects: every scalar column of its shards, and where each spectrum is.

    An object_id that came before, in whatever shard, is left out of the catalogue and listed in
    the quarantine table. Spectra are therefore read by the catalogue's rows:
    `Spectra(shards).vectors("flux", catalogue["row"])`.

    Args:
        survey: The survey.
        shards: All its shards, in order.
        quarantines: The shards' quarantine tables, none for a simulated survey.
        path: Parquet file to write.
        quarantine: Parquet file to write, of everything that the survey left out.
        splits: Fractions `valid` and `test` for a column `split`; without, there is none.

    Raises:
        UserError: No object is left; the message counts the reasons.
    """

    spectra = Spectra(shards)
    table = spectra.scalars
    lengths = [len(Spectra(shard)) for shard in shards]
    table["shard"] = np.repeat(np.arange(len(lengths)), lengths)
    table["row"] = np.arange(len(table))
    double = table["object_id"].duplicated()
    reason, remedy = DUPLICATE
    entries = [
        quarantined(Path(shards[row.shard]).name, row.object_id, reason, remedy)
        for row in table[double].itertuples()
    ]
    left_out = pd.concat(
        [quarantine_table(entries), *map(read_table, quarantines)], ignore_index=True
    )
    left_out = left_out.sort_values(["source", "object_id"], kind="stable")
    table = table[~double]
    if table.empty:
        counts = left_out["reason"].value_counts().items()
        reasons = "; ".join(f"{number} {reason}" for reason, number in counts)
        raise UserError(
            f"survey {survey.name}: no object is left ({reasons or 'there was none'}); "
            f"check `selection` and the files in config/surveys/{survey.name}.yaml."
        )
    columns = [*spectra.columns, *_CATALOGUE_COLUMNS]
    if splits is not None:
        table = table.assign(split=split_of(table["object_id"], splits))
        columns.append(_SPLIT_COLUMN)
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    write_table(path, table, columns, metadata)
    write_table(quarantine, left_out, QUARANTINE_COLUMNS, metadata)
