"""Objectives of the population model: what each measures, and what their seeds decide."""

import numpy as np
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.population.distances import wasserstein
from uraniborg.population.popsed.objective import OBJECTIVES, Sinkhorn, objective


def normal(n, dimension=3, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, dimension))).float()


@pytest.fixture(scope="module", params=OBJECTIVES)
def prepared(request):
    return objective(request.param, normal(2000), directions=16, levels=200, seed=0, blur=0.05)


def test_the_wrong_populations_are_farther_than_the_right_one(prepared):
    right = normal(200, seed=1)
    distance = float(prepared(right))
    assert float(prepared(right + 0.5)) > distance + 0.05
    assert float(prepared(right * 1.6)) > distance + 0.02


def test_samples_and_weights_have_gradients(prepared):
    sample = (normal(200, seed=1) + 0.5).requires_grad_()
    weights = torch.linspace(0.5, 1, 200).requires_grad_()
    prepared(sample, weights).backward()
    # Down is towards the data.
    assert (sample.grad.sum(dim=0) > 0).all()
    # Objects far out weigh too much; the scale of all weights means nothing.
    far = (sample.detach() - 0.5).sum(dim=1) > 1.5
    assert weights.grad[far].mean() > weights.grad[~far].mean()
    assert float(weights.grad @ weights.detach()) == pytest.approx(0, abs=1e-4)


def test_weights_are_those_of_a_population_they_select(prepared):
    broad = 1.5 * normal(4000, seed=1)
    # The ratio of the densities of the two normals.
    weights = (-(broad**2).sum(dim=1) / 2 * (1 - 1.5**-2)).exp()
    rows = slice(200) if isinstance(prepared, Sinkhorn) else slice(None)
    assert float(prepared(broad[rows], weights[rows])) < 0.7 * float(prepared(broad[rows]))


def test_the_seed_decides(prepared):
    sample = normal(200, seed=1)
    values = []
    for seed in (0, 1, 2, 0):
        prepared.redraw(seed)
        values.append(float(prepared(sample)))
    assert values[0] == values[-1]
    assert len(set(values)) == 3


def test_objectives_compute_in_single_precision(prepared):
    assert prepared(normal(200).double()).dtype == torch.float32


def test_gradients_stay_off_where_they_are(prepared):
    with torch.no_grad():
        prepared(normal(50))
        assert not torch.is_grad_enabled()


def test_features_may_be_arrays():
    features = normal(300).double().numpy()
    assert float(objective("sliced_energy", features, levels=100, seed=0)(normal(100))) < 0.1


def test_a_small_blur_gives_the_exact_distance_in_one_dimension():
    data, sample = normal(150, 1), 1.3 * normal(150, 1, seed=1) + 0.4
    exact = float(wasserstein(sample.T, data.T))
    divergence = objective("sinkhorn", data, levels=150, seed=0, blur=0.3)
    blurred = abs(float(divergence(sample)) - exact)
    # One dimension takes many steps.
    divergence.blur, divergence.scaling = 0.002, 0.995
    assert float(divergence(sample)) == pytest.approx(exact, rel=0.04)
    assert abs(float(divergence(sample)) - exact) < blurred


def test_the_divergence_counts_weighted_objects_repeatedly():
    data, sample, counts = normal(150), normal(50, seed=1), torch.arange(1, 51) % 3 + 1
    repeated = sample.repeat_interleave(counts, dim=0)
    weighted, plain = (Sinkhorn(data[: len(repeated)], blur=0.1) for _ in range(2))
    weighted.register_buffer("data", data[:50])
    plain.register_buffer("data", data[:50])
    assert float(weighted(sample, counts.float())) == pytest.approx(
        float(plain(repeated)), rel=1e-3
    )


def test_gradients_of_the_divergence_are_those_of_finite_differences():
    divergence = Sinkhorn(normal(40).double(), blur=0.3, scaling=0.99)
    sample = normal(40, seed=1).double()

    def value(shift):
        divergence.redraw(0)
        return divergence(sample + shift * torch.tensor([1.0, 0.5, -0.2]))

    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(shift), shift)
    step = 1e-4
    with torch.no_grad():
        expected = (value(shift + step) - value(shift - step)) / (2 * step)
    assert float(gradient.detach()) == pytest.approx(float(expected), rel=0.02)


def test_an_unknown_objective_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="sliced_energy"):
        objective("chi2", normal(10), levels=5, seed=0)
