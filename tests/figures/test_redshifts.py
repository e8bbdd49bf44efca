"""Figures of redshifts, also of few and odd objects."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.redshifts import redshifts, wrong_redshift
from uraniborg.figures.style import save, style


def found(number: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    searches = np.repeat(["everywhere", "degraded"], number)
    z = random.uniform(0, 0.3, 2 * number)
    return pd.DataFrame(
        {
            "search": searches,
            "kind": "galaxy",
            "anomaly": np.where(np.arange(2 * number) % 9, "none", "star"),
            "halpha_width": random.uniform(0, 60, 2 * number),
            "snr": np.where(searches == "degraded", 1.0, random.uniform(5, 30, 2 * number)),
            "z_true": z,
            "z": z + random.normal(0, 1e-4, 2 * number),
            "zwarning": 0,
        }
    )


@pytest.mark.parametrize("number", [3, 120])
def test_redshifts_of_few_and_many_objects_are_drawn(number, tmp_path):
    curve = pd.DataFrame({"snr": 2.0, "z_true": 0.1, "z": np.linspace(0, 0.5, 50)})
    curve["delta_chi2"] = 1e4 * (curve["z"] - 0.1) ** 2
    curves = pd.concat([curve, curve.assign(snr=0.5)])
    with style():
        figure = redshifts(found(number), curves)
        save(figure, tmp_path / "figure.pdf")
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert {"estimated $z$", "fraction, no start"} <= labels
    assert (tmp_path / "figure.pdf").read_bytes()[:5] == b"%PDF-"


def test_wrong_redshifts_are_drawn_without_the_truth_too(tmp_path):
    offsets = np.concatenate([[0.0], np.logspace(-4, -1, 7)])
    table = pd.DataFrame({"offset": np.tile(offsets, 5), "halpha_width": np.nan})
    table["reduced_chi2"] = 1 + 10 * table["offset"]
    table["displacement"] = 1e-3 + 100 * table["offset"]
    with style():
        figure = wrong_redshift(table)
        save(figure, tmp_path / "figure.pdf")
    assert [line.get_label() for line in figure.axes[0].lines].count("all") == 1
