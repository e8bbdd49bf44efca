import math

import numpy as np
import pandas as pd
import pytest

from uraniborg.spectra.peer_training import OURS, PEER, TRAINING_COLUMNS, compare_trainings


def run(side, seed, times, losses):
    epochs = range(1, len(times) + 1)
    rows = [(side, seed, *row) for row in zip(epochs, times, losses, strict=True)]
    return pd.DataFrame(rows, columns=[column.name for column in TRAINING_COLUMNS])


def trainings(*ours):
    peers = [
        run(PEER, seed, [100.0, 200.0, 300.0, 400.0], [4.0, 2.0, 1.0, low])
        for seed, low in enumerate((0.9, 1.1), start=1)
    ]
    return pd.concat([*peers, *ours])


def test_times_to_the_mean_of_the_peers_lowest_losses():
    ours = [
        run(OURS, 1, [10.0, 20.0], [3.0, 0.5]),
        run(OURS, 2, [10.0, 20.0], [2.0, 0.5]),
    ]
    recorded = compare_trainings(trainings(*ours))
    # The second peer was lowest at its third evaluation.
    assert recorded.level == pytest.approx((0.9 + 1.0) / 2)
    expected = [10 + 10 * (start - recorded.level) / (start - 0.5) for start in (3.0, 2.0)]
    assert recorded.time == pytest.approx(np.mean(expected))
    assert 290 < recorded.peer_time < 400


def test_a_run_that_never_gets_there_takes_for_ever():
    ours = [run(OURS, 1, [10.0, 20.0], [3.0, 0.5]), run(OURS, 2, [10.0, 20.0], [3.0, 2.0])]
    assert compare_trainings(trainings(*ours)).time == math.inf


def test_settling_is_what_the_last_quarter_gained():
    ours = run(OURS, 1, [10.0], [0.5])
    expected = np.mean([(1.0 - 0.9) / 1.0, (1.0 - 1.1) / 1.0])
    assert compare_trainings(trainings(ours)).settling == pytest.approx(expected)


def test_the_order_of_rows_does_not_matter():
    table = trainings(run(OURS, 1, [10.0, 20.0], [3.0, 0.5]))
    assert compare_trainings(table) == compare_trainings(table[::-1])
