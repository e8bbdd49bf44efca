"""Real data into shards: reading, checking, selecting, and a list of what was set aside.

Every shard is made on its own from its part of the files, in bounded memory; the catalogue then
puts the shards together and is the list of a survey's objects that everything else starts from.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.progress import track
from uraniborg.surveys.preparation import (
    Observations,
    masked,
    normalisation,
    signal_to_noise,
    snap,
)
from uraniborg.surveys.readers import multimodal_universe, sdss
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.selection import failed_cut
from uraniborg.surveys.splits import split_of
from uraniborg.tables import (
    QUARANTINE_COLUMNS,
    Column,
    Spectra,
    SpectraWriter,
    read_table,
    write_table,
)

__all__ = ["READERS", "catalogue", "ingest", "matching_files", "part_of"]

READERS = {"multimodal_universe": multimodal_universe.read, "sdss": sdss.read}
"""Functions that yield `Observations` from a path, by name of the format."""

LARGEST_OFFSET = 0.1
"""Pixels by which wavelengths may differ from the grid's; single precision makes 0.003."""

_BATCH = 256

_CATALOGUE_COLUMNS = (
    Column("shard", pa.int64(), "", "Number of the shard that holds the spectrum"),
    Column("row", pa.int64(), "", "Row of the spectrum in the survey's shards taken together"),
)
_SPLIT_COLUMN = Column("split", pa.string(), "", "Part of the survey: train, valid or test")


def matching_files(patterns: Sequence[str], data_root: str | Path) -> dict[str, Path]:
    """The user's files, sorted, by their path below `data_root`.

    Args:
        patterns: Patterns relative to `data_root`; `**` stands for any folders.
        data_root: Where the patterns start.

    Raises:
        UserError: No file matches.
    """

    names: set[str] = set()
    for pattern in patterns:
        # Unlike `Path.glob`, this follows links to folders, where large data often are.
        names.update(glob.glob(pattern, root_dir=data_root, recursive=True))  # noqa: PTH207
    files = {name: Path(data_root, name) for name in sorted(names)}
    files = {name: path for name, path in files.items() if path.is_file()}
    if not files:
        raise UserError(
            f"no file matches {' or '.join(patterns)} in {data_root}; "
            "set `data_root` in the configuration, or `files: patterns` of the survey."
        )
    return files


def part_of(files: Mapping[str, Path], shard: int, shards: int) -> dict[str, Path]:
    """The files of one shard.

    Files of the same name, compressed or not, are in the same shard, where copies of a spectrum
    are noticed.

    Args:
        files: All files of the survey.
        shard: Number of the shard.
        shards: Number of shards.
    """

    plain = {name: path.name.removesuffix(".gz") for name, path in files.items()}
    here = set(sorted(set(plain.values()))[shard::shards])
    return {name: path for name, path in files.items() if plain[name] in here}


def ingest(
    survey: Survey,
    files: Mapping[str, Path],
    grid: WavelengthGrid,
    shard: str | Path,
    quarantine: str | Path,
) -> None:
    """Writes one shard of spectra from files and lists what was left out, with the reasons.

    Args:
        survey: Says how to read, normalise and select.
        files: Files of this shard, by the name that the quarantine table calls them.
        grid: Wavelengths of the survey's instrument.
        shard: Arrow file to write, `uraniborg.tables.SPECTRUM_COLUMNS`, flux and ivar.
        quarantine: Parquet file to write, `uraniborg.tables.QUARANTINE_COLUMNS`.

    Raises:
        UserError: A file is absent.
    """

    left_out: list[dict[str, str]] = []
    seen: set[str] = set()
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    with SpectraWriter(shard, grid, metadata=metadata) as writer:
        prepared = (
            _prepare(observations, name, survey, grid, seen, left_out)
            for name, observations in _read(files, READERS[survey.reader], left_out)
        )
        for scalars, flux, ivar in _joined(prepared, _BATCH):
            writer.write(scalars, flux=flux, ivar=ivar)
    write_table(quarantine, _quarantine(left_out), QUARANTINE_COLUMNS, {"survey": survey.name})
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
            left_out.append(_entry(name, "", error.reason, error.remedy))


def _prepare(
    observations: Observations,
    source: str,
    survey: Survey,
    grid: WavelengthGrid,
    seen: set[str],
    left_out: list[dict[str, str]],
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The observations that may stay, on the grid, with norm and S/N; lists the others."""

    scalars = dict(observations.scalars)
    flux, ivar = masked(observations.flux, observations.ivar, observations.bad)
    flux, ivar, offset = snap(grid, observations.wavelength, flux, ivar)
    z = scalars["z"]
    scalars["snr"] = signal_to_noise(flux, ivar)
    scalars["norm"] = np.ones(len(z))
    if survey.normalisation == "restframe":
        scalars["norm"] = normalisation(grid.wavelength, flux, ivar, z)

    edges = f"{grid.wavelength[0]:.0f} to {grid.wavelength[-1]:.0f} Angstrom"
    cut = failed_cut(survey.selection, scalars, (ivar > 0).mean(axis=1))
    file = f"config/surveys/{survey.name}.yaml"
    # In this order: the first that holds is the reason.
    problems = [
        (
            np.isinf(offset),
            f"has no pixels on the grid of instrument {survey.instrument}, {edges}",
            f"Set `instrument` in {file} to the one that took it.",
        ),
        (
            offset > LARGEST_OFFSET,
            f"has other pixels than the grid of instrument {survey.instrument}",
            f"Set `instrument` in {file} to the one that took it.",
        ),
        (~np.isfinite(z), "has no finite redshift", "Give it a redshift."),
        (~(ivar > 0).any(axis=1), "has no good pixel", "Check its ivar and mask."),
        (cut != "", cut, f"Widen `selection` in {file}."),
        (
            ~(scalars["norm"] > 0),
            "has a median flux that is not positive",
            f"Set `selection: snr_min` in {file}, or `normalisation: none`.",
        ),
    ]
    reason, remedy = np.full(len(z), "", object), np.full(len(z), "", object)
    for holds, why, what in problems:
        holds = holds & (reason == "")
        reason = np.where(holds, np.where(cut == why, "selection: " + cut, why), reason)
        remedy = np.where(holds, what, remedy)
    for row, object_id in enumerate(scalars["object_id"]):
        if reason[row] == "" and object_id in seen:
            reason[row], remedy[row] = _DUPLICATE
        elif reason[row] == "":
            seen.add(object_id)
    left_out.extend(
        _entry(source, str(scalars["object_id"][row]), reason[row], remedy[row])
        for row in np.flatnonzero(reason != "")
    )
    keep = reason == ""
    return {name: values[keep] for name, values in scalars.items()}, flux[keep], ivar[keep]


_DUPLICATE = ("duplicate of an object_id that came before", "Remove one of the two.")


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


def _entry(source: str, object_id: str, reason: str, remedy: str) -> dict[str, str]:
    return {"source": source, "object_id": object_id, "reason": reason, "remedy": remedy}


def _quarantine(entries: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(entries, columns=[column.name for column in QUARANTINE_COLUMNS])


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
    reason, remedy = _DUPLICATE
    entries = [
        _entry(Path(shards[row.shard]).name, row.object_id, reason, remedy)
        for row in table[double].itertuples()
    ]
    left_out = pd.concat([_quarantine(entries), *map(read_table, quarantines)], ignore_index=True)
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
