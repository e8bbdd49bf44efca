import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.star_basis import StarBasis, dwarf_gravity
from uraniborg.universe.star_fit import labels
from uraniborg.universe.star_population import PARAMETERS, StarPopulation, star_columns
from uraniborg.universe.stars import StarModel

GRID = WavelengthGrid("log10", np.log10(1300), 2e-4, 11500)
POPULATION = StarPopulation(r_limit=19.5)


@pytest.fixture(scope="module")
def path(root):
    return root / "resources" / "star_basis.safetensors"


@pytest.fixture(scope="module")
def model(path):
    return StarModel(path, GRID)


@pytest.fixture(scope="module")
def drawn():
    return POPULATION.sample(0, 2048, seed=3)


def parameters(temperature, **others):
    temperature = np.atleast_1d(np.asarray(temperature, float))
    defaults = {
        "log_g": dwarf_gravity(temperature),
        "metallicity": np.zeros_like(temperature),
        "A_V": np.zeros_like(temperature),
        "r_magnitude": np.full_like(temperature, 17.0),
    }
    others = {name: np.full_like(temperature, value) for name, value in others.items()}
    return {"temperature": temperature} | defaults | others


def magnitudes(model, p, bands):
    flux = model.flux(p).double().numpy()
    wavelength = model.grid.wavelength
    result = []
    for name in bands:
        curve = read_filter(name)
        weight = np.interp(wavelength, *curve, left=0, right=0)
        per_hz = (flux * weight * wavelength**2).sum(1) / weight.sum() / 2.99792458e18
        result.append(-2.5 * np.log10(per_hz / 3.631e-3))
    return np.array(result)


def equivalent_width(model, p, low, high):
    """Of a line, from the straight line between two windows of 5 A at its sides."""

    wavelength = model.grid.wavelength
    flux = model.flux(p).double().numpy()
    sides = [flux[:, np.abs(wavelength - side) < 5].mean(1) for side in (low, high)]
    x = (wavelength - low) / (high - low)
    inside = (x > 0) & (x < 1)
    continuum = sides[0][:, None] + (sides[1] - sides[0])[:, None] * x[inside]
    return np.trapezoid(1 - flux[:, inside] / continuum, wavelength[inside], axis=1)


@settings(max_examples=30)
@given(
    st.floats(2300, 50000),
    st.sampled_from([-0.5, 0.0, 0.3, 8.0]),
    st.floats(-2.5, 0.5),
    st.floats(0, 3),
    st.floats(14, 23),
)
def test_stars_have_the_r_magnitude_asked_for(model, temperature, offset, metals, A_V, r):
    p = parameters(temperature, metallicity=metals, A_V=A_V, r_magnitude=r)
    p["log_g"] = p["log_g"] + offset if offset < 5 else np.array([offset])
    flux = model.flux(p)
    assert torch.isfinite(flux).all()
    assert (flux > 0).all()
    assert magnitudes(model, p, ["sdss_r0"])[0, 0] == pytest.approx(r, abs=3e-3)


def test_colours_of_the_main_sequence(model):
    # Sun: Willmer (2018), AB and Vega magnitudes; M dwarfs: West et al. (2011); A0: zero in Vega,
    # u - g = 0.99 and g - r = -0.25 in AB.
    names = ["sdss_u0", "sdss_g0", "sdss_r0", "sdss_i0", "sdss_z0", "twomass_J"]
    u, g, r, i, z, j = magnitudes(model, parameters([5772, 9700, 3430]), names)
    j = j - 0.91
    assert [u[0] - g[0], g[0] - r[0], r[0] - i[0], i[0] - z[0], z[0] - j[0]] == pytest.approx(
        [1.28, 0.46, 0.12, 0.03, 0.83], abs=0.08
    )
    assert [u[1] - g[1], g[1] - r[1]] == pytest.approx([0.99, -0.25], abs=0.08)
    assert [g[2] - r[2], r[2] - i[2], i[2] - z[2]] == pytest.approx([1.45, 1.10, 0.58], abs=0.12)


def test_lines_follow_temperature_gravity_and_metals(model):
    # Balmer lines peak near A0; Na D and Mg b grow towards cool, metal-rich dwarfs.
    h_beta = equivalent_width(model, parameters([4500, 6500, 9300, 20000]), 4810, 4915)
    assert h_beta[2] == max(h_beta)
    assert 10 < h_beta[2] < 25
    poor, rich = (
        equivalent_width(model, parameters(5200, metallicity=m), 5155, 5205) for m in (-2, 0)
    )
    assert rich > 2 * poor
    # Supergiants have narrower Balmer lines.
    giant = equivalent_width(model, parameters(9500, log_g=2.0), 4810, 4915)
    assert giant < 0.7 * h_beta[2]


def test_white_dwarfs_have_wider_lines_than_stars(model):
    star, degenerate = (
        equivalent_width(model, parameters(12000, log_g=g), 4740, 4990) for g in (4.0, 8.0)
    )
    assert degenerate > 2 * star


def test_dust_reddens_and_keeps_r(model):
    bands = ["sdss_g0", "sdss_r0", "sdss_i0"]
    clear, dusty = (magnitudes(model, parameters(6000, A_V=a), bands) for a in (0, 1))
    change = (dusty - clear)[:, 0]
    # Schlafly & Finkbeiner (2011): A_g - A_r and A_r - A_i of A_V = 1 are 0.37 and 0.21.
    assert change[0] - change[1] == pytest.approx(0.37, abs=0.06)
    assert change[1] - change[2] == pytest.approx(0.21, abs=0.05)


def test_a_wrong_grid_and_a_wrong_file_are_named(path, tmp_path):
    with pytest.raises(ValueError, match="log10"):
        StarModel(path, WavelengthGrid("linear", 4000, 1, 1000))
    with pytest.raises(UserError, match="star_basis"):
        StarBasis.load(tmp_path / "absent.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="star_basis"):
        StarBasis.load(broken)


def test_the_file_is_read_as_it_was_written(path, tmp_path):
    basis = StarBasis.load(path)
    basis.write(tmp_path / "again.safetensors")
    again = StarBasis.load(tmp_path / "again.safetensors")
    assert again.grid == basis.grid
    assert again.metadata == basis.metadata
    product = basis.coefficients @ basis.basis
    assert again.coefficients @ again.basis == pytest.approx(product, abs=2e-3)


def test_templates_left_out_are_predicted(path):
    stars = StarBasis.load(path).metadata["stars"]
    left_out = {name: values[4] for name, values in stars.items()}
    assert np.median(list(left_out.values())) < 0.06
    assert left_out["G1V (95128)"] < 0.03


def test_spectral_types_give_labels():
    temperature, log_g, metallicity = labels("K0V (12345)")
    assert (temperature, metallicity) == (pytest.approx(5270), 0)
    assert labels("K0III (12345)")[1] < log_g - 1.5
    assert labels("B2Ve (12345)") is None
    assert labels("Carbon") is None


@settings(max_examples=20)
@given(st.integers(0, 700), st.integers(1, 300), st.integers(0, 5))
def test_a_star_does_not_depend_on_the_chunk(start, count, seed):
    whole = POPULATION.sample(0, 1024, seed)
    part = POPULATION.sample(start, start + count, seed)
    for name, values in part.items():
        assert np.array_equal(values, whole[name][start : start + count])


def test_the_population_is_a_coarse_milky_way(drawn):
    assert set(drawn) == {parameter.name for parameter in PARAMETERS}
    assert {column.name for column in star_columns()} == set(drawn)
    assert all(np.isfinite(values).all() for values in drawn.values())
    assert drawn["r_magnitude"].max() < 19.5
    assert 0.02 < (drawn["temperature"] < 4000).mean() < 0.5
    # Halo stars are metal-poor and move fast.
    halo = drawn["kind"] == 2
    assert 0.1 < halo.mean() < 0.7
    assert np.median(drawn["metallicity"][halo]) < np.median(drawn["metallicity"][~halo]) - 0.7
    assert drawn["z"][halo].std() > 1.5 * drawn["z"][~halo].std()


def test_faint_limits_show_more_dwarfs_of_low_temperature():
    bright, faint = (
        StarPopulation(r_limit=limit).sample(0, 1024, seed=1)["temperature"] for limit in (16, 22)
    )
    assert (faint < 4000).mean() > (bright < 4000).mean()


@pytest.mark.parametrize("settings_", [{"r_limit": 11}, {"latitude": 5}, {"A_V": -1}])
def test_impossible_settings_are_named(settings_):
    with pytest.raises(UserError, match=next(iter(settings_))):
        StarPopulation(**settings_)
