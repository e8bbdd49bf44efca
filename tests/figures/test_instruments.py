"""Figures of the instruments."""

import numpy as np
import pandas as pd

from uraniborg.figures.instruments import spectrographs
from uraniborg.figures.style import save, style
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.spectrograph_curves import CURVE_COLUMNS, spectrograph_curves


def test_curves_are_drawn_by_instrument(tmp_path):
    names = ("sdss", "boss", "desi")
    table = pd.concat([spectrograph_curves(spectrograph(name)) for name in names])
    assert list(table.columns) == [column.name for column in CURVE_COLUMNS]
    assert np.isfinite(table[["sigma", "resolution"]].to_numpy()).all()
    medians = table.groupby("instrument")["resolution"].median()
    assert medians["desi"] > 1.5 * medians["boss"]
    with style():
        figure = spectrographs(table)
        save(figure, tmp_path / "spectrographs.pdf")
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    assert (tmp_path / "spectrographs.pdf").stat().st_size > 5000
