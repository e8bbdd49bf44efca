"""Figures of redshift invariance: they draw what they are given, also if something is missing."""

import numpy as np
import pandas as pd

from uraniborg.figures.invariance import redshift_invariance, redshift_track
from uraniborg.figures.style import save, style

CASES = (
    ("flux_fidelity", "trained", False),
    ("flux", "trained", False),
    ("flux", "reobserved", False),
    ("default", "trained", True),
    ("default", "estimated", True),
    ("flux", "untrained", False),
    ("flux", "shuffled", False),
)


def drawn(figure, path):
    with style():
        save(figure, path)
    return path.read_bytes()


def displaced():
    z = np.linspace(0, 0.5, 5)
    parts = [
        pd.DataFrame({"z": z, "median": 1.0 + i, "low": 0.5, "high": 9.0, "n": 20}).assign(
            variant=variant, case=case, knows_z=knows_z
        )
        for i, (variant, case, knows_z) in enumerate(CASES)
    ]
    return pd.concat(parts, ignore_index=True)


def wrong():
    errors = {"error": np.logspace(-4, -1, 7), "median": 0.3, "low": 0.1, "high": 0.9, "n": 20}
    return pd.DataFrame(errors).assign(variant="default")


def positions():
    random = np.random.default_rng(0)
    parts = []
    for variant in ("flux_fidelity", "flux"):
        for sample, number in (("observed", 30), ("moved", 30), ("track", 10)):
            part = pd.DataFrame(random.normal(size=(number, 2)), columns=["axis_0", "axis_1"])
            part["z"] = np.linspace(0, 0.5, number)
            part["object_id"] = np.arange(number) % 2 if sample == "track" else np.arange(number)
            parts.append(part.assign(variant=variant, sample=sample))
    return pd.concat(parts, ignore_index=True)


def probes(r2):
    rows = [
        (variant, sample, regression, r2 - (regression == "neighbours"))
        for variant in ("flux_fidelity", "flux")
        for sample in ("observed", "moved")
        for regression in ("linear", "neighbours")
    ]
    return pd.DataFrame(rows, columns=["variant", "sample", "regression", "r2"])


def test_every_curve_and_the_neighbours_are_drawn(tmp_path):
    figure = redshift_invariance(displaced(), wrong())
    free, knowing, right = figure.axes
    # Besides, the neighbours.
    assert len(free.lines) == 5 + 1
    assert len(knowing.lines) == 2 + 1
    assert len(right.lines) == 2
    assert knowing.get_ylim() == right.get_ylim()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "flux fidelity",
        "flux",
        "flux, untrained",
        "another object",
        "default",
        "default, $z$ estimated",
        "noise stays at the detector",
    ]
    first = drawn(figure, tmp_path / "a.pdf")
    assert first == drawn(redshift_invariance(displaced(), wrong()), tmp_path / "b.pdf")


def test_without_an_encoder_that_knows_redshifts(tmp_path):
    table = displaced().query("not knows_z")
    figure = redshift_invariance(table, wrong().iloc[:0])
    assert [axes.get_title() for axes in figure.axes] == ["encoders without $z$"]
    assert drawn(figure, tmp_path / "a.pdf")


def test_without_an_encoder_that_does_not(tmp_path):
    figure = redshift_invariance(displaced().query("knows_z"), wrong())
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["encoders that know $z$", "given a wrong $z$"]
    assert drawn(figure, tmp_path / "a.pdf")


def test_an_encoder_that_does_not_move_at_all(tmp_path):
    still = displaced().assign(median=0.0, low=0.0, high=0.0)
    assert drawn(redshift_invariance(still, wrong()), tmp_path / "a.pdf")


def test_tracks_lie_over_both_clouds(tmp_path):
    figure = redshift_track(positions(), probes(0.25))
    panels = figure.axes[:4]
    for axes in panels:
        assert len(axes.collections[0].get_offsets()) == 30
        # The better of two regressions.
        assert "0.25" in axes.texts[0].get_text()
    # Clouds, and two tracks in the upper row.
    assert [len(axes.collections) for axes in panels] == [3, 3, 1, 1]
    assert drawn(figure, tmp_path / "a.pdf")


def test_tracks_are_inside_the_panels(tmp_path):
    table = positions()
    track = table["sample"] == "track"
    table.loc[track, "axis_0"] += 40
    figure = redshift_track(table, probes(0.0))
    for axes, name in zip(figure.axes[:2], ("flux_fidelity", "flux"), strict=True):
        low, high = axes.get_xlim()
        here = table.loc[track & (table["variant"] == name), "axis_0"]
        assert low < here.min() < here.max() < high
