"""Records that jobs of many analyses leave for one table: claims and benchmarks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from uraniborg.files import atomic
from uraniborg.tables import Column

__all__ = ["gather", "write_records"]


def write_records(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Writes the records of one job as JSON."""

    with atomic(path) as temporary:
        temporary.write_text(json.dumps(list(records), indent=2) + "\n")


def gather(paths: Iterable[str | Path], columns: Sequence[Column]) -> pd.DataFrame:
    """The records of all jobs as one table with the given columns."""

    records = [record for path in paths for record in json.loads(Path(path).read_text())]
    return pd.DataFrame(records, columns=[column.name for column in columns])
