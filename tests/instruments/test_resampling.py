"""Resampling conserves flux, keeps wavelengths, and is differentiable."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.resampling import coverage, resample
from uraniborg.instruments.wavelengths import GRIDS, source_grid

SDSS = WavelengthGrid("log10", 3.578, 1e-4, 3921)

# Steps in a simple ratio to the target's 2e-4 dex, and one that is not.
STEPS = [2e-4, 1e-4, 0.5e-4, 0.37e-4]
TARGETS = [
    WavelengthGrid("log10", 3.5, 2e-4, 2500),
    WavelengthGrid("linear", 3200.0, 2.3, 2700),
]


def by_overlap(flux, source_edges, target_edges):
    """Mean over target pixels from the matrix of overlaps, written independently in numpy."""

    low = np.maximum(target_edges[:-1, None], source_edges[None, :-1])
    high = np.minimum(target_edges[1:, None], source_edges[None, 1:])
    overlap = np.clip(high - low, 0, None)
    return overlap @ flux / np.diff(target_edges)


@settings(max_examples=60, deadline=None)
@given(
    z=st.floats(0, 0.5),
    step=st.sampled_from(STEPS),
    start=st.floats(3.50, 3.55),
    target=st.sampled_from(TARGETS),
    seed=st.integers(0, 2**31),
)
def test_flux_is_conserved(z, step, start, target, seed):
    source = WavelengthGrid("log10", start, step, int(0.2 / step))
    flux = torch.rand(1, source.size, generator=torch.Generator().manual_seed(seed))
    redshift = torch.tensor([z], dtype=torch.float64)
    # The light lies well inside the target, so that none is cut off at the ends.
    flux[:, : source.size // 10] = 0
    flux[:, -source.size // 10 :] = 0
    output = resample(flux, source, target, redshift)

    before = (flux[0].double().numpy() * np.diff(source.edges)).sum() * (1 + z)
    after = (output[0].double().numpy() * np.diff(target.edges)).sum()
    assert output.dtype == torch.float32
    assert after == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("z", [0.0, 0.1, 0.377, 0.8, 1.5])
@pytest.mark.parametrize("name", GRIDS)
def test_every_instrument_conserves_energy(name, z, dtype):
    """Of whole spectra and of single lines: the integral over wavelength, to 1e-6 and better."""

    target = GRIDS[name]
    source = source_grid(target, 1.5)
    observed = source.wavelength * (1 + z)
    inside = (observed > target.edges[5]) & (observed < target.edges[-6])
    spectra = torch.rand(2, source.size, generator=torch.Generator().manual_seed(0)).to(dtype)
    pixels = np.flatnonzero(inside)[:: inside.sum() // 20]
    lines = torch.nn.functional.one_hot(torch.as_tensor(pixels), source.size).to(dtype)
    flux = torch.cat([spectra * torch.as_tensor(inside), lines])
    output = resample(flux, source, target, torch.full((len(flux),), z))

    before = flux.double().numpy() @ np.diff(source.edges) * (1 + float(torch.tensor(z)))
    after = output.double().numpy() @ np.diff(target.edges)
    np.testing.assert_allclose(after, before, rtol=2e-7 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_source_grids_reach_beyond_the_observed_range(name):
    source = source_grid(GRIDS[name], 0.4, -0.01)
    z = torch.tensor([-0.01, 0.0, 0.4])
    assert coverage(source, GRIDS[name], z).all()
    widest = GRIDS[name].edges[-1] - GRIDS[name].edges[-2]
    inside = source.wavelength < GRIDS[name].wavelength[-1]
    assert np.diff(source.wavelength)[inside[1:]].max() < 0.75 * widest


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("target", TARGETS)
def test_agrees_with_the_matrix_of_overlaps(step, target):
    source = WavelengthGrid("log10", 3.48, step, int(0.1 / step))
    flux = torch.rand(3, source.size, dtype=torch.float64)
    z = torch.tensor([0.0, 0.123456, 0.31], dtype=torch.float64)
    output = resample(flux, source, target, z).numpy()
    covered = coverage(source, target, z).numpy()
    for i in range(3):
        expected = by_overlap(flux[i].numpy(), source.edges * (1 + z[i].item()), target.edges)
        assert covered[i].any()
        np.testing.assert_allclose(output[i, covered[i]], expected[covered[i]], rtol=1e-9)
        assert not output[i, ~covered[i]].any()


@pytest.mark.parametrize("step", [1e-4, 0.5e-4, 0.37e-4])
def test_a_constant_stays_constant(step):
    source = WavelengthGrid("log10", 3.4, step, int(0.6 / step))
    z = torch.tensor([0.0, 0.2, 0.45], dtype=torch.float64)
    output = resample(torch.full((3, source.size), 7.0), source, SDSS, z)
    assert coverage(source, SDSS, z).all()
    torch.testing.assert_close(output, torch.full_like(output, 7.0), rtol=1e-6, atol=0)


@settings(max_examples=30, deadline=None)
@given(z=st.floats(0, 0.5), pixel=st.integers(2500, 3500))
def test_a_line_keeps_its_flux_and_lands_at_its_wavelength(z, pixel):
    source = SDSS.restframe(0.5)
    flux = torch.zeros(1, source.size)
    flux[0, pixel] = 1
    output = resample(flux, source, SDSS, torch.tensor([z], dtype=torch.float64))[0].double()
    output = output.numpy() * np.diff(SDSS.edges)
    width = np.diff(source.edges)[pixel] * (1 + z)
    centroid = (output * SDSS.wavelength).sum() / output.sum()
    observed = source.wavelength[pixel] * (1 + z)
    assert output.sum() == pytest.approx(width, rel=1e-6)
    # Within 1% of a pixel, 0.7 km/s.
    assert abs(centroid / observed - 1) < 0.01 * 1e-4 * np.log(10)


def test_pixels_not_covered_are_zero_and_said_to_be():
    source = WavelengthGrid("log10", 3.6, 1e-4, 1000)
    z = torch.tensor([0.0, 0.1], dtype=torch.float64)
    output = resample(torch.ones(2, 1000), source, SDSS, z)
    covered = coverage(source, SDSS, z)
    assert torch.equal(output != 0, covered)
    # Aligned pixels are all covered; shifted by a fraction of a pixel, one fewer.
    assert covered.sum(1).tolist() == [1000, 999]


@pytest.mark.parametrize("step", [1e-3, 0.7e-3])
def test_gradients_are_exact(step):
    target = WavelengthGrid("log10", 3.6, 1e-3, 20)
    source = WavelengthGrid("log10", 3.55, step, 60)
    flux = torch.rand(2, 60, dtype=torch.float64, requires_grad=True)
    z = torch.tensor([0.0312, 0.0123], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, x: resample(f, source, target, x), (flux, z))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="flux has shape"):
        resample(torch.ones(2, 5), SDSS, SDSS)
    with pytest.raises(ValueError, match="z has shape"):
        resample(torch.ones(2, SDSS.size), SDSS, SDSS, torch.zeros(3))
