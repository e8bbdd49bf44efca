"""Real catalogues of photometry into a survey's table, with a list of what was set aside."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from uraniborg.errors import UserError
from uraniborg.surveys.preparation import DUPLICATE, quarantine_table, quarantined
from uraniborg.surveys.readers.catalogue import Catalogue, Layout, read, table_columns
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import Survey
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
            `z_err` as `uraniborg.surveys.selection`, and in AB magnitude by `magnitude_max`.
        files: Catalogues by the name that the quarantine table calls them.
        path: Parquet file to write, `table_columns`.
        quarantine: Parquet file to write, `uraniborg.tables.QUARANTINE_COLUMNS`.

    Raises:
        UserError: A file is absent, or no object is left; the message names the reasons.
    """

    layout = Layout.of(survey.instrument, survey.catalogue)
    left_out: list[dict[str, str]] = []
    parts: list[pd.DataFrame] = []
    seen: set[str] = set()
    for name, file in files.items():
        if not file.exists():
            raise UserError(f"{file}: there is no such file.")
        try:
            objects = read(file, layout)
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
    write_table(path, table, table_columns(layout.bands), metadata)
    write_table(quarantine, quarantine_table(left_out), QUARANTINE_COLUMNS, metadata)


def _problems(
    survey: Survey, objects: Catalogue, layout: Layout, seen: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Why each object is left out, and what would let it in; both empty for one that stays."""

    scalars, photometry = objects
    number = len(scalars["object_id"])
    selection = survey.selection
    file = f"config/surveys/{survey.name}.yaml"
    cut = failed_cut(
        {key: value for key, value in selection.items() if key != "magnitude_max"},
        {**scalars, "spectype": np.full(number, "", object)},
        np.ones(number),
    )
    for band, faintest in selection.get("magnitude_max", {}).items():
        names = [member.name for member in layout.bands]
        if band not in names:
            raise UserError(f"selection: magnitude_max: {band!r} is none of {', '.join(names)}.")
        bright = photometry.flux[:, names.index(band)] >= 10 ** (0.4 * (22.5 - faintest))
        cut = np.where((cut == "") & ~bright, f"{band} fainter than {faintest:g}", cut)
    ra, dec, ebv = (scalars[name] for name in ("ra", "dec", "ebv"))
    lost = np.zeros(number, bool)
    if {"ra", "dec"} & set(layout.columns):
        lost = ~(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90))
    problems = [
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
