import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.dust import attenuation
from uraniborg.universe.galaxies import GalaxyModel, broaden, library_dispersion
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit
from uraniborg.universe.photometry import ab_magnitude, band_mean, read_filter

C = 299792.458
SPECTRAL = (
    "z",
    "stellar_mass",
    "history",
    "log_metallicity",
    "A_V",
    "birth_cloud_ratio",
    "dust_slope",
    "gas_metallicity",
    "log_u",
    "velocity_dispersion",
    "gas_dispersion",
)


@pytest.fixture(scope="module")
def galaxies(ssp_grid):
    limits = {"sdss_r0": Limit(17.77, 0.1)}
    return GalaxyPopulation(ssp_grid, z_max=0.3, z_min=0.01, limits=limits).sample(0, 256, seed=1)


@pytest.fixture(scope="module")
def light(model, galaxies):
    return model.luminosity(galaxies).numpy()


def without_dust(galaxies):
    return {**galaxies, "A_V": np.zeros(len(galaxies["A_V"]))}


def test_spectra_are_finite_and_positive(light):
    assert light.dtype == np.float32
    assert np.isfinite(light).all()
    assert (light > 0).all()


def test_apparent_magnitudes_are_near_the_limit(model, galaxies):
    flux = model.flux(galaxies).double().numpy()
    r = read_filter("sdss_r0")
    magnitudes = np.array(
        [
            ab_magnitude(band_mean(model.grid.wavelength * (1 + z), 1e-17 * row[None], [r]), [r])
            for z, row in zip(galaxies["z"], flux, strict=True)
        ]
    )
    assert 16.7 < np.median(magnitudes) < 17.77
    assert magnitudes.max() < 17.77 + 4 * 0.1


def test_light_scales_with_mass(model, galaxies, light):
    heavier = {name: galaxies[name] + 1 for name in ("stellar_mass", "agn_luminosity")}
    heavier = {**galaxies, **heavier}
    assert np.allclose(model.luminosity(heavier).numpy(), 10 * light, rtol=1e-4)


def test_dust_dims_and_reddens(model, galaxies, light):
    transmitted = light / model.luminosity(without_dust(galaxies)).numpy()
    assert (transmitted <= 1 + 1e-5).all()
    blue, red = (np.searchsorted(model.grid.wavelength, w) for w in (4200, 7000))
    dusty = galaxies["A_V"] > 0.1
    assert (transmitted[dusty, blue] < transmitted[dusty, red]).all()
    v = np.searchsorted(model.grid.wavelength, 5500)
    quiescent = galaxies["quiescent"] & dusty
    expected = 10 ** (-0.4 * galaxies["A_V"][quiescent])
    assert transmitted[quiescent, v] == pytest.approx(expected, rel=0.02)


def test_lines_and_continuum_of_young_stars_see_more_dust(model, galaxies):
    # An active nucleus is in no birth cloud.
    galaxies = {**galaxies, "agn_luminosity": np.full(256, -np.inf)}
    ratio = (
        model.line_luminosities(galaxies) / model.line_luminosities(without_dust(galaxies))
    ).numpy()
    h_alpha = model.nebular.index("H 1 6562.80A")
    curve = attenuation(model.line_curve, torch.as_tensor(galaxies["dust_slope"]))
    curve = curve[:, h_alpha].numpy()
    A_V = galaxies["A_V"] * (1 + galaxies["birth_cloud_ratio"])
    assert ratio[:, h_alpha] == pytest.approx(10 ** (-0.4 * curve * A_V), rel=1e-3)


def test_h_alpha_in_the_spectrum_has_the_line_luminosity(model, galaxies, light):
    star_forming = ~galaxies["quiescent"]
    lines = model.line_luminosities(galaxies).numpy()[star_forming]
    names = ("H 1 6562.80A", "N 2 6583.45A", "N 2 6548.05A")
    expected = sum(lines[:, model.nebular.index(name)] for name in names)
    wavelength, width = model.grid.wavelength, np.diff(model.grid.edges)
    inside = np.abs(wavelength - 6564) < 60
    sides = (np.abs(wavelength - 6564) < 100) & ~inside
    continuum = np.median(light[star_forming][:, sides], axis=1, keepdims=True)
    measured = ((light[star_forming] - continuum) * width)[:, inside].sum(1)
    # Stellar absorption below the lines takes a few Angstrom of the continuum.
    absorbed = (expected - measured) / continuum[:, 0]
    assert -1 < np.median(absorbed) < 5


def test_gradients_reach_every_continuous_parameter(model, galaxies):
    parameters = {
        name: torch.tensor(galaxies[name][:4], dtype=torch.float64, requires_grad=True)
        for name in galaxies
        if name in SPECTRAL
    }
    model.flux(parameters)[:, ::50].log().sum().backward()
    for name, values in parameters.items():
        assert values.grad.isfinite().all(), name
        assert (values.grad != 0).any(), name


@given(st.floats(95, 400))
def test_broadening_adds_the_dispersion_less_that_of_the_library(dispersion):
    grid = WavelengthGrid("log10", np.log10(5000), 2e-5, 4096)
    line = torch.zeros(1, grid.size, dtype=torch.float64)
    line[0, 2048] = 1
    result = broaden(line, grid, torch.tensor([dispersion], dtype=torch.float64))[0].numpy()
    velocity = np.log(grid.wavelength / grid.wavelength[2048]) * C
    resolution = library_dispersion(torch.tensor(grid.wavelength[2048:2049])).item()
    assert result.sum() == pytest.approx(1, abs=2e-3)
    measured = (result * velocity**2).sum() / result.sum()
    assert measured == pytest.approx(dispersion**2 - resolution**2, rel=0.02)


def test_broadening_below_the_resolution_changes_little_and_constants_stay():
    grid = WavelengthGrid("log10", np.log10(5000), 2e-5, 1024)
    random = torch.rand(
        2, grid.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    unchanged = broaden(random, grid, torch.tensor([0.0, 20.0]))
    assert torch.allclose(unchanged, random)
    constant = torch.ones(2, grid.size)
    assert torch.allclose(
        broaden(constant, grid, torch.tensor([100.0, 300.0])), constant, atol=1e-5
    )


def test_a_linear_grid_is_refused(ssp_grid):
    with pytest.raises(ValueError, match="log10"):
        GalaxyModel(ssp_grid, WavelengthGrid("linear", 4000.0, 1.0, 100))
