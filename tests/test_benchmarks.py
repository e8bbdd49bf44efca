import math
import time

import pytest

from uraniborg.benchmarks import BENCHMARK_COLUMNS, compare, for_people, measured
from uraniborg.records import gather, write_records

COMMON = {
    "objects": 100,
    "unit": "objects / s",
    "peer_name": "peer",
    "peer_version": "1.0",
    "threads": 1,
}


def test_ratio_is_ours_over_the_peers():
    ours, peer = (lambda: time.sleep(0.002)), (lambda: time.sleep(0.02))
    row = compare("sleep", ours, peer, repetitions=3, **COMMON)
    assert set(row) == {column.name for column in BENCHMARK_COLUMNS}
    assert 3 < row["ratio"] < 15
    assert row["ratio"] == pytest.approx(row["value"] / row["peer_value"])


def test_a_peer_that_is_not_installed_has_no_value(tmp_path):
    row = compare("sleep", lambda: None, None, repetitions=1, **{**COMMON, "peer_version": ""})
    assert math.isnan(row["peer_value"])
    write_records(tmp_path / "a.json", [row])
    text = for_people(gather([tmp_path / "a.json"], BENCHMARK_COLUMNS))
    assert text["peer"].item() == "peer (not installed)"
    assert text["ratio"].item() == "-"


def test_what_is_no_rate_has_a_row_like_one():
    row = measured("memory", 500.0, 400.0, **{**COMMON, "unit": "MB"})
    assert set(row) == {column.name for column in BENCHMARK_COLUMNS}
    assert row["ratio"] == pytest.approx(1.25)
