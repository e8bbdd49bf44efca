"""True windows of anomalies: known sizes and places, and files that do not belong together."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.attribution.names import EXTENDED_KINDS, LOCAL_KINDS, WHOLE_KINDS
from uraniborg.spectra.attribution.truth import Anomalies, true_window
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter
from uraniborg.universe.contaminants import KINDS

GRID = WavelengthGrid("log10", 3.6, 1e-3, 200)


def test_window_is_the_line_and_not_its_far_wings():
    pixel = np.arange(200)
    line = 50 * np.exp(-0.5 * ((pixel - 80) / 3) ** 2)[None]
    (found,) = np.nonzero(true_window(line, np.ones((1, 200)))[0])
    # 90% of a squared Gaussian of standard deviation 3 is within 1.645 x 3 / sqrt(2) = 3.5 pixels.
    assert found.tolist() == list(range(77, 84))


def test_noisy_pixels_count_less_and_masked_ones_not_at_all():
    added, ivar = np.ones((1, 200)), np.full((1, 200), 1e-3)
    ivar[0, 20:30], ivar[0, 50:60] = 10.0, 0.0
    window = true_window(added, ivar, share=0.99)[0]
    assert window[20:30].all()
    assert not window[50:60].any()
    assert window.sum() == 10


@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_window_is_the_smallest_that_holds_the_share(seed, share):
    random = np.random.default_rng(seed)
    added = random.normal(size=(2, 50)) ** 3
    ivar = random.exponential(size=(2, 50)) * (random.uniform(size=(2, 50)) > 0.2)
    weight = added**2 * ivar
    for row, window in zip(weight, true_window(added, ivar, share), strict=True):
        assert row[window].sum() >= share * row.sum() * (1 - 1e-9)
        assert row[window].sum() - row[window].min() < share * row.sum()
        assert row[window].min() >= row[~window].max()


def test_nothing_added_is_no_window():
    assert not true_window(np.zeros((2, 9)), np.ones((2, 9))).any()


def test_every_kind_is_in_one_group():
    names = [*LOCAL_KINDS, *EXTENDED_KINDS, *WHOLE_KINDS]
    assert sorted(names) == sorted(kind.name for kind in KINDS)


def write_survey(folder, object_id):
    number = len(object_id)
    scalars = {column.name: np.zeros(number) for column in SPECTRUM_COLUMNS}
    scalars |= {"object_id": object_id, "spectype": ["GALAXY"] * number, "subclass": [""] * number}
    scalars |= {"zwarning": np.zeros(number, int), "snr": np.arange(number) + 5.0}
    flux, ivar = np.ones((number, GRID.size)), np.full((number, GRID.size), 4.0)
    ivar[:, :10], flux[:, 10] = 0, np.nan
    with SpectraWriter(folder / "spectra.arrow", GRID) as writer:
        writer.write(scalars, flux=flux, ivar=ivar)
    return Spectra(folder / "spectra.arrow")


def write_truth(folder, object_id):
    columns = (
        Column("object_id", pa.string(), "", "Identifier"),
        Column("anomaly", pa.string(), "", "Kind"),
    )
    added = np.zeros((len(object_id), GRID.size))
    added[1, 5:25] = 3.0
    kinds = ["none", "spike", "wrong_redshift"]
    with SpectraWriter(folder / "truth.arrow", GRID, columns, ["anomaly_flux"]) as writer:
        writer.write({"object_id": object_id, "anomaly": kinds}, anomaly_flux=added)
    return Spectra(folder / "truth.arrow")


def test_anomalies_of_a_survey(tmp_path):
    names = ["a", "b", "c"]
    spectra, truth = write_survey(tmp_path, names), write_truth(tmp_path, names)
    anomalies = Anomalies.of(spectra, truth, np.array([2, 1]))
    assert anomalies.object_id.tolist() == ["c", "b"]
    assert anomalies.kind.tolist() == ["wrong_redshift", "spike"]
    assert anomalies.snr.tolist() == [7.0, 6.0]
    # Pixels up to 10 are masked, those from 11 to 24 are anomalous: 90% of them is 13 at least.
    assert anomalies.good[0].nonzero()[0].tolist() == list(range(11, 200))
    assert set(anomalies.window[1].nonzero()[0]) <= set(range(11, 25))
    assert anomalies.window[1].sum() == 13
    assert np.isnan(anomalies.fraction[0])
    assert anomalies.fraction[1] == pytest.approx(13 / 189)


def test_truth_of_another_survey_is_refused(tmp_path):
    spectra = write_survey(tmp_path, ["a", "b", "c"])
    truth = write_truth(tmp_path, ["a", "c", "b"])
    with pytest.raises(UserError, match=r"truth\.arrow: is not the truth"):
        Anomalies.of(spectra, truth, np.array([0]))
