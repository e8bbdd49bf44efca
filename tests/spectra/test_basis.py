import pytest
import torch

from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.losses import reduced_chi2


@pytest.fixture(scope="module")
def basis(toy):
    return fit_basis([toy.batch], toy.transform, toy.rank, iterations=15)


def test_basis_is_orthonormal_with_falling_variance(basis, toy):
    torch.testing.assert_close(
        basis.spectra @ basis.spectra.T, torch.eye(toy.rank), atol=1e-5, rtol=0
    )
    assert (basis.variance.diff() <= 0).all()


def test_projection_reaches_the_noise(basis, toy):
    encoder = RestframeEncoder(toy.rank, toy.transform, *basis)
    amplitude, coefficients = encoder.coefficients(*toy.batch)
    restframe = basis.mean + coefficients @ basis.spectra
    model = toy.transform(amplitude[:, None] * restframe, toy.batch.z)
    chi2 = reduced_chi2(toy.batch.flux, toy.batch.ivar, model, toy.rank)
    assert chi2.median() == pytest.approx(1.0, abs=0.05)
    error = (model - toy.truth).square().mean().sqrt()
    noise = (toy.batch.flux - toy.truth)[toy.batch.ivar > 0].square().mean().sqrt()
    assert error < 0.2 * noise


def test_masked_pixels_do_not_matter(basis, toy):
    flux, ivar, z = toy.batch
    garbage = torch.where(ivar > 0, flux, 1e6)
    refit = fit_basis([(garbage, ivar, z)], toy.transform, toy.rank, iterations=15)
    torch.testing.assert_close(refit.spectra, basis.spectra)


def test_one_component_too_few_is_seen(toy):
    basis = fit_basis([toy.batch], toy.transform, toy.rank - 1, iterations=15)
    encoder = RestframeEncoder(toy.rank - 1, toy.transform, *basis)
    amplitude, coefficients = encoder.coefficients(*toy.batch)
    restframe = basis.mean + coefficients @ basis.spectra
    model = toy.transform(amplitude[:, None] * restframe, toy.batch.z)
    assert reduced_chi2(toy.batch.flux, toy.batch.ivar, model, toy.rank - 1).median() > 1.1
