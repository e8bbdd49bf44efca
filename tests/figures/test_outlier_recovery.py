"""Figures of recovered contaminants, also of few objects, and of none."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.outlier_recovery import outlier_ranks, outlier_recovery, outlier_scores
from uraniborg.figures.style import save, style
from uraniborg.spectra.outliers.recovery import (
    OUTLIER_SCORE,
    SCORES,
    recovery_curve,
    recovery_table,
)
from uraniborg.universe.contaminants import KINDS


def objects_of(size, kinds, contaminants):
    random = np.random.default_rng(0)
    table = pd.DataFrame({"object_id": [f"{i:04d}" for i in range(size)]})
    outlier = np.arange(size) < contaminants
    names = random.choice(kinds, size) if kinds else "none"
    table["anomaly"] = np.where(outlier, names, "none")
    table["snr"] = random.uniform(2, 40, size)
    for name in SCORES:
        table[name] = random.exponential(size=size) * np.where(outlier, 50, 1)
    table["negative_log_prob"] -= 5
    table.loc[0, [OUTLIER_SCORE, "negative_log_prob"]] = np.nan
    return table


@pytest.mark.parametrize(
    ("size", "kinds", "contaminants"),
    [(300, ["spike", "quasar", "star_blend"], 60), (30, ["star"], 1), (5, [], 0)],
)
def test_contaminants_of_any_number_are_drawn(size, kinds, contaminants, tmp_path):
    objects = objects_of(size, kinds, contaminants)
    with style():
        figures = {
            "scores": outlier_scores(objects),
            "ranks": outlier_ranks(recovery_curve(objects)),
            "recovery": outlier_recovery(recovery_table(objects, draws=5)),
        }
        for name, figure in figures.items():
            save(figure, tmp_path / f"{name}.pdf")
            assert (tmp_path / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
    labels = figures["scores"].legends[0].get_texts()
    assert labels[0].get_text() == f"ordinary galaxies ({size - contaminants})"
    ticks = [tick.get_text() for tick in figures["recovery"].axes[0].get_yticklabels()]
    assert (f"all contaminants ({contaminants})" in ticks) == (contaminants > 0)


def test_every_kind_has_a_name_in_plain_words():
    objects = objects_of(600, [kind.name for kind in KINDS], 300)
    with style():
        figure = outlier_recovery(recovery_table(objects, draws=5))
    ticks = " ".join(tick.get_text() for tick in figure.axes[0].get_yticklabels())
    assert "_" not in ticks
    assert ticks.count("(") == 3 + len(KINDS)
