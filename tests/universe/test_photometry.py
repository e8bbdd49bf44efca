import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sedpy.observate import Filter, getSED

from uraniborg.errors import UserError
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.photometry import UGRIZJHK_W1, ab_magnitude, band_mean, read_filter

WAVELENGTH = np.geomspace(2500, 60000, 60000)


def test_magnitudes_agree_with_sedpy():
    spectrum = 1e-16 * (WAVELENGTH / 5000) ** -1.3 * (1 + 0.3 * np.sin(WAVELENGTH / 200))
    filters = [read_filter(name) for name in UGRIZJHK_W1.values()]
    ours = ab_magnitude(band_mean(WAVELENGTH, spectrum[None], filters), filters)[0]
    theirs = getSED(WAVELENGTH, spectrum, [Filter(name) for name in UGRIZJHK_W1.values()])
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_a_flat_f_nu_spectrum_of_3631_jansky_has_magnitude_zero():
    spectrum = 3.631e-20 * 2.99792458e18 / WAVELENGTH**2
    filters = [read_filter(name) for name in UGRIZJHK_W1.values()]
    magnitudes = ab_magnitude(band_mean(WAVELENGTH, spectrum[None], filters), filters)
    assert magnitudes == pytest.approx(0, abs=1e-3)


def test_a_constant_density_is_its_own_mean():
    filters = [read_filter("sdss_g0"), read_filter("wise_w1")]
    assert band_mean(WAVELENGTH, np.full((1, 60000), 7.0), filters) == pytest.approx(7)


def test_faults_are_named():
    with pytest.raises(UserError, match="no_such_filter"):
        read_filter("no_such_filter")
    with pytest.raises(ValueError, match="beyond"):
        band_mean(WAVELENGTH[:100], np.ones((1, 100)), [read_filter("sdss_r0")])


FILTERS = [read_filter(f"sdss_{band}0") for band in "ugriz"]
GRID = band_grid(FILTERS, z_max=0.8)


@given(st.floats(0.001, 0.8), st.floats(-25, -10))
def test_a_flat_ab_source_is_exact(z, log_density):
    density = 10**log_density
    wavelength = torch.as_tensor(GRID.wavelength) * (1 + z)
    flux = (1e17 * density * 2.99792458e18 / wavelength**2)[None]
    magnitudes = 22.5 - 2.5 * torch.log10(BandFluxes(FILTERS, GRID)(flux, torch.tensor([z])))
    assert magnitudes.numpy() == pytest.approx(-2.5 * np.log10(density / 3.631e-20), abs=1e-4)


def galaxies(count=200, dtype=torch.float32):
    random = np.random.default_rng(1)
    values = {
        "z": random.uniform(0.01, 0.79, count),
        "stellar_mass": random.uniform(9, 12, count),
        "history": random.dirichlet(np.ones(8), count),
        "log_metallicity": random.uniform(-1.5, 0.35, count),
        "A_V": random.uniform(0.1, 2, count),
        "birth_cloud_ratio": random.uniform(0.1, 2, count),
        "dust_slope": random.uniform(-1, 0.4, count),
        "log_u": random.uniform(-3.9, -2.1, count),
    }
    values |= {name: np.full(count, 50.0) for name in ("velocity_dispersion", "gas_dispersion")}
    return {
        name: torch.as_tensor(value, dtype=torch.float64 if name == "z" else dtype)
        for name, value in values.items()
    }


def test_the_coarse_grid_agrees_with_full_resolution(ssp_grid):
    p = galaxies()
    fine = GRID.__class__("log10", GRID.start, 1e-4, GRID.size * 20 - 20)
    flux = GalaxyModel(ssp_grid, fine).flux(p).double().numpy() * 1e-17
    exact = np.concatenate(
        [
            ab_magnitude(band_mean(fine.wavelength * (1 + z), row[None], FILTERS), FILTERS)
            for z, row in zip(p["z"].tolist(), flux, strict=True)
        ]
    )
    coarse = BandFluxes(FILTERS, GRID)(
        GalaxyModel(ssp_grid, GRID, velocities=False).flux(p), p["z"]
    )
    error = 22.5 - 2.5 * np.log10(coarse.numpy()) - exact
    assert np.abs(error).mean() < 2e-3
    assert np.quantile(np.abs(error), 0.99) < 0.015


def test_gradients_are_those_of_finite_differences(ssp_grid):
    p = galaxies(12, torch.float64)
    model, bands = GalaxyModel(ssp_grid, GRID, velocities=False), BandFluxes(FILTERS, GRID)

    def magnitudes(values):
        return -2.5 * torch.log10(bands(model.flux(values), values["z"]))

    inputs = {name: values.clone().requires_grad_() for name, values in p.items()}
    direction = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (magnitudes(inputs) @ direction).sum().backward()
    for name, values in p.items():
        if name.endswith("dispersion"):
            continue
        one = torch.zeros_like(values)
        one[..., 0] = 1
        one = one if values.ndim > 1 else torch.ones_like(values)
        step = 1e-5
        up, down = ({**p, name: values + sign * step * one} for sign in (1, -1))
        numeric = ((magnitudes(up) - magnitudes(down)) @ direction) / (2 * step)
        exact = (inputs[name].grad * one).reshape(12, -1).sum(1)
        assert exact.numpy() == pytest.approx(numeric.numpy(), rel=1e-3, abs=1e-6), name


def test_a_redshift_beyond_the_grid_is_refused():
    with pytest.raises(ValueError, match="beyond"):
        BandFluxes(FILTERS, GRID)(torch.ones(1, GRID.size), torch.tensor([1.5]))
