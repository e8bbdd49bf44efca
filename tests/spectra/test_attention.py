import numpy as np
import pytest
import torch
from torch import nn

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.encoders import PublishedEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.spectra.attention import (
    CURVE_COLUMNS,
    ENHANCEMENT_COLUMNS,
    FEATURES,
    Feature,
    Sequence,
    attention_numbers,
    attention_tables,
    attribution,
    enhancement,
    in_restframe,
    near_feature,
    sequence,
    strength,
    untrained,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.transform import RedshiftTransform

GRID = WavelengthGrid("log10", 3.578, 4e-4, 980)


def positions_by_gradient(layers, pixels, channels=1):
    """First and last pixel that each position of a sequence sees."""

    flux = torch.randn(1, channels, pixels, requires_grad=True)
    output = layers(flux)
    seen = []
    for position in range(output.shape[-1]):
        (gradient,) = torch.autograd.grad(
            output[..., position].sum(), flux, retain_graph=True, create_graph=False
        )
        where = gradient.abs().sum(dim=(0, 1)).nonzero()[:, 0]
        seen.append((int(where[0]), int(where[-1])))
    return np.array(seen)


@pytest.mark.parametrize("pixels", [500, 503])
def test_positions_of_the_flux_encoder_lie_where_they_look(pixels):
    torch.manual_seed(0)
    encoder = FluxEncoder(3, weighted=False).eval()

    def layers(flux):
        windows = flux.unfold(2, encoder.kernel, encoder.stride).transpose(1, 2).flatten(2)
        return encoder.convolutions(encoder.windows(windows).transpose(1, 2)[:, :, None])

    seen, found = positions_by_gradient(layers, pixels), sequence(encoder, pixels)
    assert len(found.centre) == len(seen)
    whole = (seen[:, 0] > 0) & (seen[:, 1] < pixels - encoder.stride)
    assert whole.any()
    np.testing.assert_allclose(seen[whole].mean(axis=1), found.centre[whole])
    assert set(np.diff(seen[whole], axis=1)[:, 0] + 1) == {found.field}


def test_positions_of_the_published_encoder_lie_where_they_look():
    torch.manual_seed(0)
    encoder = PublishedEncoder(3, channels=(2, 2, 4), kernels=(3, 5, 5), pools=(3, 5)).eval()
    # Each maximum picks one pixel; sums show all that could be picked. Normalisations mix places.
    layers = nn.Sequential(
        *(
            nn.AvgPool1d(layer.kernel_size, padding=layer.padding)
            if isinstance(layer, nn.MaxPool1d)
            else layer
            for layer in encoder.convolutions
            if isinstance(layer, nn.Conv1d | nn.MaxPool1d)
        )
    )
    seen, found = positions_by_gradient(layers, 600), sequence(encoder, 600)
    assert len(found.centre) == len(seen)
    whole = (seen[:, 0] > 0) & (seen[:, 1] < 599)
    np.testing.assert_allclose(seen[whole].mean(axis=1), found.centre[whole])
    assert set(np.diff(seen[whole], axis=1)[:, 0] + 1) == {found.field}


@pytest.mark.parametrize("encoder", [FluxEncoder(3), PublishedEncoder(3, (4, 4, 8))])
def test_there_are_as_many_positions_as_attention_has(encoder):
    flux = torch.randn(2, 1001)
    values, _ = encoder.eval().attend(flux, torch.ones_like(flux))
    assert values.shape[-1] == len(sequence(encoder, 1001).centre)


class Blocks(nn.Module):
    """Attends to blocks of ten pixels by their brightness; the latent is the brightest block's."""

    latent_size = 1

    def attend(self, flux, ivar):
        blocks = flux.unflatten(1, (-1, 10)).mean(dim=2)[:, None]
        return blocks, blocks.softmax(dim=-1)

    def summarise(self, values, attention):
        return (values * attention).sum(dim=-1)

    def forward(self, flux, ivar, z):
        return self.summarise(*self.attend(flux, ivar))


class Line(nn.Module):
    """A flat spectrum with a line at H alpha as strong as the latent."""

    def __init__(self, wavelength):
        super().__init__()
        self.line = torch.from_numpy(np.abs(wavelength - 6564.6) < 8).float()

    def forward(self, latent):
        return 1 + latent * self.line


@pytest.fixture
def model():
    transform = RedshiftTransform(GRID, z_max=0.3)
    return SpectrumAutoencoder(Blocks(), Line(transform.restframe.wavelength), transform)


@pytest.fixture
def batch():
    """Spectra of nothing but H alpha at many redshifts."""

    z = torch.linspace(0.01, 0.29, 40)
    wavelength = torch.from_numpy(GRID.wavelength)
    distance = (wavelength - 6564.6 * (1 + z[:, None])).abs()
    flux = 30.0 * (distance < 10) + 0.1
    return Batch(flux.float(), torch.ones_like(flux).float(), z)


def test_attribution_finds_the_line_and_a_control_does_not(model, batch):
    halpha = FEATURES[0]
    shares, value = attribution(model, batch, halpha)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (value > 0).all()
    where = Sequence(np.arange(98) * 10 + 4.5, 10, 10)
    z = batch.z.numpy()
    found = enhancement(shares, near_feature(where, GRID, z, halpha))
    elsewhere = enhancement(shares, near_feature(where, GRID, z[::-1].copy(), halpha))
    assert np.median(found) > 30
    assert np.median(elsewhere) < 0.1 * np.median(found)


def test_absorption_is_a_deficit():
    feature = Feature("dip", ((5000, 5010),), ((4950, 4990), (5020, 5060)), (5000, 5010), -1.0)
    wavelength = np.arange(4900, 5100.0)
    dip = torch.from_numpy(np.where((wavelength >= 5000) & (wavelength <= 5010), 1.0, 2.0))[None]
    assert strength(dip, wavelength, feature).item() == pytest.approx(0.5)
    assert strength(7 * dip, wavelength, feature).item() == pytest.approx(0.5)


def test_even_attribution_is_one_and_a_single_position_counts_in_full():
    where = Sequence(np.arange(98) * 10 + 4.5, 10, 10)
    z = np.array([0.05, 0.1, 0.2])
    near = near_feature(where, GRID, z, FEATURES[3])
    assert near.any(axis=1).all()
    np.testing.assert_allclose(enhancement(np.full((3, 98), 1 / 98), near), 1)
    single = np.zeros((3, 98))
    single[np.arange(3), near.argmax(axis=1)] = 1
    np.testing.assert_allclose(enhancement(single, near), 98 / near.sum(axis=1))


def test_what_is_not_observed_or_not_attributed_has_no_enhancement():
    where = Sequence(np.arange(98) * 10 + 4.5, 10, 10)
    shares = np.full((2, 98), 1 / 98)
    # H alpha leaves the spectrum.
    near = near_feature(where, GRID, np.array([0.1, 0.6]), FEATURES[0])
    assert near.any(axis=1).tolist() == [True, False]
    assert np.isnan(enhancement(shares, near)).tolist() == [False, True]
    assert np.isnan(enhancement(0 * shares, near)).all()


def test_the_rest_frame_follows_the_redshift():
    where = Sequence(np.arange(98) * 10 + 4.5, 10, 10)
    z = np.array([0.0, 0.2])
    near = near_feature(where, GRID, z, FEATURES[0])
    shares = near / near.sum(axis=1, keepdims=True)
    values = in_restframe(shares, where, GRID, z, np.array([2000.0, 5500.0, 6564.6]))
    assert np.isnan(values[:, 0]).all()
    assert (values[:, 1] == 0).all()
    assert (values[:, 2] > 20).all()


def test_tables_hold_every_feature_and_its_controls(batch):
    torch.manual_seed(0)
    architecture = {"encoder": "flux", "decoder": "low_rank", "latent_size": 3, "rank": 4}
    architecture |= {"z_min": -0.01, "z_max": 0.3, "oversampling": 1, "lsf": "none"}
    architecture |= {"amplitude": "best_fit", "weighted": True}
    model = SpectrumAutoencoder.build(architecture, GRID).eval()
    # A decoder that starts without a basis has no features to attribute.
    nn.init.normal_(model.decoder.basis, std=0.1)
    identifiers = np.array([f"g{i}" for i in range(40)], dtype=object)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    curves, enhancements = attention_tables(model, batch, identifiers)
    again = attention_tables(model, batch, identifiers)
    assert set(curves) == {column.name for column in CURVE_COLUMNS}
    assert set(enhancements) == {column.name for column in ENHANCEMENT_COLUMNS}
    assert enhancements["feature"].tolist() == [feature.name for feature in FEATURES]
    assert curves.equals(again[0])
    assert enhancements.equals(again[1])
    # The controls left the model as it was.
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())
    numbers = attention_numbers(enhancements)
    assert numbers["attention_halpha"]["n"] == enhancements["n"].iloc[0]
    assert {"attention_untrained_control", "attention_shuffled_control"} < set(numbers)


def test_an_untrained_encoder_is_another_one_with_the_same_decoder():
    transform = RedshiftTransform(GRID, z_max=0.3)
    decoder = Line(transform.restframe.wavelength)
    model = SpectrumAutoencoder(FluxEncoder(1), decoder, transform).eval()
    before = torch.get_rng_state()
    first, again, other = (untrained(model, seed) for seed in (1, 1, 2))
    assert before.equal(torch.get_rng_state())
    weights = [m.encoder.windows.weight for m in (model, first, again, other)]
    assert weights[1].equal(weights[2])
    assert not weights[1].equal(weights[0])
    assert not weights[1].equal(weights[3])
