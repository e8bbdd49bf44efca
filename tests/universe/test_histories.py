import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.universe.cosmology import age
from uraniborg.universe.histories import (
    DelayedTauBurstHistory,
    DirichletHistory,
    NMFHistory,
    component_edges,
    history,
)

CELLS = torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(5, 10.31, 200).double()])
NAMES = ("dirichlet", "delayed_tau_burst", "nmf")


@pytest.fixture(scope="module")
def bases(root):
    return {name: history(name, root / "resources" / "history_basis.parquet") for name in NAMES}


def draw(basis, z, log_ssfr=-10.5, seed=1):
    z = np.asarray(z, dtype=float)
    log_ssfr = np.broadcast_to(log_ssfr, z.shape)
    parameters = basis.draw(log_ssfr, z, np.random.default_rng(seed))
    return torch.as_tensor(parameters), torch.as_tensor(z)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 9), st.floats(-14, -8))
def test_mass_is_conserved_and_nothing_precedes_the_big_bang(bases, name, seed, z, log_ssfr):
    parameters, redshift = draw(bases[name], [z] * 3, log_ssfr, seed)
    weights = bases[name].weights(parameters, redshift, CELLS)
    assert (weights >= -1e-15).all()
    assert torch.allclose(weights.sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-12)
    too_old = CELLS[:-1] > age(redshift[:1])
    assert (weights[:, too_old] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_keeps_young_stars(bases, name):
    parameters, z = draw(bases[name], np.linspace(0.01, 3, 200))
    exact = bases[name].weights(parameters, z, CELLS)
    rounded = bases[name].weights(parameters.float(), z.float(), CELLS)
    assert rounded.dtype == torch.float32
    young = CELLS[1:] < 1e9
    assert torch.allclose(rounded.double()[:, young], exact[:, young], rtol=2e-4, atol=1e-12)
    assert torch.allclose(rounded.double(), exact, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", NAMES)
def test_differentiable_in_parameters_and_redshift(bases, name):
    parameters, z = draw(bases[name], [0.1, 1.0])
    basis, cells = bases[name], CELLS[::20].contiguous()
    inputs = (parameters.requires_grad_(), z.requires_grad_())
    assert torch.autograd.gradcheck(lambda p, z: basis.weights(p, z, cells), inputs, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("log_ssfr", [-12.5, -11.0, -10.0, -9.3])
def test_drawn_galaxies_have_about_the_wanted_rate(bases, name, log_ssfr):
    parameters, z = draw(bases[name], np.linspace(0.01, 0.5, 1000), log_ssfr)
    rate = torch.log10(bases[name].recent(parameters, z) / 1e8).numpy()
    assert np.median(rate) == pytest.approx(log_ssfr, abs=0.1)
    assert 0.1 < np.std(rate) < 0.4


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_described_and_drawn_reproducibly(bases, name):
    basis = bases[name]
    assert basis.name == name
    assert len(basis.columns) == basis.size == len({column.name for column in basis.columns})
    parameters, z = draw(basis, [0.1, 0.2, 0.3])
    assert parameters.shape == (3, basis.size)
    assert parameters.dtype == torch.float64
    assert torch.equal(parameters, draw(basis, z)[0])


def test_quiescent_galaxies_are_older(bases):
    cell_ages = (CELLS[1:] + CELLS[:-1]) / 2
    for basis in bases.values():
        ages = [
            (basis.weights(*draw(basis, np.full(200, 0.1), rate), CELLS) @ cell_ages).mean()
            for rate in (-12.5, -10.0)
        ]
        assert ages[0] > ages[1]


def test_an_unknown_basis_names_those_there_are():
    with pytest.raises(UserError, match=r"'exponential'.*dirichlet, delayed_tau_burst, nmf"):
        history("exponential")
    with pytest.raises(UserError, match="file of their basis"):
        history("nmf")


def test_bins_are_shared_out_by_overlap():
    basis = DirichletHistory((0.0, 10.0, 40.0))
    cells = torch.tensor([0.0, 5.0, 20.0, 100.0], dtype=torch.float64)
    fractions = torch.tensor([[0.4, 0.6]], dtype=torch.float64)
    weights = basis.weights(fractions, torch.zeros(1), cells)
    assert weights[0].tolist() == pytest.approx([0.2, 0.2 + 0.2, 0.4])


def test_a_bin_before_the_big_bang_forms_at_the_big_bang():
    basis = DirichletHistory((0.0, 1e9, 1.2e10, 1.3e10))
    z = torch.ones(1, dtype=torch.float64)
    weights = basis.weights(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), z, CELLS)
    oldest = torch.searchsorted(CELLS, age(z)).item() - 1
    assert weights[0, oldest].item() == pytest.approx(1)


def numerical(rate, cells, duration):
    """Integrals of a rate over cells of lookback time, by brute force."""

    fine = np.linspace(0, duration, 2_000_001)
    middle = (fine[1:] + fine[:-1]) / 2
    formed = np.concatenate([[0], np.cumsum(rate(middle))])
    return np.diff(np.interp(cells, fine, formed / formed[-1]))


@pytest.mark.parametrize(("log_tau", "start"), [(8.7, 0.0), (9.5, 0.1), (10.5, 0.6)])
def test_delayed_exponentials_are_integrated_exactly(log_tau, start):
    z = torch.tensor([0.2], dtype=torch.float64)
    duration = age(z).item() * (1 - start)
    parameters = torch.tensor([[log_tau, start, 0.0, 8.0]], dtype=torch.float64)
    weights = DelayedTauBurstHistory().weights(parameters, z, CELLS)[0].numpy()
    since = 10**log_tau

    def rate(lookback):
        return (duration - lookback) * np.exp(-(duration - lookback) / since)

    assert weights == pytest.approx(numerical(rate, CELLS.numpy(), duration), rel=2e-3, abs=1e-7)


@pytest.mark.parametrize("log_burst_age", [7.5, 8.3, 9.2])
def test_bursts_are_integrated_exactly(log_burst_age):
    z = torch.tensor([0.2], dtype=torch.float64)
    parameters = torch.tensor([[9.5, 0.1, 1.0, log_burst_age]], dtype=torch.float64)
    weights = DelayedTauBurstHistory().weights(parameters, z, CELLS)[0].numpy()
    begin = 10**log_burst_age
    expected = numerical(lambda lookback: np.exp((lookback - begin) / 1e8), CELLS.numpy(), begin)
    assert weights == pytest.approx(expected, rel=2e-3, abs=1e-6)


def test_components_scale_with_the_age_of_the_universe():
    basis = NMFHistory(torch.eye(4, dtype=torch.float64))
    z = torch.tensor([0.0, 3.0], dtype=torch.float64)
    edges = torch.as_tensor(component_edges(4)) * age(z[1:])
    weights = basis.weights(torch.full((2, 4), 0.25, dtype=torch.float64), z, edges)
    assert weights[1].numpy() == pytest.approx(np.full(4, 0.25))
    assert weights[0].sum() < 0.9


def test_a_basis_with_other_cells_is_refused(tmp_path, root):
    path = tmp_path / "basis.parquet"
    pd.read_parquet(root / "resources" / "history_basis.parquet").iloc[:-1].to_parquet(path)
    with pytest.raises(UserError, match="rule history_basis"):
        NMFHistory.load(path)
