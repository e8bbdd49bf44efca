import dataclasses

import numpy as np
import pytest

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.simulation import objects_of, simulate
from uraniborg.tables import Spectra, read_table

SURVEY = Survey(
    name="toy",
    description="",
    kind="spectra",
    instrument="sdss",
    source="simulate",
    shards=2,
    objects=600,
    seed=3,
    universe={"z_max": 0.3},
)


def run(root, folder, survey, shard=0):
    paths = [folder / f"{survey.name}{shard}.{kind}" for kind in ("arrow", "truth", "parquet")]
    instrument = spectrograph("sdss", root / "resources/sdss_noise.parquet", survey.errors)
    simulate(survey, shard, root / "resources/ssp_grid.safetensors", instrument, *paths)
    return Spectra(paths[0]), Spectra(paths[1]), read_table(paths[2])


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    survey = dataclasses.replace(SURVEY, shards=1)
    return run(root, tmp_path_factory.mktemp("whole"), survey)


def test_objects_do_not_depend_on_the_shards(root, tmp_path, whole):
    spectra, truth, _ = whole
    parts = [run(root, tmp_path, SURVEY, shard) for shard in range(2)]
    ids = np.concatenate([part[0].column("object_id") for part in parts])
    assert list(ids) == list(spectra.column("object_id"))
    for whole_, index in ((spectra, 0), (truth, 1)):
        rows = [part[index].vectors("flux", range(len(part[index]))) for part in parts]
        np.testing.assert_array_equal(
            np.concatenate(rows), whole_.vectors("flux", range(len(whole_)))
        )


def test_noise_is_what_ivar_says(whole):
    spectra, truth, _ = whole
    rows = np.arange(len(spectra))
    flux, ivar = spectra.vectors("flux", rows), spectra.vectors("ivar", rows)
    chi2 = ivar * (flux - truth.vectors("flux", rows)) ** 2
    good = ivar > 0
    assert (chi2.sum() / good.sum()) == pytest.approx(1, abs=0.02)
    assert 0.93 < good.mean() < 1


def test_signal_to_noise_is_that_of_the_survey(whole):
    snr = whole[0].column("snr")
    # SDSS main-sample galaxies: about 5 to 30 per pixel.
    assert 8 < np.median(snr) < 20


def test_truth_rows_are_those_of_the_spectra(whole):
    spectra, truth, _ = whole
    assert list(spectra.column("object_id")) == list(truth.column("object_id"))
    assert np.abs(spectra.column("z") - truth.column("z")).max() < 1e-4
    fractions = truth.scalars.filter(regex=r"^fraction_\d$")
    np.testing.assert_allclose(fractions.sum(axis=1), 1)


def test_what_the_selection_leaves_out_is_listed(root, tmp_path, whole):
    survey = dataclasses.replace(SURVEY, shards=1, selection={"snr_min": 10.0})
    spectra, truth, left_out = run(root, tmp_path, survey)
    assert len(spectra) + len(left_out) == 600
    assert spectra.column("snr").min() >= 10
    assert set(left_out["reason"]) == {"selection: snr below 10"}
    # The others are the same objects with the same truth.
    everything, all_truth, _ = whole
    rows = np.flatnonzero(np.isin(everything.column("object_id"), spectra.column("object_id")))
    np.testing.assert_array_equal(
        truth.vectors("flux", range(len(truth))), all_truth.vectors("flux", rows)
    )


@pytest.mark.parametrize(("objects", "shards"), [(600, 1), (600, 2), (6000, 4), (10, 3), (257, 5)])
def test_shards_cover_every_object_once(objects, shards):
    survey = dataclasses.replace(SURVEY, objects=objects, shards=shards)
    parts = [objects_of(survey, shard) for shard in range(shards)]
    numbers = [i for start, stop in parts for i in range(start, stop)]
    assert numbers == list(range(objects))
