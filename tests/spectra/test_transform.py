import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.transform import RedshiftTransform

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
TRANSFORM = RedshiftTransform(GRID, z_max=0.5)
redshifts = st.floats(-0.0099, 0.5)


@given(redshifts)
def test_line_lands_at_redshifted_wavelength(z):
    restframe = torch.from_numpy(TRANSFORM.restframe.wavelength)
    center = 6000 / (1 + z)
    line = torch.exp(-0.5 * ((restframe - center) / 3) ** 2).float()[None]
    observed = TRANSFORM(line, torch.tensor([z]))[0].numpy()
    centroid = (GRID.wavelength * observed).sum() / observed.sum()
    assert centroid == pytest.approx(6000, abs=0.02)


@given(redshifts)
def test_smooth_spectrum_is_interpolated_to_a_part_in_ten_thousand(z):
    def spectrum(wavelength):
        return 1 + 0.5 * np.sin(wavelength / 15)

    restframe = torch.from_numpy(spectrum(TRANSFORM.restframe.wavelength)).float()[None]
    observed = TRANSFORM(restframe, torch.tensor([z], dtype=torch.float64))[0]
    np.testing.assert_allclose(observed, spectrum(GRID.wavelength / (1 + z)), atol=1e-4)


@given(redshifts, st.sampled_from([0.0, 1.2]))
def test_adjoint_is_the_transpose(z, lsf_sigma):
    transform = RedshiftTransform(GRID, z_max=0.5, lsf_sigma=lsf_sigma)
    generator = torch.Generator().manual_seed(0)
    restframe = torch.randn(1, transform.restframe.size, generator=generator)
    observed = torch.randn(1, GRID.size, generator=generator)
    shift = torch.tensor([z], dtype=torch.float64)
    forward = (transform(restframe, shift).double() * observed).sum()
    backward = (restframe.double() * transform.adjoint(observed, shift)).sum()
    assert forward == pytest.approx(backward.item(), abs=2e-3)


def test_line_spread_function_broadens_by_its_width():
    transform = RedshiftTransform(GRID, z_max=0.5, lsf_sigma=2.0)
    pixels = torch.arange(transform.restframe.size) - 3000.0
    line = torch.exp(-0.5 * (pixels / 1.5) ** 2)[None]
    observed = transform(line, torch.tensor([0.1]))[0].numpy()
    position = np.arange(GRID.size)
    mean = (position * observed).sum() / observed.sum()
    variance = ((position - mean) ** 2 * observed).sum() / observed.sum()
    # The shift is within a pixel of 3 per cent in variance; the widths add in quadrature.
    assert np.sqrt(variance) == pytest.approx(np.hypot(1.5, 2.0), rel=0.02)


@pytest.mark.parametrize("z", [-0.05, 0.51])
def test_redshift_outside_the_range_is_an_error(z):
    restframe = torch.ones(1, TRANSFORM.restframe.size)
    with pytest.raises(RuntimeError, match="out of bounds"):
        TRANSFORM(restframe, torch.tensor([z]))
