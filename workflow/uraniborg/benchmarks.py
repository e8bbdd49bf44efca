"""What is timed: our rate beside a peer's, in the same run on the same arrays."""

import math
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa

from uraniborg.tables import Column

__all__ = ["BENCHMARK_COLUMNS", "compare", "for_people", "measured"]

BENCHMARK_COLUMNS = (
    Column("name", pa.string(), "", "What was timed"),
    Column("value", pa.float64(), "", "Our rate or other value, best of repetitions"),
    Column("unit", pa.string(), "", "Unit of the values"),
    Column("peer", pa.string(), "", "Code that did the same on the same arrays"),
    Column("peer_version", pa.string(), "", "Its version, empty where it is not installed"),
    Column("peer_value", pa.float64(), "", "Its value, NaN where it is not installed"),
    Column("ratio", pa.float64(), "", "Our value over the peer's"),
    Column("threads", pa.int64(), "", "Threads that both could use"),
    Column("n", pa.int64(), "", "Objects in each repetition"),
)


def compare(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object] | None,
    *,
    objects: int,
    unit: str,
    threads: int,
    peer_name: str = "",
    peer_version: str = "",
    repetitions: int = 5,
) -> dict[str, Any]:
    """Times our code and a peer's in turn, so that both see the same state of the machine.

    The best of the repetitions counts for both: what disturbs a measurement only makes it slower.

    Args:
        name: What is timed.
        ours: Our code on all objects.
        peer: The peer's on the same; None where it is not installed, or nobody does the same.
        objects: How many objects each call processes.
        unit: Unit of the rate, such as `spectra / s`.
        threads: Threads that both may use.
        peer_name: The peer, empty if there is none.
        peer_version: Its version, empty where it is not installed.
        repetitions: Calls of each, after one that warms up.

    Returns:
        A row with the columns of `BENCHMARK_COLUMNS`.
    """

    codes = [code for code in (ours, peer) if code is not None]
    seconds: list[list[float]] = [[] for _ in codes]
    for repetition in range(repetitions + 1):
        for code, record in zip(codes, seconds, strict=True):
            start = time.perf_counter()
            code()
            if repetition:
                record.append(time.perf_counter() - start)
    rates = [objects / min(record) for record in seconds]
    peer_rate = rates[1] if peer is not None else math.nan
    return measured(
        name,
        rates[0],
        peer_rate,
        objects=objects,
        unit=unit,
        threads=threads,
        peer_name=peer_name,
        peer_version=peer_version,
    )


def measured(
    name: str,
    value: float,
    peer_value: float,
    *,
    objects: int,
    unit: str,
    threads: int,
    peer_name: str = "",
    peer_version: str = "",
) -> dict[str, Any]:
    """A row with the columns of `BENCHMARK_COLUMNS`, of what is no rate, such as memory.

    Args:
        name: What was measured.
        value: Our value.
        peer_value: The peer's, NaN without one.
        objects: How many objects it was measured with.
        unit: Unit of the values.
        threads: Threads that both used.
        peer_name: The peer, empty if there is none.
        peer_version: Its version, empty where it is not installed.
    """

    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer_name,
        "peer_version": peer_version,
        "peer_value": peer_value,
        "ratio": value / peer_value,
        "threads": threads,
        "n": objects,
    }


def for_people(table: pd.DataFrame) -> pd.DataFrame:
    """The benchmarks as text."""

    rows = []
    for row in table.itertuples():
        installed = math.isfinite(row.peer_value)
        peer = f"{row.peer} {row.peer_version or '(not installed)'}" if row.peer else "-"
        rows.append(
            {
                "what": row.name,
                "ours": f"{row.value:,.0f} {row.unit}",
                "peer": peer,
                "peer's": f"{row.peer_value:,.0f} {row.unit}" if installed else "-",
                "ratio": f"{row.ratio:.3g}" if installed else "-",
                "threads": str(row.threads),
                "n": str(row.n),
            }
        )
    return pd.DataFrame(rows, dtype=object)
