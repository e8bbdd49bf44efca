import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.universe.stellar_populations import (
    BIRTH_CLOUD_AGE,
    StellarPopulations,
    metallicity_weights,
)


def of_age(populations, age):
    """One M_sun formed in the cell nearest to an age, shape (1, A)."""

    weights = torch.zeros(1, len(populations.age), dtype=torch.float64)
    weights[0, (populations.age - age).abs().argmin()] = 1
    return weights


SOLAR = torch.zeros(1, dtype=torch.float64)


@pytest.mark.parametrize(
    ("age", "vacuum"),
    [
        (3e8, 2586.65),  # Fe II
        (1e10, 2852.96),  # Mg I
        (1e10, 3934.78),  # Ca II K
        (1e10, 3969.59),  # Ca II H
        (5e8, 4341.68),  # H gamma
        (5e8, 4862.68),  # H beta
        (1e10, 5174.13),  # Mg b
        (5e8, 6564.61),  # H alpha
        (1e10, 8544.44),  # Ca II
    ],
)
def test_absorption_lines_are_at_vacuum_wavelengths(populations, age, vacuum):
    spectrum = populations.luminosity(of_age(populations, age), SOLAR)[0].numpy()
    wavelength = populations.wavelength.numpy()
    near = np.abs(wavelength - vacuum) < 6
    x, y = wavelength[near] - vacuum, spectrum[near]
    lowest = y.argmin()
    three = slice(lowest - 1, lowest + 2)
    curvature, slope, _ = np.polyfit(x[three], y[three], 2)
    centre = -slope / (2 * curvature)
    # In air the lines would be bluer by 2.8e-4 of their wavelength.
    assert abs(centre) < 0.45 * 2.8e-4 * vacuum


def test_old_populations_are_red_and_have_lost_mass(populations):
    wavelength = populations.wavelength.numpy()

    def break_4000(age):
        light = populations.luminosity(of_age(populations, age), SOLAR)[0].numpy()
        f_nu = light * wavelength**2
        red, blue = (
            f_nu[(wavelength > low) & (wavelength < low + 100)].mean() for low in (4001, 3851)
        )
        return red / blue

    values = [break_4000(age) for age in (1e7, 1e8, 1e9, 3e9, 1e10)]
    assert values == sorted(values)
    # Kauffmann et al. (2003): 1.0 to 1.2 for young, above 1.8 for old solar populations.
    assert 0.9 < values[0] < 1.1
    assert 1.8 < values[-1] < 2.3
    # 44% of a Kroupa (2001) mass function of 0.1 to 100 M_sun is in stars below 1 M_sun.
    remaining = populations.remaining_mass(of_age(populations, 1e10), SOLAR).item()
    assert remaining == pytest.approx(0.45, abs=0.03)


def test_remaining_mass_falls_with_age(populations):
    weights = torch.eye(len(populations.age), dtype=torch.float64)
    zero = torch.zeros(len(weights), dtype=torch.float64)
    remaining = populations.remaining_mass(weights, zero)
    assert (remaining.diff() <= 1e-6).all()
    assert remaining[0] == pytest.approx(1)


@given(st.integers(0, 2**32 - 1), st.floats(-2.5, 0.8))
def test_light_is_linear_in_mass(populations, seed, log_metallicity):
    random = torch.Generator().manual_seed(seed)
    one, two = torch.rand(2, 1, len(populations.age), generator=random, dtype=torch.float64)
    z = torch.tensor([log_metallicity], dtype=torch.float64)
    together = populations.luminosity(2 * one + 3 * two, z)
    apart = 2 * populations.luminosity(one, z) + 3 * populations.luminosity(two, z)
    assert torch.allclose(together, apart, rtol=1e-9)


@given(st.floats(-4, 2))
def test_metallicity_weights_keep_the_mean_within_the_grid(log_metallicity):
    grid = torch.tensor([0.005, 0.02, 0.2, 0.4, 1.0, 2.5, 5.0], dtype=torch.float64)
    weights = metallicity_weights(torch.tensor([log_metallicity]), grid)[0]
    expected = min(max(10**log_metallicity, 0.005), 5.0)
    assert weights.sum().item() == pytest.approx(1)
    assert (weights >= 0).all()
    assert (weights > 0).sum() <= 2
    assert (weights @ grid).item() == pytest.approx(expected, rel=1e-5)


def test_gradients_are_those_of_finite_differences(populations):
    few = torch.linspace(0, len(populations.wavelength) - 1, 7).long()
    small = StellarPopulations(
        **{
            **{name: getattr(populations, name) for name in populations.__dataclass_fields__},
            "basis": populations.basis[:, few],
        }
    )
    weights = torch.rand(2, len(small.age), dtype=torch.float64) * 1e3
    metallicity = torch.tensor([-0.5, 0.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        small.luminosity, (weights.requires_grad_(), metallicity.requires_grad_())
    )


def test_resampling_conserves_the_integral(populations):
    grid = WavelengthGrid("linear", 4010.0, 20.0, 200)
    light = populations.on(grid).luminosity(of_age(populations, 1e9), SOLAR)[0].numpy()
    native = populations.luminosity(of_age(populations, 1e9), SOLAR)[0].numpy()
    wavelength = populations.wavelength.numpy()
    fine = np.linspace(grid.edges[0], grid.edges[-1], 400001)
    expected = np.trapezoid(np.interp(fine, wavelength, native), fine)
    assert (light * 20).sum() == pytest.approx(expected, rel=1e-5)


def test_young_fraction_is_the_part_of_a_cell_within_birth_clouds(populations):
    cells = populations.age_edges.diff()
    assert (populations.young_fraction * cells).sum().item() == pytest.approx(
        BIRTH_CLOUD_AGE, rel=1e-6
    )


def test_light_beyond_the_spectra_is_continued(populations):
    wide = populations.on(WavelengthGrid("log10", 2.7, 2e-3, 1300))
    ionising = wide.wavelength < 890
    assert (wide.basis[:, ionising] == 0).all()
    weights = torch.ones(1, len(populations.age))
    light = wide.luminosity(weights, torch.zeros(1))[0].double()
    # Rayleigh-Jeans, without a step where the table ends.
    scaled = (light * wide.wavelength**4)[wide.wavelength > 40000]
    assert scaled[-200:].std() / scaled[-1] < 1e-3
    assert (scaled / scaled[-1] - 1).abs().max() < 0.1


def test_missing_and_damaged_files_are_named(ssp_grid, tmp_path):
    with pytest.raises(UserError, match="missing"):
        StellarPopulations.load(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(ssp_grid.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"damaged\.safetensors: is not a complete"):
        StellarPopulations.load(damaged)
    damaged.write_bytes(b"not a safetensors file at all")
    with pytest.raises(UserError, match="ssp_grid"):
        StellarPopulations.load(damaged)
