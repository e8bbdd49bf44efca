import numpy as np
import pandas as pd

from uraniborg.figures.accuracy import accuracy
from uraniborg.figures.style import save, style

CHECKS = (
    ("gradient", ["z", "A_V"], ["sdss_u", "sdss_g"]),
    ("resampling", ["sdss", "desi"], ["lines", "stars"]),
    ("flat source", ["sdss_u", "sdss_g", "galex_NUV"], [""]),
)


def table():
    random = np.random.default_rng(1)
    rows = [
        (check, subject, case, 0, 0.1, 1.0, 1.0 + 1e-8 * random.normal(), 1.1)
        for check, subjects, cases in CHECKS
        for subject in subjects
        for case in cases
    ]
    names = ["check", "subject", "case", "galaxy", "z", "expected", "value", "control"]
    return pd.DataFrame(rows, columns=names)


def test_three_panels_whose_controls_lie_above_the_limits(tmp_path):
    with style():
        figure = accuracy(table())
        save(figure, tmp_path / "a.pdf")
        save(accuracy(table()), tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert len(figure.axes) == 3
    for axes in figure.axes:
        drawn = [line.get_ydata() for line in axes.lines if len(line.get_ydata())]
        assert min(np.min(y) for y in drawn) < 1e-6 < 1e-2 < max(np.max(y) for y in drawn)
    labels = [tick.get_text() for tick in figure.axes[2].get_xticklabels()]
    assert labels == ["sdss", "galex"]
