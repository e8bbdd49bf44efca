"""Adaptation learns from other galaxies what a model lacks, and nothing where it lacks nothing."""

import numpy as np
import pandas as pd
import pytest
import torch

from uraniborg.figures.real_galaxies import real_galaxies
from uraniborg.nets.decoders import LowRankDecoder
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.adaptation import (
    AdaptationSettings,
    Correction,
    Residuals,
    galaxies_of,
    leave_one_out,
    restframe_pixels,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.matched_simulations import matched
from uraniborg.spectra.real_galaxies import (
    ADAPTED_COLUMNS,
    STACK_COLUMNS,
    adapted_numbers,
    adapted_survey,
)
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter

SETTINGS = AdaptationSettings(rank=1, smoothness=30.0, line_smoothness=3.0)
HBETA = 4862.7
COUNT = 60


@pytest.fixture(scope="module")
def model(toy):
    """Principal components of the toy sky as an autoencoder, which needs no training."""

    basis = fit_basis([toy.batch], toy.transform, toy.rank)
    encoder = RestframeEncoder(toy.rank, toy.transform, *basis)
    return SpectrumAutoencoder(encoder, LowRankDecoder(toy.rank, *basis), toy.transform).eval()


def seen(toy, shape):
    """The first galaxies with a rest-frame shape (N, M) added that the model does not know."""

    batch = Batch(*(values[:COUNT] for values in toy.batch))
    flux = batch.flux + toy.transform(shape.float().expand(COUNT, -1), batch.z)
    return Batch(torch.where(batch.ivar > 0, flux, 0.0), batch.ivar, batch.z)


@pytest.fixture(scope="module")
def line(toy):
    wavelength = torch.from_numpy(toy.transform.restframe.wavelength)
    return torch.exp(-(((wavelength / HBETA - 1) / 0.004) ** 2))


def chi2(model, batch, observed=None):
    with torch.inference_mode():
        observed = model(*batch).observed if observed is None else observed
    return reduced_chi2(batch.flux, batch.ivar, observed, 4).numpy()


def test_what_all_others_have_is_learned(model, toy, line):
    strength = 0.6 + 0.4 * torch.randn(COUNT, 1, generator=torch.Generator().manual_seed(2))
    batch = seen(toy, strength * line)
    galaxies = np.arange(COUNT)
    known, before = chi2(model, seen(toy, 0 * line)), chi2(model, batch)
    after = chi2(model, batch, leave_one_out(model, batch, galaxies, SETTINGS))
    closed = (np.mean(before) - np.mean(after)) / (np.mean(before) - np.mean(known))
    assert closed > 0.8
    offsets = np.random.default_rng(3).integers(60, 340, COUNT)
    shuffled = leave_one_out(model, batch, galaxies, SETTINGS, offsets)
    assert np.mean(chi2(model, batch, shuffled)) > np.mean(before)


def test_nothing_is_learned_where_nothing_lacks(model, toy, line):
    batch = seen(toy, 0 * line)
    before = chi2(model, batch)
    after = chi2(model, batch, leave_one_out(model, batch, np.arange(COUNT), SETTINGS))
    assert np.mean(after) < 1.02 * np.mean(before)


def test_a_galaxy_learns_nothing_from_its_own_visits(model, toy, line):
    # Three visits to one galaxy, which alone has the line.
    own = torch.zeros(COUNT, 1)
    own[:3] = 1.0
    batch = seen(toy, own * line)
    galaxies = np.maximum(np.arange(COUNT) - 2, 0)
    settings = AdaptationSettings(rank=0, smoothness=30.0, line_smoothness=3.0)
    before = chi2(model, batch)
    after = chi2(model, batch, leave_one_out(model, batch, galaxies, settings))
    np.testing.assert_allclose(after[:3], before[:3], rtol=0.05)
    leaky = chi2(model, batch, leave_one_out(model, batch, np.arange(COUNT), settings))
    assert np.mean(leaky[:3]) < np.mean(after[:3])


def test_mean_and_spectra_are_recovered(toy, line):
    rng = np.random.default_rng(5)
    size = toy.transform.restframe.size
    ramp = 0.3 * np.sin(np.linspace(0, 9, size))
    coefficients = rng.standard_normal((200, 1))
    weight = np.where(rng.random((200, size)) < 0.8, 100.0, 0.0)
    flux = 0.4 * line.numpy() + coefficients * ramp + 0.1 * rng.standard_normal((200, size))
    residuals = Residuals(flux, weight)
    correction = Correction.fit(residuals, SETTINGS, toy.transform.restframe, np.ones(200))
    mean = 0.4 * line.numpy() + coefficients.mean() * ramp
    assert np.abs(correction.mean - mean).max() < 0.05
    assert abs(np.corrcoef(correction.spectra[0], ramp)[0, 1]) > 0.99
    found, covariance = correction.posterior(residuals)
    assert abs(np.corrcoef(found[:, 0], coefficients[:, 0])[0, 1]) > 0.99
    assert (covariance[:, 0, 0] < 0.01).all()


def test_restframe_pixels_are_the_nearest(model, toy):
    z = toy.batch.z[:5]
    pixels = restframe_pixels(model, z)
    restframe = toy.transform.restframe.wavelength[pixels] * (1 + z.double().numpy()[:, None])
    ratio = restframe / toy.transform.observed.wavelength
    assert np.abs(np.log10(ratio)).max() <= 0.5 * toy.transform.restframe.step * 1.0001


def test_spectra_of_one_place_are_one_galaxy():
    ra = [0.0001, 359.9999, 10.0, 10.0, 10.0]
    dec = [0.0, 0.0, 5.0, 5.0002, 5.01]
    assert galaxies_of(ra, dec).tolist() == [0, 0, 1, 1, 2]


def test_simulated_galaxies_of_the_same_class_and_ratio_are_matched():
    snr = np.tile(np.linspace(1, 100, 300), 2)
    quiescent = np.repeat([True, False], 300)
    levels = pd.DataFrame({"snr": snr, "quiescent": quiescent, "reduced_chi2": snr / 100})
    levels.loc[~levels["quiescent"], "reduced_chi2"] += 5
    found = matched(levels, [20, 80, 20], [True, True, False], neighbours=9)
    np.testing.assert_allclose(found, [0.2, 0.8, 5.2], atol=0.02)


@pytest.fixture(scope="module")
def survey(model, toy, line, tmp_path_factory):
    """A survey whose galaxies have a line that the model lacks, judged as a real one."""

    batch = seen(toy, 0.5 * line)
    scalars = {column.name: np.ones(COUNT) for column in SPECTRUM_COLUMNS}
    scalars |= {"spectype": np.full(COUNT, "GALAXY", object), "zwarning": np.zeros(COUNT, int)}
    scalars["subclass"] = np.where(np.arange(COUNT) % 2, "STARFORMING", "").astype(object)
    scalars["object_id"] = np.array([f"toy-{i}" for i in range(COUNT)], object)
    scalars |= {"z": batch.z.double().numpy(), "ra": np.arange(COUNT) // 2 * 1.0}
    path = tmp_path_factory.mktemp("adaptation") / "0.arrow"
    with SpectraWriter(path, toy.transform.observed) as writer:
        writer.write(scalars, flux=batch.flux.numpy(), ivar=batch.ivar.numpy())
    catalogue = pd.DataFrame(scalars).assign(row=np.arange(COUNT))
    names = ("snr", "reduced_chi2", "truth_reduced_chi2")
    levels = pd.DataFrame({"quiescent": [True, False]} | {name: [1.0, 1.0] for name in names})
    return adapted_survey(model, Spectra(path), catalogue, levels, SETTINGS)


def test_the_lacking_line_is_named_and_then_gone(survey):
    features = survey.features[survey.features["scale"] == "narrow"]
    first = features[features["frame"] == "restframe"].iloc[0]
    assert first["name"] == "Hβ"
    assert abs(first["wavelength"] / HBETA - 1) < 0.002
    assert first["residual"] > 0
    assert first["significance"] > 4
    stack = survey.stack.query("frame == 'restframe' and scale == 'narrow'")
    peak = stack.loc[stack["before"].idxmax()]
    assert abs(peak["after"]) < 0.3 * peak["before"]


def test_the_tables_are_as_declared(survey):
    assert list(survey.objects.columns) == [column.name for column in ADAPTED_COLUMNS]
    assert list(survey.stack.columns) == [column.name for column in STACK_COLUMNS]
    assert all(isinstance(column, Column) for column in (*ADAPTED_COLUMNS, *STACK_COLUMNS))
    # Two spectra of each place.
    assert survey.objects["galaxy"].nunique() == COUNT // 2


def test_numbers_count_galaxies_and_controls_fail(survey):
    numbers = adapted_numbers(survey.objects)
    assert {number["n"] for number in numbers.values()} == {COUNT // 2}
    assert {number["data"] for number in numbers.values()} == {"real"}
    assert 0.5 < numbers["real_gap_closed"]["value"] < 1.2
    assert numbers["real_shuffled_control"]["value"] < 0.1


def test_the_figure_is_drawn(survey, tmp_path):
    real_galaxies(survey.objects, survey.stack, survey.features).savefig(tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size > 5000


@pytest.mark.parametrize("count", [1, 2])
def test_few_galaxies_teach_little_but_do_no_harm(model, toy, line, count):
    batch = Batch(*(values[:count] for values in seen(toy, 0.5 * line)))
    after = leave_one_out(model, batch, np.arange(count), SETTINGS)
    assert torch.isfinite(after).all()
    if count == 1:
        torch.testing.assert_close(after, model(*batch).observed, rtol=1e-3, atol=1e-3)
