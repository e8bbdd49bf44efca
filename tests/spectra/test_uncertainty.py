import copy

import numpy as np
import pytest
import torch
from torch import nn

from uraniborg.errors import UserError
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.uncertainty import (
    ErrorModel,
    calibrate,
    encoder_jacobian,
    latent_covariance,
    uncertainties,
)
from uraniborg.spectra.uncertainty_check import (
    coverage,
    curve_table,
    measure,
    numbers,
    suppression_table,
)


class LinearEncoder(nn.Module):
    """Posterior mean of the coefficients of fixed spectra above one, for unit prior variance."""

    def __init__(self, transform, spectra):
        super().__init__()
        self.transform, self.spectra, self.latent_size = transform, spectra, len(spectra)

    def design(self, z):
        count = len(self.spectra)
        spectra = self.spectra.repeat(len(z), 1)
        return self.transform(spectra, z.repeat_interleave(count)).unflatten(0, (-1, count))

    def forward(self, flux, ivar, z):
        design = self.design(z)
        information = (design * ivar[:, None]) @ design.mT + torch.eye(self.latent_size)
        projection = (design * (ivar * (flux - 1))[:, None]).sum(dim=2)
        return torch.linalg.solve(information, projection)


class LinearDecoder(nn.Module):
    def __init__(self, spectra):
        super().__init__()
        self.spectra = spectra

    def forward(self, latent):
        return 1 + latent @ self.spectra


@pytest.fixture(scope="module")
def linear(toy):
    x = torch.linspace(0, 1, toy.transform.restframe.size)
    spectra = torch.stack([torch.sin(8 * x), torch.exp(-(((x - 0.6) / 0.01) ** 2)), x])
    encoder = LinearEncoder(toy.transform, spectra)
    return SpectrumAutoencoder(encoder, LinearDecoder(spectra), toy.transform, amplitude="norm")


@pytest.fixture(scope="module")
def model(toy):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, 3, iterations=10)
    return SpectrumAutoencoder.build(toy.architecture, toy.transform.observed, basis).eval()


def part(toy, count):
    return Batch(*(tensor[:count] for tensor in toy.batch))


def whole(toy):
    return toy.batch, toy.truth, torch.ones(len(toy.truth))


@pytest.mark.parametrize("coherent", [False, True])
def test_a_linear_model_has_the_analytic_errors(linear, toy, coherent):
    batch, norm = part(toy, 20), torch.linspace(1, 4, 20)
    generator = torch.Generator().manual_seed(3)
    sky = 0.3 * torch.randn(2 * coherent, 400, generator=generator)
    errors = ErrorModel.ideal(toy.transform, sky)._replace(noise_scale=torch.full((400,), 1.3))
    result = uncertainties(linear, batch, norm, errors)
    for i in range(20):
        design = linear.encoder.design(batch.z[i : i + 1])[0].double()
        ivar = batch.ivar[i].double()
        gain = torch.linalg.solve(design * ivar @ design.T + torch.eye(3), design * ivar)
        noise = torch.diag(torch.where(ivar > 0, 1.3 / ivar, 0.0))
        noise += sky.double().T @ sky.double() / norm[i] ** 2
        covariance = gain @ noise @ gain.T
        torch.testing.assert_close(result.latent[i].double(), covariance, rtol=1e-3, atol=1e-6)
        sigma = (design.T @ covariance @ design).diagonal().sqrt()
        torch.testing.assert_close(result.observed[i].double(), sigma, rtol=2e-3, atol=1e-4)
        spectra = linear.encoder.spectra.double()
        sigma = (spectra.T @ covariance @ spectra).diagonal().sqrt()
        torch.testing.assert_close(result.restframe[i].double(), sigma, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("encoder", ["restframe", "flux", "published"])
@pytest.mark.parametrize("amplitude", ["best_fit", "norm"])
def test_jacobian_is_that_of_finite_differences(toy, encoder, amplitude):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, 3, iterations=5)
    architecture = {**toy.architecture, "encoder": encoder, "amplitude": amplitude}
    model = SpectrumAutoencoder.build(architecture, toy.transform.observed, basis).double().eval()
    batch = Batch(*(tensor.double() for tensor in part(toy, 4)))
    direction = torch.randn(4, 400, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        low, high = (
            model(batch.flux + sign * 1e-6 * direction, batch.ivar, batch.z) for sign in (-1, 1)
        )
    change = torch.cat(
        [high.latent - low.latent, (high.amplitude / low.amplitude).log()[:, None]], dim=1
    )
    jacobian = encoder_jacobian(model, batch)
    assert jacobian.shape == (4, 4, 400)
    predicted = (jacobian * direction[:, None]).sum(dim=2)
    torch.testing.assert_close(change / 2e-6, predicted, rtol=1e-3, atol=1e-4)


def test_errors_cover_the_truth_and_wrong_ones_do_not(linear, toy):
    errors = measure(linear, *whole(toy), ErrorModel.ideal(toy.transform))
    for pulls in errors.pulls().values():
        assert coverage(pulls, 0.68)["value"] == pytest.approx(0.68, abs=0.05)
        assert coverage(pulls, 0.95)["value"] == pytest.approx(0.95, abs=0.03)
    assert coverage(2 * errors.pulls()["continuum"], 0.68)["value"] < 0.5
    data = errors.control_pulls()["pixels, errors of the data"]
    assert coverage(data, 0.68)["value"] > 0.9


def test_a_nonlinear_encoder_covers_as_well(model, toy):
    errors = measure(model, *whole(toy), ErrorModel.ideal(toy.transform))
    assert coverage(errors.pulls()["latents"], 0.68)["value"] == pytest.approx(0.68, abs=0.06)


def test_coherent_noise_is_covered_only_if_it_is_known(linear, toy):
    generator = torch.Generator().manual_seed(5)
    x = torch.linspace(-1, 1, 400)
    sky = 0.3 * torch.stack([torch.ones(400), x])
    residual = torch.randn(len(toy.truth), 2, generator=generator) @ sky
    # In units of a norm that differs from object to object.
    norm = torch.linspace(0.5, 2, len(toy.truth))
    flux = toy.batch.flux + (residual / norm[:, None]).where(toy.batch.ivar > 0, 0.0)
    batch = toy.batch._replace(flux=flux)
    errors = measure(linear, batch, toy.truth, norm, ErrorModel.ideal(toy.transform, sky))
    assert coverage(errors.pulls()["latents"], 0.68)["value"] == pytest.approx(0.68, abs=0.05)
    reported = errors.control_pulls()["latents, inverse variances alone"]
    assert coverage(reported, 0.68)["value"] < 0.55


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_more_noise_is_a_larger_error(model, toy, factor):
    batch, norm, errors = part(toy, 30), torch.ones(30), ErrorModel.ideal(toy.transform)
    noisier = batch._replace(ivar=batch.ivar / factor**2)
    little, much = (uncertainties(model, b, norm, errors) for b in (batch, noisier))
    assert (much.observed.mean(dim=1) > little.observed.mean(dim=1)).all()
    variance = (x.latent.diagonal(dim1=1, dim2=2) for x in (much, little))
    ratio = torch.div(*variance).sqrt().median().item()
    # The prior draws noisy latents together, by little in the toy.
    assert 0.8 * factor < ratio < 1.05 * factor


def test_misfit_and_sky_only_add(model, toy):
    batch, norm = part(toy, 10), torch.ones(10)
    ideal = ErrorModel.ideal(toy.transform)
    before = uncertainties(model, batch, norm, ideal)
    misfit = ideal._replace(misfit=torch.full_like(ideal.misfit, 0.01))
    after = uncertainties(model, batch, norm, misfit)
    assert torch.equal(after.latent, before.latent)
    with torch.no_grad():
        expected = (before.observed.square() + 0.01 * model(*batch).observed.square()).sqrt()
    torch.testing.assert_close(after.observed, expected)


def test_masked_flux_does_not_matter(model, toy):
    batch, norm, errors = part(toy, 10), torch.ones(10), ErrorModel.ideal(toy.transform)
    garbage = batch._replace(flux=torch.where(batch.ivar > 0, batch.flux, 1e3))
    results = (uncertainties(model, spectra, norm, errors) for spectra in (batch, garbage))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_errors_in_inference_mode_are_the_same(model, toy):
    batch, norm, errors = part(toy, 10), torch.ones(10), ErrorModel.ideal(toy.transform)
    expected = uncertainties(model, batch, norm, errors)
    with torch.inference_mode():
        batch = Batch(*(1.0 * tensor for tensor in batch))
        result = uncertainties(model, batch, norm, errors)
        latent = latent_covariance(model, batch, norm, errors)
    for one, other in zip(expected, result, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(latent, expected.latent)


def test_calibration_finds_scale_and_misfit_without_truth(linear, toy):
    generator = torch.Generator().manual_seed(2)
    size = toy.transform.restframe.size
    # A line of random sign that the model does not have, and noise that is underestimated.
    line = torch.exp(-(((torch.arange(size) - 0.45 * size) / 4) ** 2))
    missing = toy.transform(line.expand(600, -1), toy.batch.z)
    strength = 0.3 * torch.randn(600, 1, generator=generator).sign()
    noise = torch.randn(600, 400, generator=generator) * toy.batch.ivar.rsqrt()
    good = toy.batch.ivar > 0
    flux = (toy.truth * (1 + strength * missing) + 1.2 * noise).where(good, 0.0)
    batch = Batch(flux, toy.batch.ivar, toy.batch.z)
    # No spectrum reaches the red end of the rest frame.
    far = Batch(*(tensor[toy.batch.z > 0.08] for tensor in batch))
    errors = calibrate(linear, [(far, torch.ones(len(far.z)))])
    assert errors.noise_scale.median().item() == pytest.approx(1.44, rel=0.05)
    where = line > 0.7
    expected = 0.3**2 * line[where].square().mean()
    assert errors.misfit[where].mean().item() == pytest.approx(expected.item(), rel=0.3)
    covered = (errors.misfit < 0.5).nonzero().flatten()
    beside = covered[(covered - 0.45 * size).abs() > 15]
    assert errors.misfit[beside].median() < 0.02 * errors.misfit[where].mean()
    assert errors.misfit[-1] == 1


def test_saved_error_model_is_the_same(toy, tmp_path):
    errors = ErrorModel.ideal(toy.transform, torch.ones(2, 400))
    path = tmp_path / "calibration.safetensors"
    errors.save(path)
    for one, other in zip(errors, ErrorModel.load(path), strict=True):
        assert torch.equal(one, other)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"calibration\.safetensors.*rerun"):
        ErrorModel.load(path)


def test_numbers_and_curves_of_a_small_sample(linear, toy):
    batch, truth, norm = part(toy, 40), toy.truth[:40], torch.ones(40)
    errors = measure(linear, batch, truth, norm, ErrorModel.ideal(toy.transform))
    snr = np.linspace(1, 20, 40)
    names = np.array([str(i) for i in range(40)])
    table = suppression_table(names, snr, batch, truth, errors, batch.flux, 3)
    # The data themselves leave all of the noise.
    np.testing.assert_allclose(table["principal_components"], 1, rtol=1e-5)
    assert table["model"].median() == pytest.approx(table["incoherent"].median(), rel=0.3)
    assert table["predicted"].median() == pytest.approx(table["model"].median(), rel=0.3)
    measured = numbers(errors, table)
    assert measured["excess_chi2_gain"]["value"] > 0.9
    assert measured["data_errors_control"]["value"] > 0.9
    curves = curve_table(errors, snr)
    assert set(curves["panel"]) == {"pulls", "coverage", "snr"}
    assert curves["y"].between(0, 1.5).all()


def test_model_is_left_as_it_was(model, toy):
    before = copy.deepcopy(model.state_dict())
    uncertainties(model, part(toy, 4), torch.ones(4), ErrorModel.ideal(toy.transform))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
