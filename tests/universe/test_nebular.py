import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.cosmology import L_SUN
from uraniborg.universe.histories import DirichletHistory
from uraniborg.universe.nebular import place_lines

H_ALPHA, H_BETA = "H 1 6562.80A", "H 1 4861.32A"


def constant_star_formation(populations, years=1e8):
    """1 M_sun/yr, shape (1, A)."""

    one = torch.ones(1, 1, dtype=torch.float64)
    weights = DirichletHistory((0.0, years)).weights(one, torch.zeros(1), populations.age_edges)
    return years * weights


def scalar(value):
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize("log_metallicity", [-0.7, -0.4, 0.0, 0.39])
def test_h_alpha_counts_ionising_photons(populations, nebular, log_metallicity):
    weights, z = constant_star_formation(populations), scalar(log_metallicity)
    lines = nebular.lines(nebular.absorbed(weights, z, scalar(-3.0)))[0]
    h_alpha = lines[nebular.index(H_ALPHA)].item() * L_SUN
    # Stars that have left their birth clouds emit a few photons too.
    photons = populations.ionising_photons(weights, z).item() * 1e46
    # Case B at 1e4 K (Osterbrock & Ferland 2006; Kennicutt 1998): 1.37e-12 erg per photon.
    assert h_alpha / photons == pytest.approx(1.37e-12, rel=0.03)
    assert h_alpha / (lines[nebular.index(H_BETA)].item() * L_SUN) == pytest.approx(2.86, rel=0.03)


def test_h_alpha_per_star_formation_rate_is_near_the_usual_calibration(populations, nebular):
    weights = constant_star_formation(populations)
    lines = nebular.lines(nebular.absorbed(weights, scalar(0.0), scalar(-3.0)))[0]
    # 10^41.27 erg/s for this mass function with other stellar tracks (Kennicutt & Evans 2012);
    # these stars emit 0.15 dex more ionising photons.
    log_h_alpha = np.log10(lines[nebular.index(H_ALPHA)].item() * L_SUN)
    assert log_h_alpha == pytest.approx(41.27, abs=0.2)


@pytest.mark.parametrize(
    ("stronger", "weaker", "ratio"),
    [
        ("O 3 5006.84A", "O 3 4958.91A", 2.98),  # Storey & Zeippen (2000)
        ("N 2 6583.45A", "N 2 6548.05A", 3.05),
    ],
)
def test_doublets_have_the_ratio_of_their_transition_rates(
    populations, nebular, stronger, weaker, ratio
):
    weights = constant_star_formation(populations)
    lines = nebular.lines(nebular.absorbed(weights, scalar(-0.3), scalar(-3.0)))[0]
    measured = lines[nebular.index(stronger)] / lines[nebular.index(weaker)]
    assert measured.item() == pytest.approx(ratio, rel=0.04)


@pytest.mark.parametrize(
    ("name", "vacuum"),
    [
        (H_ALPHA, 6564.61),
        (H_BETA, 4862.68),
        ("O 3 5006.84A", 5008.24),
        ("O 2 3728.81A", 3729.88),
        ("H 1 1215.67A", 1215.67),
        ("H 1 1.87510m", 18756.1),
    ],
)
def test_lines_are_at_vacuum_wavelengths(nebular, name, vacuum):
    assert nebular.line_wavelength[nebular.index(name)].item() == pytest.approx(vacuum, rel=4e-6)


def test_old_stars_have_no_nebulae(populations, nebular):
    weights = torch.zeros(1, len(populations.age), dtype=torch.float64)
    weights[0, populations.age > 2e7] = 1
    absorbed = nebular.absorbed(weights, scalar(0.0), scalar(-3.0))
    lines, continuum = nebular.lines_and_continuum(absorbed)
    assert (lines == 0).all()
    assert (continuum == 0).all()


def test_continuum_has_the_balmer_jump_and_is_positive(populations, nebular):
    absorbed = nebular.absorbed(constant_star_formation(populations), scalar(-0.4), scalar(-3.0))
    light = nebular.lines_and_continuum(absorbed)[1][0].numpy()
    wavelength = nebular.wavelength.numpy()
    assert (light[wavelength > 1300] > 0).all()
    below, above = np.interp([3500, 3800], wavelength, light)
    assert below > 2 * above


@given(
    st.lists(st.floats(4010, 5990), min_size=1, max_size=4),
    st.floats(1, 600),
    st.floats(0.1, 1e9),
)
def test_placed_lines_conserve_flux_and_centre(wavelengths, dispersion, luminosity):
    grid = WavelengthGrid("log10", np.log10(3900), 5e-5, 4000)
    luminosities = torch.full((1, len(wavelengths)), luminosity, dtype=torch.float64)
    spectrum = place_lines(
        torch.zeros(1, grid.size, dtype=torch.float64),
        grid,
        torch.tensor(wavelengths, dtype=torch.float64),
        luminosities,
        torch.tensor([dispersion], dtype=torch.float64),
    )[0].numpy()
    flux = spectrum * np.diff(grid.edges)
    assert flux.sum() == pytest.approx(luminosity * len(wavelengths), rel=1e-5)
    centre = (flux * grid.wavelength).sum() / flux.sum()
    # A line narrower than a pixel is known to half a pixel.
    assert centre == pytest.approx(np.mean(wavelengths), rel=0.5 * grid.step * np.log(10))


def test_placed_lines_have_the_dispersion():
    grid = WavelengthGrid("log10", np.log10(6000), 1e-5, 10000)
    line = torch.tensor([6564.61], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    zero = torch.zeros(1, grid.size, dtype=torch.float64)
    flux = place_lines(zero, grid, line, one, scalar(150.0))[0].numpy() * np.diff(grid.edges)
    velocity = (grid.wavelength / 6564.61 - 1) * 299792.458
    assert np.sqrt((flux * velocity**2).sum()) == pytest.approx(150, rel=1e-3)
