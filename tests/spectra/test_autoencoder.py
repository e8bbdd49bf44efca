import json

import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.nets.weights import save_model
from uraniborg.spectra.autoencoder import SpectrumAutoencoder, best_fit_amplitude
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.losses import fidelity, reduced_chi2
from uraniborg.spectra.transform import RedshiftTransform

ARCHITECTURE = {
    "encoder": "restframe",
    "decoder": "low_rank",
    "latent_size": 2,
    "rank": 3,
    "z_min": -0.01,
    "z_max": 0.2,
    "oversampling": 1,
    "lsf": "none",
    "amplitude": "best_fit",
    "weighted": True,
}


@pytest.fixture
def model(toy):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, 3, iterations=5)
    return SpectrumAutoencoder.build(ARCHITECTURE, toy.transform.observed, basis)


@pytest.mark.parametrize("encoder", ["restframe", "flux", "published"])
@pytest.mark.parametrize("decoder", ["low_rank", "published"])
def test_every_combination_reconstructs_and_learns(toy, encoder, decoder):
    torch.manual_seed(0)
    architecture = {**ARCHITECTURE, "encoder": encoder, "decoder": decoder}
    basis = fit_basis([toy.batch], toy.transform, 3, iterations=3)
    model = SpectrumAutoencoder.build(architecture, toy.transform.observed, basis)
    batch = type(toy.batch)(*(tensor[:32] for tensor in toy.batch))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = fidelity(batch.flux, batch.ivar, model(*batch).observed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    reconstruction = model(*batch)
    assert reconstruction.latent.shape == (32, 2)
    assert reconstruction.restframe.shape == (32, toy.transform.restframe.size)
    assert reconstruction.observed.shape == batch.flux.shape


def test_line_spread_function_lies_between_decoder_and_data(toy):
    architecture = {**ARCHITECTURE, "lsf": 1.5, "latent_size": 3}
    transform = RedshiftTransform.of(architecture, toy.transform.observed)
    basis = fit_basis([toy.batch], transform, 3, iterations=10)
    model = SpectrumAutoencoder.build(architecture, toy.transform.observed, basis)
    latent, restframe, amplitude, observed = model(*toy.batch)
    assert restframe.shape == (len(latent), transform.restframe.size)
    torch.testing.assert_close(observed, transform(amplitude[:, None] * restframe, toy.batch.z))
    # The toy's narrow line is 4 pixels wide, so the model's own must be sharper than the data's.
    assert reduced_chi2(toy.batch.flux, toy.batch.ivar, observed, 3).median() < 1.3


def test_published_sizes():
    # arXiv:2211.07890: 3921 pixels are pooled to 72, 256 features; about 3.2 million weights.
    encoder = SpectrumAutoencoder.build(
        {**ARCHITECTURE, "encoder": "published", "decoder": "published", "latent_size": 10},
        _grid(3921),
    ).encoder
    assert encoder.convolutions(torch.zeros(2, 1, 3921)).shape == (2, 512, 72)
    assert encoder.features[0].in_features == 256


def test_restframe_encoder_does_not_see_masked_flux(model, toy):
    flux, ivar, z = toy.batch
    garbage = torch.where(ivar > 0, flux, 1e3)
    torch.testing.assert_close(model.encoder(garbage, ivar, z), model.encoder(flux, ivar, z))


@pytest.mark.parametrize("scale", [1e-3, 7.0])
def test_brightness_does_not_matter(model, toy, scale):
    flux, ivar, z = toy.batch
    latent, _, amplitude, observed = model(flux, ivar, z)
    scaled = model(scale * flux, ivar / scale**2, z)
    torch.testing.assert_close(scaled.latent, latent, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scaled.amplitude, scale * amplitude, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(scaled.observed, scale * observed, rtol=1e-3, atol=1e-4 * scale)


def test_best_fit_amplitude_has_the_least_chi2(toy):
    flux, ivar, _ = toy.batch
    amplitude = best_fit_amplitude(flux, ivar, 3 * toy.truth)
    assert amplitude.mean() == pytest.approx(1 / 3, abs=0.01)

    def chi2(factor):
        model = factor * amplitude[:, None] * 3 * toy.truth
        return (ivar * (flux - model).square()).sum(dim=1)

    assert (chi2(1.0) < chi2(1.01)).all()
    assert (chi2(1.0) < chi2(0.99)).all()


def test_published_amplitude_is_the_norm(toy):
    architecture = {**ARCHITECTURE, "amplitude": "norm", "encoder": "published"}
    published = SpectrumAutoencoder.build(architecture, toy.transform.observed).eval()
    reconstruction = published(*toy.batch)
    assert (reconstruction.amplitude == 1).all()
    expected = published.transform(reconstruction.restframe, toy.batch.z)
    torch.testing.assert_close(reconstruction.observed, expected)
    assert published.parameters_per_object == 2


def test_attention_sums_to_one_and_is_what_the_encoder_uses(toy):
    architecture = {**ARCHITECTURE, "encoder": "published"}
    encoder = SpectrumAutoencoder.build(architecture, toy.transform.observed).encoder.eval()
    flux, ivar, z = (tensor[:8] for tensor in toy.batch)
    values, attention = encoder.attend(flux, ivar)
    assert values.shape == attention.shape == (8, 256, attention.shape[2])
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(8, 256))
    torch.testing.assert_close(encoder.summarise(values, attention), encoder(flux, ivar, z))


def test_saved_model_is_the_same_model(model, toy, tmp_path):
    card = {"architecture": ARCHITECTURE, "grid": vars(toy.transform.observed)}
    card["grid"] = {key: card["grid"][key] for key in ("kind", "start", "step", "size")}
    save_model(tmp_path / "m.safetensors", tmp_path / "m.json", model, card)
    loaded = SpectrumAutoencoder.load(tmp_path / "m.safetensors", tmp_path / "m.json")
    torch.testing.assert_close(loaded(*toy.batch).observed, model(*toy.batch).observed)
    assert json.loads((tmp_path / "m.json").read_text())["library_version"]


def test_damaged_weights_and_cards_name_the_file(model, toy, tmp_path):
    weights, card = tmp_path / "m.safetensors", tmp_path / "m.json"
    grid = {"kind": "log10", "start": 3.6, "step": 5e-4, "size": 400}
    save_model(weights, card, model, {"architecture": ARCHITECTURE, "grid": grid})
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(UserError, match=r"m\.safetensors.*retrain"):
        SpectrumAutoencoder.load(weights, card)
    weights.write_bytes(whole)
    other = {"architecture": {**ARCHITECTURE, "latent_size": 5}, "grid": grid}
    card.write_text(json.dumps(other))
    with pytest.raises(UserError, match="does not fit its card"):
        SpectrumAutoencoder.load(weights, card)
    card.write_text("{")
    with pytest.raises(UserError, match=r"m\.json.*not a model card"):
        SpectrumAutoencoder.load(weights, card)


def test_reduced_chi2_of_the_truth_is_one(toy):
    chi2 = reduced_chi2(toy.batch.flux, toy.batch.ivar, toy.truth, 0)
    assert chi2.mean() == pytest.approx(1, abs=0.01)


def _grid(size):
    from uraniborg.grids import WavelengthGrid

    return WavelengthGrid("log10", 3.578, 1e-4, size)
