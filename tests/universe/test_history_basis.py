import numpy as np
import pytest

from uraniborg.tables import read_table, write_table
from uraniborg.universe.histories import NMFHistory, component_edges
from uraniborg.universe.history_basis import (
    basis_columns,
    basis_table,
    history_library,
    learn,
    misplaced,
    project,
)

CELLS = 48


@pytest.fixture(scope="module")
def library():
    return history_library(500, CELLS, seed=7)


@pytest.fixture(scope="module")
def basis(root):
    return NMFHistory.load(root / "resources" / "history_basis.parquet").components.numpy()


def test_histories_form_all_their_mass(library):
    assert library.shape == (500, CELLS)
    assert (library >= 0).all()
    assert library.sum(1) == pytest.approx(np.ones(500))


def test_a_longer_library_begins_like_a_shorter_one(library):
    assert np.array_equal(history_library(20, CELLS, seed=7), library[:20])
    assert not np.array_equal(history_library(20, CELLS, seed=8), library[:20])


def test_the_library_has_active_and_quenched_galaxies(library):
    edges = component_edges(CELLS)
    recent = library[:, edges[1:] < 1e8 / 1.38e10].sum(1)
    assert np.mean(recent < 1e-4) > 0.2
    assert np.mean(recent > 2e-3) > 0.2


def test_a_mixture_is_found_again():
    random = np.random.default_rng(1)
    truth = random.dirichlet(np.full(CELLS, 0.3), size=3)
    mixtures = random.dirichlet(np.ones(3), size=20) @ truth
    assert project(mixtures, truth) == pytest.approx(mixtures, abs=1e-9)
    assert misplaced(truth, truth[:2])[2] > 0.3


def test_the_shipped_basis_describes_other_histories(library, basis):
    assert basis.shape == (6, CELLS)
    assert basis.sum(1) == pytest.approx(np.ones(6))
    assert np.median(misplaced(library, basis)) < 0.22
    # Components of no use do worse.
    random = np.random.default_rng(1).dirichlet(np.ones(CELLS), size=6)
    assert np.median(misplaced(library, random)) > 0.4


def test_learning_finds_components_that_are_no_worse(library, tmp_path):
    learned = learn(library, 6, seed=1)
    assert learned.shape == (6, CELLS)
    assert np.median(misplaced(library, learned)) < 0.22
    ages = learned @ component_edges(CELLS)[1:]
    assert (np.diff(ages) > 0).all()
    path = tmp_path / "basis.parquet"
    write_table(path, basis_table(learned), basis_columns(6))
    assert np.array_equal(NMFHistory.load(path).components.numpy(), learned)
    assert read_table(path)["older"].iloc[-1] == 1


def test_it_spans_the_published_basis_of_provabgs(shared_data, basis):
    folder = shared_data / "sps_emulators" / "changhoonhahn__provabgs"
    rates = np.loadtxt(folder / "NMF_2basis_SFH_components_nowgt_lin_Nc4.txt.gz")
    lookback = np.loadtxt(folder / "sfh_t_int.txt.gz")
    fine = np.linspace(0, 1, 5001)
    middle = (fine[1:] + fine[:-1]) / 2 * 13.7
    order = np.argsort(lookback)
    formed = [np.cumsum(np.interp(middle, lookback[order], row[order])) for row in rates]
    edges = component_edges(CELLS)
    published = np.diff([np.interp(edges, fine, [0, *row / row[-1]]) for row in formed], axis=1)
    random = np.random.default_rng(1)
    theirs = random.dirichlet(np.ones(4), size=300) @ published
    ours = random.dirichlet(np.ones(6), size=300) @ basis
    assert np.median(misplaced(theirs, basis)) < 0.05
    # Theirs has no components that resolve the last gigayear.
    assert np.median(misplaced(ours, published)) > 0.1
