import pytest
import torch

from uraniborg.nets.decoders import LowRankDecoder, PublishedDecoder
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.invariance import invariance_losses
from uraniborg.spectra.losses import fidelity, restframe_distances, restframe_weight, similarity


@pytest.fixture(scope="module")
def few(toy) -> Batch:
    return Batch(*(tensor[:40] for tensor in toy.batch))


@pytest.fixture(scope="module")
def basis(toy, few):
    return fit_basis([few], toy.transform, rank=4, iterations=4)


@pytest.fixture(params=["low_rank", "published"])
def model(request, toy, basis) -> SpectrumAutoencoder:
    torch.manual_seed(2)
    size = toy.transform.restframe.size
    decoder = LowRankDecoder(3, *basis) if request.param == "low_rank" else None
    return SpectrumAutoencoder(
        FluxEncoder(3), decoder or PublishedDecoder(3, size, (16,)), toy.transform
    )


def test_terms_are_those_of_the_losses(model, few):
    model.eval()
    terms = invariance_losses(model, few, slope=3.0)
    reconstruction = model(*few)
    wavelength = torch.as_tensor(model.transform.restframe.wavelength).float()
    inside = (wavelength > 4000) & (wavelength < 7000)
    medians = reconstruction.restframe[:, inside].median(dim=1).values
    distances = restframe_distances(reconstruction.restframe, medians, restframe_weight(wavelength))
    torch.testing.assert_close(
        terms["similarity"], similarity(reconstruction.latent, distances, 3.0), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        terms["fidelity"], fidelity(few.flux, few.ivar, reconstruction.observed)
    )
    parts = terms["fidelity"] + terms["similarity"] + terms["consistency"]
    torch.testing.assert_close(terms["loss"], parts)


def test_every_part_of_the_model_learns(model, few):
    model.train()
    invariance_losses(model, few, slope=3.0)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_an_encoder_that_knows_the_redshift_is_the_more_consistent(toy, basis, few):
    """The copy of a spectrum has its own redshift, which such an encoder takes into account."""

    encoder = RestframeEncoder(4, toy.transform, *basis)
    model = SpectrumAutoencoder(encoder, LowRankDecoder(4, *basis), toy.transform).eval()
    torch.manual_seed(1)
    right = invariance_losses(model, few, 1.0, sigma=1.0)["consistency"]
    wrong = few._replace(z=few.z.roll(7))
    torch.manual_seed(1)
    assert invariance_losses(model, wrong, 1.0, sigma=1.0)["consistency"] > 1.1 * right
