import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.cosmology import age
from uraniborg.universe.histories import DirichletHistory

CELLS = torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(5, 10.31, 200).double()])


@given(st.integers(0, 2**32 - 1), st.floats(0, 9))
def test_mass_is_conserved_and_nothing_precedes_the_big_bang(seed, z):
    fractions = np.random.default_rng(seed).dirichlet(np.ones(8), size=3)
    redshift = torch.full((3,), z, dtype=torch.float64)
    weights = DirichletHistory().weights(torch.as_tensor(fractions), redshift, CELLS)
    assert (weights >= -1e-15).all()
    assert torch.allclose(weights.sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)
    too_old = CELLS[:-1] > age(redshift[:1])
    assert (weights[:, too_old] == 0).all()


def test_bins_are_shared_out_by_overlap():
    history = DirichletHistory((0.0, 10.0, 40.0))
    cells = torch.tensor([0.0, 5.0, 20.0, 100.0], dtype=torch.float64)
    fractions = torch.tensor([[0.4, 0.6]], dtype=torch.float64)
    weights = history.weights(fractions, torch.zeros(1), cells)
    assert weights[0].tolist() == pytest.approx([0.2, 0.2 + 0.2, 0.4])


def test_a_bin_before_the_big_bang_forms_at_the_big_bang():
    history = DirichletHistory((0.0, 1e9, 1.2e10, 1.3e10))
    z = torch.ones(1, dtype=torch.float64)
    weights = history.weights(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), z, CELLS)
    oldest = torch.searchsorted(CELLS, age(z)).item() - 1
    assert weights[0, oldest].item() == pytest.approx(1)


def test_differentiable_in_fractions():
    fractions = torch.rand(2, 8, dtype=torch.float64, requires_grad=True)
    z = torch.tensor([0.1, 1.0], dtype=torch.float64)
    history = DirichletHistory()
    assert torch.autograd.gradcheck(lambda f: history.weights(f, z, CELLS[::20]), (fractions,))
