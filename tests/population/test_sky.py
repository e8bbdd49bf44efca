"""Simulated catalogues against real ones."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.population.samples import OBJECT_COLUMNS, SUMMARY_COLUMNS
from uraniborg.population.sky import compare_sky
from uraniborg.surveys.registry import Survey
from uraniborg.tables import write_table


class ToySky:
    """Galaxies along a sequence of colour that reddens with redshift and dust."""

    survey = Survey(
        name="toy", description="", kind="photometry", instrument="sdss", source="simulate",
        objects=600,
    )  # fmt: skip

    def __init__(self, seed, values=None):
        self.seed, self.values = seed, values or {}

    def with_values(self, values):
        return ToySky(self.seed, values)

    def observe(self, start, stop):
        random, count = np.random.default_rng(self.seed), stop - start
        z = 0.3 * random.random(count) ** 0.5
        dust = self.values.get("attenuation_scale", 1.0)
        reddening = 0.2 * random.random(count) + 0.2 * dust + 3 * z
        magnitudes = 17 + np.outer(reddening, [2.0, 1.0, 0.0, -0.4, -0.7])
        flux = 10 ** (0.4 * (22.5 - magnitudes - 0.02 * random.normal(size=(count, 5))))
        columns = {f"sdss_{band}_flux": flux[:, i] for i, band in enumerate("ugriz")}
        columns |= {f"sdss_{band}_ivar": 1.0 for band in "ugriz"}
        object_id = [f"{self.seed}-{i}" for i in range(count)]
        return pd.DataFrame({"object_id": object_id, "z": z, **columns}), None


@pytest.fixture(scope="module")
def result():
    return compare_sky(ToySky(1), ToySky(2).observe(0, 1500)[0], "toy")


def test_the_true_simulation_passes_and_the_controls_fail(result):
    summary = result.summary
    assert 0.5 < summary["distance"] < 2
    assert abs(summary["auc"] - 0.5) < 0.1
    assert min(summary["no_dust_control"], summary["shuffled_control"]) > 3
    assert summary["no_dust_auc_control"] > 0.8
    assert 0 < summary["n"] <= 600


def test_only_the_judging_half_is_drawn(result):
    counts = result.objects["sample"].value_counts()
    assert counts["simulated"] == counts["no dust"] == 600
    assert 650 < counts["real"] < 850


def test_the_tables_have_their_columns(result, tmp_path):
    write_table(tmp_path / "objects.parquet", result.objects, OBJECT_COLUMNS)
    write_table(tmp_path / "table.parquet", result.table, SUMMARY_COLUMNS)
