import pytest
import torch

from uraniborg.nets.flux_encoder import FluxEncoder


def spectra(number: int = 6, size: int = 500):
    generator = torch.Generator().manual_seed(2)
    wavelength = torch.linspace(0, 1, size)
    tilt = torch.randn(number, 1, generator=generator)
    flux = 1 + 0.3 * tilt * wavelength + 0.1 * torch.randn(number, size, generator=generator)
    ivar = 100 * (torch.rand(number, size, generator=generator) > 0.1).float()
    return flux, ivar, torch.zeros(number)


@pytest.fixture(params=[True, False], ids=["weighted", "flux alone"])
def encoder(request) -> FluxEncoder:
    torch.manual_seed(1)
    return FluxEncoder(3, weighted=request.param).eval()


def test_attention_sums_to_one_and_leads_to_the_latent(encoder):
    flux, ivar, z = spectra()
    values, attention = encoder.attend(flux, ivar)
    assert values.shape == attention.shape
    assert values.shape[:2] == (6, 128)
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(6, 128))
    latent = encoder.summarise(values, attention)
    assert latent.shape == (6, encoder.latent_size)
    assert torch.equal(latent, encoder(flux, ivar, z))


def test_units_do_not_matter(encoder):
    flux, ivar, z = spectra()
    factor = torch.logspace(-3, 3, 6)[:, None]
    torch.testing.assert_close(
        encoder(flux * factor, ivar / factor**2, z), encoder(flux, ivar, z), atol=1e-4, rtol=1e-4
    )


def test_redshifts_do_not_matter(encoder):
    flux, ivar, z = spectra()
    assert torch.equal(encoder(flux, ivar, z), encoder(flux, ivar, z + 0.3))


def test_batches_do_not_matter(encoder):
    flux, ivar, z = spectra()
    each = torch.cat([encoder(flux[[i]], ivar[[i]], z[[i]]) for i in range(len(z))])
    torch.testing.assert_close(each, encoder(flux, ivar, z), atol=1e-5, rtol=1e-5)


def test_masked_pixels_may_hold_anything():
    flux, ivar, z = spectra()
    encoder = FluxEncoder(3).eval()
    hidden = torch.where(ivar > 0, flux, 1e6)
    assert torch.equal(encoder(hidden, ivar, z), encoder(flux, ivar, z))


def test_the_flux_alone_is_seen_without_weights():
    flux, ivar, z = spectra()
    encoder = FluxEncoder(3, weighted=False).eval()
    assert torch.equal(encoder(flux, 0 * ivar, z), encoder(flux, ivar, z))
    assert not torch.equal(encoder(flux.flip(1), ivar, z), encoder(flux, ivar, z))


@pytest.mark.parametrize("flux", [0.0, -1.0])
def test_empty_and_negative_spectra_have_finite_latents(encoder, flux):
    for ivar in (0.0, 1.0):
        latent = encoder(torch.full((2, 500), flux), torch.full((2, 500), ivar), torch.zeros(2))
        assert latent.isfinite().all()


def test_it_learns_where_a_step_is():
    torch.manual_seed(4)
    encoder = FluxEncoder(1, channels=(8, 16, 16, 32), segments=4, hidden=(16,))
    optimizer = torch.optim.Adam(encoder.parameters(), 3e-3)
    pixels = torch.arange(400)
    z = torch.zeros(32)
    for _ in range(40):
        place = torch.rand(32, 1)
        flux = 1 + (pixels > 400 * place) + 0.1 * torch.randn(32, 400)
        loss = (encoder(flux, torch.full_like(flux, 100.0), z) - place).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # A constant guess would have a variance of 1/12.
    assert loss < 0.02
