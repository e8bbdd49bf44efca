import pandas as pd

from uraniborg.figures.peer import peer_training
from uraniborg.figures.style import save, style
from uraniborg.spectra.peer_training import TRAINING_COLUMNS


def table():
    rows = [
        (side, seed, epoch, epoch * seconds, 0.5 + 3 / epoch)
        for side, seconds in {"spender": 90.0, "flux": 3.0}.items()
        for seed in (1, 2, 3)
        for epoch in range(1, 11)
    ]
    rows += [("pca", 0, 0, 5.0, 0.52), ("truth", 0, 0, 0.0, 0.49)]
    return pd.DataFrame(rows, columns=[column.name for column in TRAINING_COLUMNS])


def test_a_line_per_seed_and_baseline_and_the_ratio_of_times(tmp_path):
    with style():
        figure = peer_training(table())
        save(figure, tmp_path / "a.pdf")
        save(peer_training(table()), tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(line.get_ydata())]
    assert sum(len(line.get_xdata()) == 10 for line in lines) == 6
    levels = [line.get_ydata()[0] for line in lines if len(line.get_xdata()) == 2]
    assert {0.52, 0.49} < set(levels)
    # Thirty times per epoch; the peer has arrived when it is within 1% of its lowest loss.
    assert [text.get_text() for text in axes.texts] == ["× 29"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == len(set(labels)) == 4
