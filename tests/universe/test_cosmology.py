import numpy as np
import pytest
import torch
from astropy import units
from astropy.cosmology import Planck15
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.cosmology import (
    L_SUN,
    Z_LIMIT,
    age,
    comoving_volume_element,
    luminosity_distance,
    observed_flux,
)

REDSHIFTS = np.array([1e-4, 0.003, 0.0777, 0.5, 1.234, 4.0, 9.99])


@pytest.mark.parametrize(
    ("ours", "astropy", "unit"),
    [
        (luminosity_distance, Planck15.luminosity_distance, units.Mpc),
        (age, Planck15.age, units.yr),
        (
            comoving_volume_element,
            Planck15.differential_comoving_volume,
            units.Mpc**3 / units.sr,
        ),
    ],
)
def test_agrees_with_astropy(ours, astropy, unit):
    expected = astropy(REDSHIFTS).to_value(unit)
    assert ours(torch.as_tensor(REDSHIFTS)).numpy() == pytest.approx(expected, rel=1e-6)


def test_nodes_are_exact():
    # Node 2000 of 4001 that are evenly spaced in ln(1+z).
    z = np.expm1(np.log1p(Z_LIMIT) / 2)
    node = torch.tensor([z], dtype=torch.float64)
    distance = Planck15.luminosity_distance(z).to_value(units.Mpc)
    assert luminosity_distance(node).item() == pytest.approx(distance, rel=1e-11)
    assert age(node).item() == pytest.approx(Planck15.age(z).to_value(units.yr), rel=1e-11)


def test_differentiable_in_redshift():
    z = torch.tensor([0.05, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(luminosity_distance, (z,), eps=1e-7, rtol=1e-4)


@given(st.floats(0.001, 3))
def test_all_light_arrives(z):
    # The flux over all observed wavelengths is L / (4 pi d_L^2).
    width = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    luminosity = torch.tensor([[1e10, 3e9]], dtype=torch.float64)
    redshift = torch.tensor([z], dtype=torch.float64)
    flux = (observed_flux(luminosity, redshift) * width * (1 + z)).sum().item() * 1e-17
    distance = Planck15.luminosity_distance(z).to_value(units.cm)
    expected = (luminosity * width).sum().item() * L_SUN / (4 * np.pi * distance**2)
    assert flux == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("z", [-0.1, Z_LIMIT + 0.1])
def test_redshifts_beyond_the_tables_are_refused(z):
    with pytest.raises(ValueError, match="redshifts"):
        age(torch.tensor([z]))
