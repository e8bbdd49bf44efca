import pytest
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.transform import RedshiftTransform


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


@pytest.fixture(scope="module")
def blended():
    """Galaxies with a doublet that the instrument blends, on a continuum of one; little noise."""
    grid = WavelengthGrid("log10", 3.6, 1e-4, 700)
    lsf = torch.linspace(1.1, 1.3, grid.size)
    transform = RedshiftTransform(grid, z_max=0.12, oversampling=2, lsf=lsf)
    generator = torch.Generator().manual_seed(2)
    x = torch.arange(transform.restframe.size) - 900.0
    # Two lines of a width of one observed pixel, 3.2 of them apart.
    doublet = torch.exp(-0.125 * (x - 3.2).square()) + 0.8 * torch.exp(-0.125 * (x + 3.2).square())
    strength = 3 + torch.rand(400, generator=generator)
    z = 0.12 * torch.rand(400, generator=generator)
    flux = transform(1 + strength[:, None] * doublet, z)
    noise = 0.05 * torch.randn(flux.shape, generator=generator)
    return transform, Batch(flux + noise, torch.full_like(flux, 400.0), z), doublet


def test_line_spread_function_is_undone(blended):
    transform, batch, doublet = blended
    basis = fit_basis([batch], transform, 2, iterations=10)
    near = slice(885, 916)
    assert (basis.mean - 1 - 3.5 * doublet)[near].abs().max() < 0.1 * 3.5
    # Without, the two lines are one.
    native = RedshiftTransform(transform.observed, transform.z_max)
    blurred = fit_basis([batch], native, 2, iterations=10).mean
    peak = blurred.argmax().item()
    assert (blurred[peak - 5 : peak].diff() > 0).all()


def test_sharp_basis_explains_the_data(blended):
    transform, batch, _ = blended
    basis = fit_basis([batch], transform, 2, iterations=10)
    encoder = RestframeEncoder(2, transform, *basis)
    amplitude, coefficients = encoder.coefficients(*batch)
    model = amplitude[:, None] * transform(basis.mean + coefficients @ basis.spectra, batch.z)
    # The encoder neglects the line-spread function in its weights, as the network learns to mend.
    assert reduced_chi2(batch.flux, batch.ivar, model, 3).median() < 1.2


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_components_of_bright_spectra_do_not_run_away(noise):
    """Beside the last good pixels there may be flux, but no weight; and strong components are known
    so well that the prior is below the rounding of single precision."""

    transform = RedshiftTransform(WavelengthGrid("log10", 3.6, 1e-4, 300), 0.005, -0.005)
    generator = torch.Generator().manual_seed(5)
    number, size = 400, transform.restframe.size
    x = torch.linspace(0, 1, size)
    shapes = torch.stack([torch.sin(8 * x), x, torch.exp(-(((x - 0.6) / 0.02) ** 2))])
    z = 0.01 * torch.rand(number, generator=generator) - 0.005
    strength = torch.randn(number, 3, generator=generator) * torch.tensor([3.0, 1.0, 0.3])
    flux = transform(1 + strength @ shapes, z)
    flux += noise * torch.randn(flux.shape, generator=generator)
    # Few spectra reach far.
    end = 300 - (15 * torch.rand(number, generator=generator) ** 0.5).long()
    ivar = noise**-2 * (torch.arange(300) < end[:, None])
    basis = fit_basis([(flux, ivar, z)], transform, 8, iterations=30)
    assert basis.variance.isfinite().all()
    assert (basis.variance.diff() <= 0).all()
    assert (basis.spectra * basis.variance.sqrt()[:, None]).abs().max() < 5
    torch.testing.assert_close(basis.spectra @ basis.spectra.T, torch.eye(8), atol=1e-4, rtol=0)
