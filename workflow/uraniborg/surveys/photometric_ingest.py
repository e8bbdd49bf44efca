"""Real catalogues of photometry into a survey's table, with a list of what was set aside."""

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from uraniborg.errors import UserError
from uraniborg.surveys.photometric_selection import failed_band_cut
from uraniborg.surveys.preparation import DUPLICATE, quarantine_table, quarantined
from uraniborg.surveys.readers.catalogue import Catalogue, Layout, read
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.readers.joins import SideTable, side_table
from uraniborg.surveys.registry import BAND_CUTS, Survey
from uraniborg.surveys.selection import failed_cut
from uraniborg.tables import QUARANTINE_COLUMNS, write_table

__all__ = ["ingest_photometry"]


def ingest_photometry(
    survey: Survey,
    files: Mapping[str, Path],
    path: str | Path,
    quarantine: str | Path,
) -> None:
    """Writes a survey's objects as one table, and lists what was left out with the reasons.

    Args:
        survey: Its `catalogue` says what the columns mean; its `selection` may cut in `z` and
            `z_err` as `uraniborg.surveys.selection`, and in what its bands say as
            `uraniborg.surveys.photometric_selection`.
        files: Catalogues by the name that the quarantine table calls them.
        path: Parquet file to write, `Layout.table_columns`.
        quarantine: Parquet file to write, `uraniborg.tables.QUARANTINE_COLUMNS`.

    Raises:
        UserError: A file is absent, one that has to be joined to the others cannot be read, or no
            object is left; the message names the reasons.
    """

    layout = Layout.of(survey.instrument, survey.catalogue)
    left_out: list[dict[str, str]] = []
    parts: list[pd.DataFrame] = []
    seen: set[str] = set()
    for file in files.values():
        if not file.exists():
            raise UserError(f"{file}: there is no such file.")
    sides = _sides(files, layout)
    for side in sides:
        left_out.extend(
            quarantined(side.name, object_id, *DUPLICATE) for object_id in side.repeated
        )
    catalogues = {name: files[name] for name in files.keys() - {side.name for side in sides}}
    for name, file in sorted(catalogues.items()):
        try:
            objects = read(file, layout, sides)
        except UnreadableError as error:
            left_out.append(quarantined(name, "", error.reason, error.remedy))
            continue
        reason, remedy = _problems(survey, objects, layout, seen)
        left_out.extend(
            quarantined(name, str(objects.scalars["object_id"][row]), reason[row], remedy[row])
            for row in np.flatnonzero(reason != "")
        )
        columns = {**objects.scalars, **objects.photometry.table(layout.bands)}
        parts.append(pd.DataFrame(columns)[reason == ""])
    if sum(map(len, parts)) == 0:
        counts = pd.Series([entry["reason"] for entry in left_out], dtype=object).value_counts()
        reasons = "; ".join(f"{reason}: {number}" for reason, number in counts.items())
        raise UserError(
            f"survey {survey.name}: no object is left of {', '.join(files)} ({reasons}); "
            f"check `selection` and `catalogue` in config/surveys/{survey.name}.yaml."
        )
    table = pd.concat(parts, ignore_index=True)
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    write_table(path, table, layout.table_columns, metadata)
    write_table(quarantine, quarantine_table(left_out), QUARANTINE_COLUMNS, metadata)


def _sides(files: Mapping[str, Path], layout: Layout) -> list[SideTable]:
    """The tables that are joined to the others.

    Raises:
        UserError: A pattern is not that of exactly one file, which is not alone, or it cannot be
            read.
    """

    sides: list[SideTable] = []
    for pattern in layout.join.get("tables", ()):
        found = [name for name in files if fnmatch(Path(name).name, pattern)]
        if len(found) != 1 or len(files) == 1:
            raise UserError(
                f"catalogue: join: {pattern!r} has to be the name of one of several files, not of "
                f"{len(found)} of {', '.join(files)}; correct the names, or fetch what is missing."
            )
        name, column = found[0], layout.join["column"]
        try:
            sides.append(side_table(files[name], name, column, layout.wanted))
        except UnreadableError as error:
            raise UserError(f"{files[name]}: {error.reason}. {error.remedy}") from error
    return sides


def _problems(
    survey: Survey, objects: Catalogue, layout: Layout, seen: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Why each object is left out, and what would let it in; both empty for one that stays."""

    scalars, photometry, lacking = objects
    number = len(scalars["object_id"])
    selection = survey.selection
    file = f"config/surveys/{survey.name}.yaml"
    cut = failed_cut(
        {key: value for key, value in selection.items() if key not in BAND_CUTS},
        {**scalars, "spectype": np.full(number, "", object)},
        np.ones(number),
    )
    names = [band.name for band in layout.bands]
    of_bands = failed_band_cut(selection, photometry.flux, photometry.ivar, names)
    cut = np.where(cut == "", of_bands, cut)
    ra, dec, ebv = (scalars[name] for name in ("ra", "dec", "ebv"))
    lost = np.zeros(number, bool)
    if {"ra", "dec"} & set(layout.columns):
        lost = ~(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90))
    problems = [
        (
            lacking != "",
            np.array([f"is not in {name}" for name in lacking]),
            "Use tables of the same objects.",
        ),
        (lost, "has no position", "Give it ra and dec in degrees."),
        (~photometry.observed.any(axis=1), "was observed in no band", "Check values and errors."),
        (
            (layout.galactic_extinction == "correct") & ~(np.isfinite(ebv) & (ebv >= 0)),
            "has no reddening to correct for",
            "Give it ebv.",
        ),
        (
            bool({"z_min", "z_max"} & set(selection)) & ~np.isfinite(scalars["z"]),
            "has no finite redshift",
            "Give it a redshift.",
        ),
        (cut != "", np.array([f"selection: {x}" for x in cut]), f"Widen `selection` in {file}."),
    ]
    reason, remedy = np.full(number, "", object), np.full(number, "", object)
    for holds, why, what in problems:
        holds = holds & (reason == "")
        reason, remedy = np.where(holds, why, reason), np.where(holds, what, remedy)
    for row, object_id in enumerate(scalars["object_id"]):
        if reason[row] == "" and object_id in seen:
            reason[row], remedy[row] = DUPLICATE
        elif reason[row] == "":
            seen.add(object_id)
    return reason, remedy
