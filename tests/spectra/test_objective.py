import numpy as np
import pytest
import torch

from uraniborg.nets.decoders import LowRankDecoder, PublishedDecoder
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.losses import fidelity, restframe_distances, restframe_weight, similarity
from uraniborg.spectra.objective import Objective

# At its second epoch the similarity is as steep as it gets.
THREE_LOSSES = Objective(2, similarity=1, consistency=1, slope=3.0, cycle=2, silent=0)


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
    terms = THREE_LOSSES(model, few, epoch=2)
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
    THREE_LOSSES(model, few, epoch=2)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_an_encoder_that_knows_the_redshift_is_the_more_consistent(toy, basis, few):
    """The copy of a spectrum has its own redshift, which such an encoder takes into account."""

    encoder = RestframeEncoder(4, toy.transform, *basis)
    model = SpectrumAutoencoder(encoder, LowRankDecoder(4, *basis), toy.transform).eval()
    torch.manual_seed(1)
    loss = Objective(1, consistency=1, sigma=1.0)
    right = loss(model, few, epoch=1)["consistency"]
    wrong = few._replace(z=few.z.roll(7))
    torch.manual_seed(1)
    assert loss(model, wrong, epoch=1)["consistency"] > 1.1 * right


def test_what_has_no_weight_is_not_computed(model, few):
    assert list(Objective(1)(model.eval(), few, 1)) == ["loss", "fidelity"]
    terms = Objective(1, similarity=0.5)(model, few, 1)
    torch.testing.assert_close(terms["loss"], terms["fidelity"] + 0.5 * terms["similarity"])


def test_a_pupil_imitates_what_the_teacher_says_of_spectra_and_their_copies(toy, basis, few):
    encoder = RestframeEncoder(3, toy.transform, *basis)
    teacher = SpectrumAutoencoder(encoder, LowRankDecoder(3, *basis), toy.transform).eval()
    torch.manual_seed(4)
    pupil = SpectrumAutoencoder(FluxEncoder(3), LowRankDecoder(3, *basis), toy.transform).train()
    loss = Objective(1, imitation=1, teacher=teacher)
    optimizer = torch.optim.Adam(pupil.encoder.parameters(), 3e-3)
    values = []
    for _ in range(30):
        terms = loss(pupil, few, 1)
        optimizer.zero_grad()
        terms["imitation"].backward()
        optimizer.step()
        values.append(terms["imitation"].item())
    assert all(p.grad is None for p in teacher.parameters())
    assert np.mean(values[-5:]) < 0.6 * np.mean(values[:5])
    # The teacher itself is its own best pupil.
    assert loss(teacher, few, 1)["imitation"] < 0.3 * values[0]
