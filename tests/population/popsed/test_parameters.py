"""The box of parameters and the normal space above it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from uraniborg.population.popsed.parameters import BOUNDS, ParameterSpace

SPACE = ParameterSpace(0.003, 0.4, 6)


def normal(number, space=SPACE, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(number, space.size, generator=random, dtype=dtype)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_coordinates_are_those_that_parameters_came_from(seed, components):
    space = ParameterSpace(0.01, 1.2, components)
    y = normal(20, space, seed).clamp(-2.5, 2.5)
    torch.testing.assert_close(space.coordinates(space.parameters(y)), y, rtol=0, atol=1e-6)


def test_single_precision_is_enough():
    y = normal(2000, dtype=torch.float32).clamp(-2, 2)
    found = SPACE.coordinates(SPACE.parameters(y))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, y, rtol=0, atol=2e-3)


def test_names_and_columns_agree():
    assert len(SPACE.names) == SPACE.size == 2 + 5 + 4
    parameters = SPACE.parameters(normal(3))
    names, values = SPACE.columns(parameters)
    assert values.shape == (3, len(names))
    for name, column in zip(names, values.T, strict=True):
        where = name.split("_")
        known = parameters["history"][:, int(where[1])] if where[0] == "history" else None
        torch.testing.assert_close(column, parameters[name] if known is None else known)


def test_a_coordinate_moves_its_own_parameter():
    y = normal(50)
    before = SPACE.parameters(y)
    for column, name in enumerate(SPACE.names):
        moved = y.clone()
        moved[:, column] += 0.5
        after = SPACE.parameters(moved)
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert changed == {"history" if name.startswith("history") else name}
        if not name.startswith("history"):
            assert (after[name] > before[name]).all()


def test_the_box_is_flat():
    parameters = SPACE.parameters(normal(20_000))
    ranges = {"z": (SPACE.z_min, SPACE.z_max)} | {b.name: (b.low, b.high) for b in BOUNDS}
    for name, (low, high) in ranges.items():
        share = (parameters[name].numpy() - low) / (high - low)
        assert kstest(share, "uniform").statistic < 0.0125, name


@pytest.mark.parametrize("components", [2, 3, 6])
def test_histories_are_flat_over_the_simplex(components):
    space = ParameterSpace(0.01, 0.4, components)
    history = space.parameters(normal(20_000, space))["history"].numpy()
    # A Dirichlet distribution of ones: its mean, its covariance and its marginals.
    k = components
    covariance = (np.eye(k) / k - 1 / k**2) / (k + 1)
    assert history.mean(axis=0) == pytest.approx(1 / k, abs=0.006)
    np.testing.assert_allclose(np.cov(history, rowvar=False), covariance, atol=0.02 / k**2)
    for column in history.T:
        assert kstest(column, beta(1, k - 1).cdf).statistic < 0.0125


@given(st.lists(st.floats(-30, 30), min_size=11, max_size=11))
def test_all_of_the_normal_space_is_within_the_box(coordinates):
    y = torch.tensor([coordinates], requires_grad=True)
    parameters = SPACE.parameters(y)
    for bound in BOUNDS:
        assert bound.low <= parameters[bound.name].item() <= bound.high
    assert SPACE.z_min <= parameters["z"].item() <= SPACE.z_max
    assert parameters["history"].sum().item() == pytest.approx(1, abs=1e-5)
    assert (parameters["history"] >= 0).all()
    sum(values.sum() for values in parameters.values()).backward()
    assert y.grad.isfinite().all()


def test_values_beyond_the_box_go_to_its_edge():
    inside = SPACE.parameters(normal(4))
    edge = {**inside, "z": torch.full((4,), SPACE.z_max, dtype=torch.float64)}
    beyond = {**inside, "z": torch.full((4,), 3.0, dtype=torch.float64)}
    torch.testing.assert_close(SPACE.coordinates(beyond), SPACE.coordinates(edge))
    # A history of one component alone is at the edge, too.
    alone = {**inside, "history": torch.eye(6, dtype=torch.float64)[[0, 2, 4, 5]]}
    y = SPACE.coordinates(alone)
    assert y.isfinite().all()
    back = SPACE.parameters(y)["history"]
    torch.testing.assert_close(back, alone["history"], rtol=0, atol=0.1)
