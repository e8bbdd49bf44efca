"""Redshifts by likelihood, on a hand-made model: a linear one needs no training."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.application import object_table, reconstruction_table
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.redshift import RedshiftEstimator, RedshiftWarning, complete_redshifts
from uraniborg.spectra.redshift_quality import (
    in_snr_bins,
    recovery_numbers,
    wrong_redshift_numbers,
)
from uraniborg.spectra.redshift_recovery import (
    LIKELIHOOD_COLUMNS,
    RECOVERY_COLUMNS,
    degraded,
    halpha_width,
    likelihood_table,
    recovery_table,
    wrong_redshift_table,
)
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter

GRID = WavelengthGrid("log10", 3.6, 2e-4, 1000)
ARCHITECTURE = {
    "encoder": "restframe",
    "decoder": "low_rank",
    "latent_size": 4,
    "rank": 4,
    "z_min": -0.01,
    "z_max": 0.2,
    "oversampling": 1,
    "lsf": "none",
    "amplitude": "best_fit",
}
PIXEL = GRID.step * np.log(10)


@pytest.fixture(scope="module")
def model():
    """Untrained, it is a linear model of four spectra: a slope and three groups of lines."""

    model = SpectrumAutoencoder.build(ARCHITECTURE, GRID)
    wavelength = torch.from_numpy(model.transform.restframe.wavelength).float()
    groups = [(3728, 4341, 4862), (4960, 5008), (3934, 3969, 4304, 5176)]
    lines = [
        sum(torch.exp(-0.5 * ((wavelength / line - 1) / 1e-3) ** 2) for line in group)
        for group in groups
    ]
    spectra = torch.stack([wavelength / 5000 - 1, *lines])
    scale = torch.tensor([0.5, 1.0, 1.0, 0.3])
    basis = Basis(torch.ones_like(wavelength), spectra, scale.square())
    return SpectrumAutoencoder.build(ARCHITECTURE, GRID, basis).eval()


@pytest.fixture(scope="module")
def estimator(model):
    return RedshiftEstimator(model)


def simulate(model, z, sigma, seed=1, brightness=1.0):
    """Spectra of the model's own kind with noise and a tenth of the pixels masked."""

    generator = torch.Generator().manual_seed(seed)
    z = torch.as_tensor(z, dtype=torch.float64)
    draw = torch.randn(len(z), 4, generator=generator)
    basis = model.encoder.basis * model.encoder.variance.sqrt()[:, None]
    truth = brightness * model.transform(model.encoder.mean + draw @ basis, z)
    noise = brightness * sigma * torch.randn(truth.shape, generator=generator)
    good = torch.rand(truth.shape, generator=generator) > 0.1
    ivar = good / (brightness * sigma) ** 2
    return torch.where(good, truth + noise, 0.0), ivar.float(), z


def test_redshifts_are_found_with_calibrated_errors(model, estimator):
    flux, ivar, z = simulate(model, torch.linspace(0.0, 0.19, 80), 0.1)
    found = estimator.estimate(flux, ivar)
    error = (found.z - z) / (1 + z)
    assert error.abs().median() < 0.2 * PIXEL
    assert error.abs().max() < 2 * PIXEL
    pull = (found.z - z) / found.z_err
    assert 0.75 < pull.std() < 1.3
    assert pull.mean().abs() < 0.4
    assert not found.zwarning.any()
    assert (found.delta_chi2 > 9).all()
    assert ((found.second_z - found.z).abs() > 0.003).all()


@settings(max_examples=15)
@given(
    z=st.floats(0.0, 0.19),
    brightness=st.sampled_from([1e-3, 1.0, 50.0]),
    offset=st.floats(-0.04, 0.04),
)
def test_neither_brightness_nor_start_matters(model, estimator, z, brightness, offset):
    flux, ivar, truth = simulate(model, [z], 0.05, brightness=brightness)
    everywhere = estimator.estimate(flux, ivar)
    nearby = estimator.estimate(flux, ivar, (truth + offset).clamp(0, 0.19))
    assert everywhere.z.item() == pytest.approx(z, abs=0.5 * PIXEL)
    assert nearby.z.item() == pytest.approx(everywhere.z.item(), abs=1e-7)
    searched = estimator.z[nearby.log_likelihood[0] > -torch.inf]
    assert (searched - (truth + offset).clamp(0, 0.19)).abs().max() <= 0.05


def test_likelihood_is_that_of_the_linear_model(model):
    """Against the textbook formula: a Gaussian with covariance of noise and basis."""

    flux, ivar, _ = simulate(model, [0.1], 0.3)
    estimator = RedshiftEstimator(model, (0.05, 0.15), binning=1)
    likelihood = estimator.log_likelihood(flux, ivar)[0]
    good = ivar[0] > 0
    y, sigma = flux[0, good].double(), ivar[0, good].rsqrt().double()
    expected = []
    for z in estimator.z[::50]:
        templates = model.transform(
            torch.cat([model.encoder.mean[None], model.encoder.basis]), z.expand(5)
        )[:, good].double()
        mean, basis = templates[0], templates[1:]
        brightness = (mean @ (y / sigma**2)) / (mean @ (mean / sigma**2))
        prior = basis.T * (brightness**2 * model.encoder.variance.double()) @ basis
        inverse = torch.linalg.inv(prior + torch.diag(sigma**2))
        amplitude = (mean @ inverse @ y) / (mean @ inverse @ mean)
        residual = y - amplitude * mean
        volume = torch.logdet(prior / sigma / sigma[:, None] + torch.eye(len(y)).double())
        # Of the amplitude, which is integrated over.
        volume += (mean @ inverse @ mean).log()
        chi2 = residual @ inverse @ residual - (y / sigma).square().sum()
        expected.append(-0.5 * (chi2 + volume))
    difference = likelihood[::50] - torch.stack(expected)
    assert difference.std() < 0.01
    assert estimator.z[likelihood.argmax()].item() == pytest.approx(0.1, abs=2 * PIXEL)


def test_redshift_is_found_between_pixels_and_whatever_the_batch(model, estimator):
    z = 0.1 + PIXEL * torch.arange(12) / 12
    flux, ivar, z = simulate(model, z.double(), 0.003)
    found = estimator.estimate(flux, ivar)
    assert ((found.z - z) / PIXEL).abs().max() < 0.05
    one_by_one = [estimator.estimate(flux[[i]], ivar[[i]]).z for i in range(12)]
    torch.testing.assert_close(torch.cat(one_by_one), found.z, atol=1e-6, rtol=0)


def test_what_cannot_be_trusted_is_flagged(model, estimator):
    flux, ivar, _ = simulate(model, [0.1] * 40, 0.1)
    noise = torch.randn(flux.shape, generator=torch.Generator().manual_seed(2))
    flagged = estimator.estimate(noise, torch.ones_like(ivar)).zwarning > 0
    assert flagged.float().mean() > 0.85
    few = estimator.estimate(flux, ivar * (torch.arange(1000) > 900))
    assert (few.zwarning & RedshiftWarning.LITTLE_COVERAGE > 0).all()
    assert few.z.isfinite().all()
    negative = estimator.estimate(-flux, ivar).zwarning
    assert (negative > 0).all()
    assert (negative & RedshiftWarning.NEGATIVE_MODEL > 0).float().mean() > 0.5
    # The right redshift is next to what is searched.
    beyond = estimator.estimate(flux, ivar, torch.full((40,), 0.1504))
    assert (beyond.zwarning & RedshiftWarning.FIT_LIMIT > 0).float().mean() > 0.9
    spoilt = torch.where(torch.arange(1000) % 10 == 0, flux + 3, flux)
    outliers = estimator.estimate(spoilt, ivar)
    assert (outliers.zwarning & RedshiftWarning.MANY_OUTLIERS > 0).all()


def test_a_start_that_is_missing_is_no_start(model, estimator):
    flux, ivar, z = simulate(model, [0.03, 0.15], 0.1)
    start = torch.tensor([torch.nan, 0.12])
    found = estimator.estimate(flux, ivar, start)
    torch.testing.assert_close(found.z, z, atol=0.5 * PIXEL, rtol=0)
    assert (found.log_likelihood[0] > -torch.inf).all()
    with pytest.raises(UserError, match="give a start in that range"):
        estimator.estimate(flux, ivar, torch.tensor([0.1, 0.9]))


def test_a_model_finer_and_sharper_than_the_data_serves_too(model):
    architecture = {**ARCHITECTURE, "oversampling": 2, "lsf": 1.0}
    fine = SpectrumAutoencoder.build(architecture, GRID)
    grid, coarse = fine.transform.restframe, model.transform.restframe

    def finer(spectra):
        rows = spectra.reshape(-1, coarse.size).numpy()
        values = [np.interp(grid.wavelength, coarse.wavelength, row) for row in rows]
        return torch.from_numpy(np.array(values)).float().reshape(*spectra.shape[:-1], grid.size)

    encoder = model.encoder
    basis = Basis(finer(encoder.mean), finer(encoder.basis), encoder.variance)
    fine = SpectrumAutoencoder.build(architecture, GRID, basis).eval()
    flux, ivar, z = simulate(fine, [0.02, 0.06, 0.11, 0.17], 0.05)
    found = RedshiftEstimator(fine).estimate(flux, ivar)
    torch.testing.assert_close(found.z, z, atol=0.5 * PIXEL, rtol=0)


def test_models_and_ranges_that_do_not_serve_are_errors(model):
    with pytest.raises(UserError, match="not within the model's"):
        RedshiftEstimator(model, (0.0, 0.3))
    other = SpectrumAutoencoder.build({**ARCHITECTURE, "encoder": "published"}, GRID)
    with pytest.raises(UserError, match="encoder: restframe"):
        RedshiftEstimator(other)


@pytest.fixture(scope="module")
def survey(model, tmp_path_factory):
    """Spectra of which every fourth has no redshift, and their truth."""

    folder = tmp_path_factory.mktemp("survey")
    flux, ivar, z = simulate(model, torch.linspace(0.01, 0.18, 60), 0.1)
    known = np.where(np.arange(60) % 4, z.numpy(), np.nan)
    scalars = {
        column.name: ["GALAXY"] * 60 if column.type == pa.string() else np.zeros(60)
        for column in SPECTRUM_COLUMNS
    }
    scalars |= {"object_id": [f"toy-{i:02d}" for i in range(60)], "norm": np.full(60, 2.0)}
    scalars |= {"zwarning": np.zeros(60, int), "snr": np.full(60, 10.0), "z": known}
    metadata = {"data": "simulated"}
    with SpectraWriter(folder / "missing.arrow", GRID, metadata=metadata) as writer:
        writer.write(scalars, flux=2 * flux.numpy(), ivar=ivar.numpy() / 4)
    with SpectraWriter(folder / "known.arrow", GRID, metadata=metadata) as writer:
        writer.write({**scalars, "z": z.numpy()}, flux=2 * flux.numpy(), ivar=ivar.numpy() / 4)
    columns = (
        Column("kind", pa.string(), "", "Kind"),
        Column("anomaly", pa.string(), "", "Anomaly"),
        Column("z", pa.float64(), "", "Redshift"),
    )
    truth = {"kind": ["galaxy"] * 60, "anomaly": ["star", *["none"] * 59], "z": z.numpy()}
    with SpectraWriter(folder / "truth.arrow", GRID, columns, ("flux",)) as writer:
        writer.write(truth, flux=2 * flux.numpy())
    return {name: Spectra(folder / f"{name}.arrow") for name in ("missing", "known", "truth")}


def test_missing_redshifts_are_estimated(model, survey):
    z = survey["truth"].column("z")
    table = complete_redshifts(model, survey["missing"])
    missing = np.arange(60) % 4 == 0
    assert list(table["z_source"] == "estimated") == list(missing)
    np.testing.assert_allclose(table["z"], z, atol=2 * PIXEL)
    assert (table["z"][~missing] == z[~missing]).all()
    assert (table["z_err"][missing] > 0).all()
    some = complete_redshifts(model, survey["missing"], [8, 3])
    np.testing.assert_allclose(some["z"], z[[8, 3]], atol=2 * PIXEL)


def test_spectra_without_good_pixels_have_no_redshift_and_spoil_no_other(
    model, estimator, survey, tmp_path
):
    flux, ivar, _ = simulate(model, [0.05, 0.1, 0.15], 0.1)
    expected = estimator.estimate(flux[[0, 2]], ivar[[0, 2]])
    flux[1], ivar[1] = 0, 0
    found = estimator.estimate(flux, ivar)
    for name in ("z", "z_err", "chi2", "second_z", "delta_chi2"):
        values = getattr(found, name)
        assert values[1].isnan()
        torch.testing.assert_close(values[[0, 2]], getattr(expected, name), rtol=1e-3, atol=1e-6)
    assert found.zwarning[1] == RedshiftWarning.LITTLE_COVERAGE
    assert found.zwarning[[0, 2]].tolist() == expected.zwarning.tolist()
    assert estimator.estimate(flux[[1]], ivar[[1]]).z.isnan().all()
    scalars = survey["missing"].scalars.iloc[[0, 0, 0]].assign(z=[0.03, np.nan, np.nan])
    with SpectraWriter(tmp_path / "empty.arrow", GRID) as writer:
        writer.write(scalars, flux=flux.numpy(), ivar=ivar.numpy())
    table = complete_redshifts(model, Spectra(tmp_path / "empty.arrow"))
    assert list(table["z_source"]) == ["catalogue", "estimated", "estimated"]
    assert table["z"][0] == 0.03
    assert np.isnan(table["z"][1])
    assert table["zwarning"][1] == RedshiftWarning.LITTLE_COVERAGE
    assert table["z"][2] == pytest.approx(0.15, abs=PIXEL)


def test_encoders_say_nothing_of_spectra_without_good_pixels(model):
    flux, ivar, z = simulate(model, [0.05, 0.1, 0.15], 0.1)
    before = model.encode(flux, ivar, z)
    ivar[1] = 0
    amplitude, coefficients = model.encoder.coefficients(flux, ivar, z)
    assert amplitude.isnan().tolist() == [False, True, False]
    assert coefficients.isnan().all(dim=1).tolist() == [False, True, False]
    latent = model.encode(flux, ivar, z)
    assert latent[1].isnan().all()
    torch.testing.assert_close(latent[[0, 2]], before[[0, 2]])


def test_objects_without_redshift_are_reconstructed_as_those_with(model, survey):
    known, missing = (object_table(model, survey[name]) for name in ("known", "missing"))
    assert set(known["z_source"]) == {"catalogue"}
    np.testing.assert_allclose(missing["reduced_chi2"], known["reduced_chi2"], atol=0.02)
    spectra = reconstruction_table(model, survey["missing"], ["toy-04", "toy-03"])
    assert spectra["model"].notna().all()
    with pytest.raises(UserError, match="15 spectra have no redshift"):
        SpectraDataset(survey["missing"])


def test_recovery_succeeds_and_its_controls_fail(model, survey):
    table = recovery_table(
        model, survey["known"], survey["truth"], np.arange(60), 0.05, [0.1, 5], 30, seed=1
    )
    assert set(table.columns) == {column.name for column in RECOVERY_COLUMNS}
    numbers = recovery_numbers(table)
    assert numbers["redshift_success"]["value"] > 0.95
    assert numbers["redshift_success"]["n"] == 60
    assert numbers["redshift_success_usual"]["n"] == 59
    assert numbers["redshift_catastrophic"]["value"] < 0.05
    assert numbers["redshift_pull"]["value"] == pytest.approx(1, abs=0.3)
    for control in ("shuffled", "shifted", "noise"):
        assert numbers[f"redshift_{control}_control"]["value"] < 0.2
    bins = in_snr_bins(table[table["search"] == "degraded"], np.array([0.01, 1, 20]))
    assert bins["catastrophic"].is_monotonic_decreasing
    assert bins["catastrophic"].iloc[0] > 0.2


def test_wrong_redshifts_show_in_fit_and_latents(model, survey):
    sizes = np.logspace(-5, -2, 10)
    offsets = [0.0, *sizes, *-sizes]
    table = wrong_redshift_table(
        model, survey["known"], survey["truth"], np.arange(60), offsets, 40
    )
    medians = table.groupby(table["offset"].abs())[["reduced_chi2", "displacement"]].median()
    assert medians["displacement"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert medians["displacement"].iloc[:8].is_monotonic_increasing
    assert medians["reduced_chi2"].iloc[-1] > 2 * medians["reduced_chi2"].iloc[0]
    numbers = wrong_redshift_numbers(table)
    assert 1e-5 < numbers["wrong_redshift_fit"]["value"] < 1e-2
    assert numbers["wrong_redshift_latent"]["n"] == 40


def test_likelihoods_of_examples_peak_at_the_truth(model, survey):
    table = likelihood_table(model, survey["known"], survey["truth"], 30, [4], seed=1)
    assert list(table.columns) == [column.name for column in LIKELIHOOD_COLUMNS]
    for _, curve in table.groupby("snr"):
        best = curve.loc[curve["delta_chi2"].idxmin()]
        assert best["z"] == pytest.approx(best["z_true"], abs=2 * PIXEL)


@settings(max_examples=20)
@given(snr=st.floats(0.5, 30), target=st.floats(0.5, 30))
def test_degraded_spectra_have_the_noise_they_claim(model, snr, target):
    flux, ivar, z = simulate(model, [0.1] * 4, 0.1)
    batch = Batch(torch.zeros_like(flux), ivar, z)
    worse, reached = degraded(batch, np.full(4, snr), target, torch.Generator().manual_seed(1))
    assert reached == pytest.approx(min(snr, target))
    assert ((worse.ivar > 0) == (ivar > 0)).all()
    added = 1 / worse.ivar[ivar > 0] - 1 / ivar[ivar > 0]
    assert worse.flux[ivar > 0].var().item() == pytest.approx(added.mean().item(), rel=0.15)


def test_equivalent_width_of_a_line_on_a_flat_continuum():
    grid = WavelengthGrid("log10", 3.578, 1e-4, 3921)
    z = np.array([0.0, 0.2, 0.5])
    rest = grid.wavelength / (1 + z[:, None])
    line = np.exp(-0.5 * ((rest - 6564.6) / 4) ** 2) / (4 * np.sqrt(2 * np.pi))
    width = halpha_width(3 * (1 + 20 * line), grid.wavelength, z)
    np.testing.assert_allclose(width[:2], 20, rtol=0.02)
    assert np.isnan(width[2])
