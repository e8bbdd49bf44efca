import dataclasses

import numpy as np
import pandas as pd
import pytest

from uraniborg.errors import UserError
from uraniborg.figures.contaminants import contaminants
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.surveys.contaminant_examples import examples
from uraniborg.surveys.population import Resources, galaxy_population, objects_of
from uraniborg.surveys.registry import load_surveys
from uraniborg.surveys.simulation import SpectroscopicSky, simulate
from uraniborg.tables import Spectra, read_table


@pytest.fixture(scope="module")
def survey(root):
    sdss = load_surveys(root / "config/surveys")["sdss_simulated"]
    plain = {"z_max": 0.3, "hyperparameters": "published", "contaminants": {}}
    universe = {**sdss.universe, **plain}
    return dataclasses.replace(
        sdss, name="toy", shards=2, objects=600, seed=3, universe=universe, selection={}
    )


def resources(root):
    folder = root / "resources"
    return Resources(
        folder / "ssp_grid.safetensors",
        folder / "galaxy_population.json",
        folder / "star_basis.safetensors",
        folder / "quasar_lines.parquet",
    )


def run(root, folder, survey, shard=0):
    paths = [folder / f"{survey.name}{shard}.{kind}" for kind in ("arrow", "truth", "parquet")]
    instrument = spectrograph(survey.instrument, errors=survey.errors)
    simulate(survey, shard, resources(root), instrument, *paths)
    return Spectra(paths[0]), Spectra(paths[1]), read_table(paths[2])


@pytest.fixture(scope="module")
def whole(root, survey, tmp_path_factory):
    return run(root, tmp_path_factory.mktemp("whole"), dataclasses.replace(survey, shards=1))


def test_objects_do_not_depend_on_the_shards(root, tmp_path, survey):
    universe = {
        **survey.universe,
        "stars": 0.05,
        "quasars": 0.05,
        "contaminants": {"star_blend": 0.02, "irregular_lines": 0.03, "spike": 0.05},
    }
    survey = dataclasses.replace(survey, universe=universe)
    whole = run(root, tmp_path, dataclasses.replace(survey, shards=1, name="whole"))
    parts = [run(root, tmp_path, survey, shard) for shard in range(2)]
    for index, name in ((0, "flux"), (0, "ivar"), (1, "flux"), (1, "anomaly_flux")):
        rows = [part[index].vectors(name, range(len(part[index]))) for part in parts]
        np.testing.assert_array_equal(
            np.concatenate(rows), whole[index].vectors(name, range(len(whole[index])))
        )
    for index in (0, 1):
        scalars = pd.concat([part[index].scalars for part in parts], ignore_index=True)
        expected = whole[index].scalars
        pd.testing.assert_frame_equal(
            scalars.drop(columns="object_id"), expected.drop(columns="object_id")
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


def test_a_survey_without_contaminants_says_so(whole):
    truth = whole[1].scalars
    assert set(truth["kind"]) == {"galaxy"}
    assert set(truth["anomaly"]) == {"none"}
    assert (truth["anomaly_significance"] == 0).all()
    assert truth[["anomaly_strength", "anomaly_low", "anomaly_high"]].isna().all(axis=None)
    assert (
        not truth.drop(columns=["anomaly_strength", "anomaly_low", "anomaly_high"])
        .isna()
        .any(axis=None)
    )


def test_what_the_selection_leaves_out_is_listed(root, tmp_path, survey, whole):
    survey = dataclasses.replace(survey, shards=1, selection={"snr_min": 10.0})
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


def test_stars_and_quasars_are_what_they_are_called(root, tmp_path, survey):
    universe = {**survey.universe, "stars": 0.3, "quasars": 0.2}
    survey = dataclasses.replace(survey, shards=1, universe=universe, objects=512)
    spectra, truth, _ = run(root, tmp_path, survey)
    true, seen = truth.scalars, spectra.scalars
    names = {"GALAXY": "galaxy", "STAR": "star", "QSO": "quasar"}
    assert list(seen["spectype"].map(names)) == list(true["kind"])
    for kind, fraction in (("star", 0.3), ("quasar", 0.2)):
        sigma = np.sqrt(512 * fraction * (1 - fraction))
        assert abs((true["kind"] == kind).sum() - 512 * fraction) < 4 * sigma
    star, quasar = true["kind"] == "star", true["kind"] == "quasar"
    assert true["z"][star].abs().max() < 0.005
    assert true["z"][quasar].between(0.3, 4).all()
    assert (seen["z"] - true["z"]).abs().max() < 0.005
    assert true["star_r_magnitude"][star].max() <= 17.75
    assert true.loc[star, "star_temperature"].notna().all()
    assert true.loc[~star, "star_temperature"].isna().all()
    assert true.loc[quasar, "quasar_log_luminosity"].notna().all()
    assert (
        true.loc[star | quasar, ["stellar_mass", "quiescent", "log_sfr", "fraction_1"]]
        .isna()
        .all(axis=None)
    )
    assert true.loc[~star & ~quasar, ["stellar_mass", "log_sfr"]].notna().all(axis=None)
    # Hot stars are blue, cool ones red.
    flux = truth.vectors("flux", np.flatnonzero(star))
    wavelength = truth.grid.wavelength
    colour = flux[:, wavelength < 4500].mean(1) / flux[:, wavelength > 8500].mean(1)
    temperature = true["star_temperature"][star].to_numpy()
    assert np.corrcoef(np.log(temperature), np.log(colour))[0, 1] > 0.9


def test_there_is_an_example_of_every_kind(root, tmp_path, survey, whole):
    rates = {"arm_jump": 0.1, "star_blend": 0.1, "wrong_redshift": 0.1}
    universe = {**survey.universe, "contaminants": rates}
    survey = dataclasses.replace(survey, shards=1, universe=universe, objects=256)
    spectra, truth, _ = run(root, tmp_path, survey)
    table = examples(spectra, truth)
    assert list(table["anomaly"].unique()) == ["star_blend", "wrong_redshift", "arm_jump"]
    assert len(table) == 3 * truth.grid.size
    changed = (table["noiseless"] != table["without"]).groupby(table["anomaly"]).mean()
    assert changed["star_blend"] > 0.99
    assert changed["wrong_redshift"] == 0
    assert 0.3 < changed["arm_jump"] < 0.7
    figure = contaminants(table)
    assert [axes.texts[0].get_text() for axes in figure.axes if axes.get_visible()] == [
        "star + galaxy", "jump between arms", "wrong redshift"
    ]  # fmt: skip
    with pytest.raises(UserError, match="holds no contaminants"):
        examples(*whole[:2])


@pytest.mark.parametrize("name", ["boss_simulated", "desi_simulated"])
def test_other_spectrographs_take_their_surveys(root, tmp_path, name):
    survey = load_surveys(root / "config/surveys")[name]
    universe = {**survey.universe, "stars": 0.05, "contaminants": {"spike": 0.1, "quasar": 0.05}}
    survey = dataclasses.replace(survey, objects=256, shards=1, universe=universe)
    spectra, truth, _ = run(root, tmp_path, survey)
    rows = np.arange(len(spectra))
    flux, ivar = spectra.vectors("flux", rows), spectra.vectors("ivar", rows)
    good = ivar > 0
    chi2 = (ivar * (flux - truth.vectors("flux", rows)) ** 2).sum() / good.sum()
    assert chi2 == pytest.approx(1, abs=0.03)
    assert good.mean() > 0.9
    assert len(spectra) > 200
    assert 1 < np.median(spectra.column("snr")) < 20


def test_stars_and_quasars_fit_into_the_survey(root, survey):
    universe = {**survey.universe, "stars": 0.7, "quasars": 0.7}
    with pytest.raises(UserError, match="more than all objects"):
        SpectroscopicSky(
            dataclasses.replace(survey, universe=universe), spectrograph("sdss"), resources(root)
        )


def test_learned_histories_need_their_basis(root, survey):
    survey = dataclasses.replace(survey, universe={**survey.universe, "basis": "nmf"})
    files = Resources(root / "resources/ssp_grid.safetensors")
    with_basis = files._replace(history_basis=root / "resources/history_basis.parquet")
    assert galaxy_population(survey, with_basis).history.columns
    with pytest.raises(UserError, match="need the file of their basis"):
        _ = galaxy_population(survey, files).history


def test_photometry_has_no_contaminants(root, survey):
    universe = {**survey.universe, "contaminants": {"star": 0.1}}
    survey = dataclasses.replace(survey, kind="photometry", universe=universe)
    with pytest.raises(UserError, match="contaminants: are those of spectra"):
        galaxy_population(survey, Resources(root / "resources/ssp_grid.safetensors"))


@pytest.mark.parametrize(("objects", "shards"), [(600, 1), (600, 2), (6000, 4), (10, 3), (257, 5)])
def test_shards_cover_every_object_once(survey, objects, shards):
    survey = dataclasses.replace(survey, objects=objects, shards=shards)
    parts = [objects_of(survey, shard) for shard in range(shards)]
    numbers = [i for start, stop in parts for i in range(start, stop)]
    assert numbers == list(range(objects))
