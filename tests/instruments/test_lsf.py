"""Line-spread functions have the width that was asked for."""

import numpy as np
import pytest
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.lsf import convolve_lsf, lsf_kernels
from uraniborg.instruments.resampling import resample


@pytest.mark.parametrize("sigma", [0.7, 0.9, 1.2, 3.0])
def test_an_unresolved_line_has_the_requested_width(sigma):
    target = WavelengthGrid("log10", 3.6, 1e-4, 101)
    # Lines at ten places within a pixel.
    source = WavelengthGrid("log10", 3.6 - 0.45e-4, 1e-5, 1010)
    flux = torch.zeros(10, source.size, dtype=torch.float64)
    lines = 500 + torch.arange(10)
    flux[torch.arange(10), lines] = 1
    kernels = lsf_kernels(torch.full((101,), sigma, dtype=torch.float64))
    output = convolve_lsf(resample(flux, source, target), kernels).numpy()
    offset = np.arange(101) - (lines.numpy()[:, None] - 4.5) / 10
    variance = (output * offset**2).sum() / output.sum()
    assert np.sqrt(variance) == pytest.approx(sigma, rel=0.01)


def test_the_width_follows_the_wavelength():
    sigma = torch.linspace(0.8, 2.0, 400, dtype=torch.float64)
    flux = torch.zeros(2, 400, dtype=torch.float64)
    flux[0, 50] = flux[1, 350] = 1
    output = convolve_lsf(flux, lsf_kernels(sigma)).numpy()
    for row, pixel in zip(output, (50, 350), strict=True):
        width = np.sqrt((row * (np.arange(400) - pixel) ** 2).sum() / row.sum() + 1 / 12)
        assert width == pytest.approx(sigma[pixel].item(), rel=0.02)


def test_constants_stay_and_flux_is_kept():
    kernels = lsf_kernels(torch.full((300,), 1.1, dtype=torch.float64))
    constant = torch.full((1, 300), 3.0, dtype=torch.float64)
    torch.testing.assert_close(convolve_lsf(constant, kernels), constant)
    flux = torch.zeros(1, 300, dtype=torch.float64)
    flux[:, 100:200] = torch.rand(100, dtype=torch.float64)
    torch.testing.assert_close(convolve_lsf(flux, kernels).sum(), flux.sum())
