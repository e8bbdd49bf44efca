import pytest
import torch
from torch import nn

from uraniborg.nets.convolution import convolution_stage, fourier_convolution
from uraniborg.nets.encoders import PublishedEncoder


@pytest.mark.parametrize(("length", "kernel"), [(72, 21), (100, 11), (7, 5), (30, 3)])
def test_fourier_convolution_is_the_convolution(length, kernel):
    torch.manual_seed(3)
    layer = nn.Conv1d(6, 9, kernel, padding=kernel // 2, bias=False).double()
    x = torch.randn(4, 6, length, dtype=torch.float64)
    found = fourier_convolution(x.transpose(1, 2), layer.weight).transpose(1, 2)
    torch.testing.assert_close(found, layer(x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize("pool", [None, 5])
def test_a_stage_is_the_sequence_of_its_layers(channels, pool):
    torch.manual_seed(3)
    layer, activation = nn.Conv1d(channels, 8, 11, padding=5), nn.PReLU(8)
    layers = [layer, nn.InstanceNorm1d(8), activation]
    layers += [] if pool is None else [nn.MaxPool1d(pool, padding=pool // 2)]
    x = 3 + torch.randn(4, channels, 83)
    parameters = (layer.weight, activation.weight)

    def outcome(y):
        return y, *torch.autograd.grad(y.square().sum(), parameters)

    expected = outcome(nn.Sequential(*layers)(x))
    found = outcome(convolution_stage(x.transpose(1, 2), layer, activation, pool).transpose(1, 2))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-4)


@pytest.mark.parametrize("slope", [0.25, -0.1])
def test_the_published_encoder_is_the_sequence_of_its_layers(slope):
    torch.manual_seed(3)
    encoder = PublishedEncoder(4, channels=(8, 12, 16), pools=(3, 5)).eval()
    for layer in encoder.convolutions:
        if isinstance(layer, nn.PReLU):
            nn.init.constant_(layer.weight, slope)
    flux = 1 + 0.2 * torch.randn(5, 400)
    values, attention = encoder.attend(flux, torch.ones_like(flux))
    expected, keys = encoder.convolutions(flux[:, None]).chunk(2, dim=1)
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(attention, keys.softmax(dim=-1), atol=1e-4, rtol=1e-4)


def test_it_learns_after_inference():
    layer, x = nn.Conv1d(3, 5, 7, padding=3), torch.randn(2, 47, 3)
    with torch.inference_mode():
        fourier_convolution(x, layer.weight)
    fourier_convolution(x, layer.weight).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
