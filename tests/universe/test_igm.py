import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.igm import forest_transmission, igm_transmission, optical_depth

GRID = WavelengthGrid("log10", np.log10(850), 1e-4, 2500)


def test_published_depths():
    # Inoue et al. (2014), table 2: a photon that meets Lyman alpha only.
    depth = optical_depth(torch.tensor([1200.0]), torch.tensor([0.5, 3.0, 5.5]))[:, 0].double()
    x = 1200 / 1215.67 * np.array([1.5, 4.0, 6.5])
    forest = [1.690e-2 * x[0] ** 1.2, 2.354e-3 * x[1] ** 3.7, 1.026e-4 * x[2] ** 5.5]
    damped = [1.617e-4 * x[0] ** 2, 5.390e-5 * x[1] ** 3, 5.390e-5 * x[2] ** 3]
    assert depth.numpy() == pytest.approx(np.add(forest, damped), rel=1e-3)


@given(st.floats(0.01, 7))
def test_transmission_is_a_fraction_and_one_redward(z):
    transmission = igm_transmission(GRID, torch.tensor([z]))[0]
    assert ((transmission >= 0) & (transmission <= 1)).all()
    assert (transmission[torch.as_tensor(GRID.wavelength) > 1215.7] == 1).all()


def test_more_is_absorbed_farther_away():
    z = torch.linspace(0.5, 6, 12)
    forest = (GRID.wavelength > 1050) & (GRID.wavelength < 1200)
    mean = igm_transmission(GRID, z)[:, forest].mean(1)
    assert (mean.diff() < 0).all()
    assert mean[0] > 0.95
    assert mean[-1] < 0.1


def test_the_forest_has_the_mean_asked_for():
    z = torch.full((600,), 2.8)
    random = forest_transmission(GRID, z, range(600))
    mean = igm_transmission(GRID, z[:1])[0]
    blue = GRID.wavelength < 1210
    assert (random[:, blue].mean(0) / mean[blue]).mean() == pytest.approx(1, abs=0.02)
    assert random[:, blue].std() > 0.2


def test_the_forest_depends_on_the_seed_alone():
    z = torch.tensor([2.5, 2.5, 2.5, 2.5])
    one, two, three, smooth = forest_transmission(GRID, z, [7, 7, 8, -1])
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(smooth, igm_transmission(GRID, z[:1])[0])
