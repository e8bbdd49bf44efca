import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.rebinning import pixel_edges, resample_spectra
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.transform import RedshiftTransform

GRID = WavelengthGrid("log10", 3.6, 2e-4, 1500)


def wavelengths(step, start=3900.0, stop=8100.0):
    return torch.arange(start, stop, step, dtype=torch.float64)


def brute_force(flux, ivar, wavelength, grid):
    """Averages pixel by pixel, with explicit overlaps."""
    edges, target = pixel_edges(wavelength).numpy(), grid.edges
    overlap = np.minimum(edges[1:], target[1:, None]) - np.maximum(edges[:-1], target[:-1, None])
    overlap = overlap.clip(0) * (ivar.numpy() > 0)
    known = overlap.sum(1)
    variance = np.divide(1, ivar.numpy(), out=np.zeros(len(ivar)), where=ivar.numpy() > 0)
    enough = known >= 0.5 * np.diff(target)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(enough, overlap @ np.where(ivar > 0, flux, 0) / known, 0)
        inverse = np.where(enough, known**2 / (overlap**2 @ variance), 0)
    return mean, inverse


@settings(max_examples=15)
@given(st.floats(0.4, 9.0), st.integers(0, 100))
def test_is_the_average_over_overlaps(step, seed):
    generator = torch.Generator().manual_seed(seed)
    wavelength = wavelengths(step)
    flux = torch.randn(len(wavelength), generator=generator, dtype=torch.float64)
    ivar = torch.rand(len(wavelength), generator=generator, dtype=torch.float64) + 0.1
    ivar = ivar * (torch.rand(len(wavelength), generator=generator) > 0.2)
    got = resample_spectra(flux[None], ivar[None], wavelength, GRID)
    mean, inverse = brute_force(flux, ivar, wavelength, GRID)
    np.testing.assert_allclose(got.flux[0], mean, atol=1e-7)
    np.testing.assert_allclose(got.ivar[0], inverse, rtol=1e-6)


def test_flux_is_conserved_and_noise_has_the_variance_that_is_said():
    generator = torch.Generator().manual_seed(1)
    wavelength = wavelengths(1.3)
    sigma = 0.5 + 0.3 * torch.sin(wavelength / 200)
    noise = torch.randn(400, len(wavelength), generator=generator).double() * sigma
    ivar = sigma.pow(-2).expand(400, -1)
    flux, new_ivar = resample_spectra(noise, ivar, wavelength, GRID)
    used = new_ivar[0] > 0
    assert (flux[:, used].square() * new_ivar[:, used]).mean().item() == pytest.approx(1, abs=0.01)
    inside = (GRID.edges[:-1] > 4000) & (GRID.edges[1:] < 8000)
    first, last = GRID.edges[:-1][inside][0], GRID.edges[1:][inside][-1]
    edges = pixel_edges(wavelength).numpy()
    overlap = (np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)).clip(0)
    np.testing.assert_allclose(
        flux.numpy()[:, inside] @ np.diff(GRID.edges)[inside], noise.numpy() @ overlap
    )


def test_what_is_not_known_counts_for_nothing():
    wavelength = wavelengths(1.0, 4500, 6000)
    flux = torch.ones(1, len(wavelength))
    ivar = torch.ones(1, len(wavelength))
    bad = (wavelength > 5000) & (wavelength < 5020)
    flux[:, bad], ivar[:, bad] = torch.nan, 0
    new, new_ivar = resample_spectra(flux, ivar, wavelength, GRID)
    beyond = (GRID.edges[1:] < 4500) | (GRID.edges[:-1] > 6000)
    within = (GRID.edges[:-1] > 5002) & (GRID.edges[1:] < 5018)
    assert (new_ivar[0, beyond | within] == 0).all()
    assert (new[new_ivar == 0] == 0).all()
    torch.testing.assert_close(new[new_ivar > 0], torch.ones(int((new_ivar > 0).sum())))


def test_each_spectrum_may_have_its_own_wavelengths():
    own = torch.stack([wavelengths(1.0)[:4000], wavelengths(1.0)[:4000] * 1.001])
    flux = torch.sin(own / 100)
    ivar = torch.ones_like(flux)
    both = resample_spectra(flux, ivar, own, GRID)
    alone = resample_spectra(flux[1:], ivar[1:], own[1], GRID)
    torch.testing.assert_close(both.flux[1:], alone.flux)
    torch.testing.assert_close(both.ivar[1:], alone.ivar)


@pytest.mark.parametrize("wavelength", [torch.tensor([5000.0]), torch.tensor([2.0, 1.0, 3.0])])
def test_wavelengths_that_do_not_rise_are_an_error(wavelength):
    with pytest.raises(ValueError, match="rise"):
        pixel_edges(wavelength)


def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match="do not fit"):
        resample_spectra(torch.ones(2, 10), torch.ones(2, 10), torch.arange(9.0), GRID)


@pytest.fixture(scope="module")
def galaxies(toy):
    """Noiseless rest-frame spectra and an encoder that knows their basis."""
    size, rank = toy.transform.restframe.size, toy.rank
    x = torch.linspace(0, 1, size)
    shapes = torch.stack([torch.sin(8 * x), torch.exp(-(((x - 0.6) / 0.01) ** 2)), x])
    spectra = torch.linalg.qr(shapes.T).Q.T
    encoder = RestframeEncoder(rank, toy.transform, torch.ones(size), spectra, torch.ones(rank))
    generator = torch.Generator().manual_seed(3)
    coefficients = torch.randn(200, rank, generator=generator)
    z = 0.19 * torch.rand(200, generator=generator)
    return encoder, 1 + coefficients @ spectra, z


@pytest.mark.parametrize("step", [1.0, 2.5])
def test_linear_and_log_spectra_have_the_same_latents_within_their_noise(toy, galaxies, step):
    encoder, restframe, z = galaxies
    transform: RedshiftTransform = toy.transform
    grid, generator = transform.observed, torch.Generator().manual_seed(4)
    sigma = 0.02
    linear = torch.arange(grid.edges[0] + step, grid.edges[-1] - step, step).double()
    truth = transform.sample(restframe, z, linear)
    assert torch.isfinite(truth).all()
    # As bright a noise per Angstrom on either grid.
    width = torch.as_tensor(np.diff(grid.edges)).float()
    log_sigma, linear_sigma = sigma / width.sqrt(), sigma / step**0.5 * torch.ones(len(linear))
    flux = transform(restframe, z) + log_sigma * torch.randn(200, grid.size, generator=generator)
    other = truth + linear_sigma * torch.randn(truth.shape, generator=generator)
    other_ivar = linear_sigma.pow(-2).expand(200, -1)

    def fit(flux, ivar):
        information, projection = encoder.normal_equations(flux, ivar, z)
        covariance = torch.linalg.inv(information)
        return (covariance @ projection[..., None])[..., 0], covariance

    ours, covariance = fit(flux, log_sigma.pow(-2).expand(200, -1))
    theirs, other_covariance = fit(*resample_spectra(other, other_ivar, linear, grid))
    spread = (covariance + other_covariance).diagonal(dim1=1, dim2=2).sqrt()
    pull = (ours - theirs) / spread
    assert pull.mean(dim=0).abs().max() < 0.25
    assert 0.85 < pull.square().mean().sqrt() < 1.2
