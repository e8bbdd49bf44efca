"""Distances of samples against scipy, known answers and their own symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import foldnorm, norm, wasserstein_distance

from uraniborg.population.distances import (
    SlicedEnergy,
    SlicedWasserstein,
    Standardisation,
    bootstrap_error,
    directions,
    floor,
    quantiles,
    sliced_wasserstein,
    wasserstein,
)

# The one direction of one dimension.
LINE = torch.ones(1, 1, dtype=torch.float64)
VALUES = st.floats(-10, 10, width=32)
SIZES = st.integers(1, 30)
SAMPLES = SIZES.flatmap(lambda n: arrays(np.float64, n, elements=VALUES))
WEIGHTED = SIZES.flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=VALUES),
        arrays(np.float64, n, elements=st.floats(0.0625, 5, width=32)),
    )
)


def normal(n, dimension=3, seed=0, shift=0.0):
    return torch.as_tensor(np.random.default_rng(seed).normal(shift, 1, (n, dimension)))


@given(SAMPLES, SAMPLES)
def test_one_dimension_agrees_with_scipy_at_any_sizes(x, y):
    ours = float(wasserstein(torch.as_tensor(x), torch.as_tensor(y)))
    assert ours == pytest.approx(wasserstein_distance(x, y), abs=1e-10)


@given(WEIGHTED, WEIGHTED)
def test_weights_agree_with_scipy(x, y):
    ours = wasserstein(*(torch.as_tensor(a) for a in (x[0], y[0], x[1], y[1])))
    assert float(ours) == pytest.approx(wasserstein_distance(x[0], y[0], x[1], y[1]), abs=1e-9)


@given(SAMPLES, SAMPLES)
def test_equal_weights_are_no_weights(x, y):
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    weights = torch.full((len(x),), 0.3, dtype=torch.float64)
    assert float(wasserstein(x, y, weights)) == pytest.approx(float(wasserstein(x, y)), abs=1e-10)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 10))
def test_it_is_symmetric_scales_and_ignores_the_order(seed, n, m, scale):
    x, y, lines = normal(n, seed=seed), normal(m, seed=seed + 1, shift=0.5), directions(7, 3)
    distance = float(sliced_wasserstein(x, y, lines))
    order = np.random.default_rng(seed).permutation(n)
    assert float(sliced_wasserstein(y, x, lines)) == pytest.approx(distance)
    assert float(sliced_wasserstein(x[order], y, lines)) == pytest.approx(distance)
    assert float(sliced_wasserstein(scale * x, scale * y, lines)) == pytest.approx(scale * distance)
    assert float(sliced_wasserstein(x, x[order], lines)) == pytest.approx(0, abs=1e-12)


def test_a_translation_by_d_is_d_times_the_mean_cosine():
    x, shift = normal(200), torch.tensor([0.3, 0.0, -0.4], dtype=torch.float64)
    assert float(wasserstein(x[:, 0], x[:, 0] + 0.7)) == pytest.approx(0.7)
    # The mean of |cos| over the sphere is 1/2.
    distance = float(sliced_wasserstein(x, x + shift, directions(20_000, 3)))
    assert distance == pytest.approx(0.5 * 0.5, rel=0.02)


def test_directions_are_unit_vectors_that_follow_from_the_seed():
    lines = directions(50, 5, seed=3)
    assert torch.allclose(lines.norm(dim=1), torch.ones(50, dtype=torch.float64))
    assert torch.equal(lines, directions(50, 5, seed=3))
    assert not torch.equal(lines, directions(50, 5, seed=4))


@given(SAMPLES, st.integers(1, 40))
def test_quantiles_keep_the_mean_and_increase(x, levels):
    nodes = quantiles(torch.as_tensor(x)[None], levels)[0]
    assert float(nodes.mean()) == pytest.approx(x.mean(), abs=1e-9)
    assert float(nodes.diff().min() if levels > 1 else 0) >= -1e-9


def test_as_many_quantiles_as_objects_are_the_sorted_sample():
    x = normal(31, 1).T
    assert torch.allclose(quantiles(x, 31), x.sort().values)


def test_weights_of_quantiles_count_objects_repeatedly():
    x, counts = normal(20, 1).T, torch.arange(1, 21)
    repeated = x.repeat_interleave(counts, dim=1)
    assert torch.allclose(quantiles(x, 9, counts.double()), quantiles(repeated, 9))


def test_the_module_equals_the_distance_when_it_keeps_every_object():
    data, sample, lines = normal(60), normal(60, seed=1, shift=0.2), directions(9, 3)
    assert torch.isclose(
        SlicedWasserstein(data, lines, levels=60)(sample), sliced_wasserstein(sample, data, lines)
    )


def test_the_module_summarises_a_large_catalogue_well():
    data, sample, lines = normal(20_000), normal(500, seed=1, shift=0.2), directions(9, 3)
    exact = float(sliced_wasserstein(sample, data, lines))
    assert float(SlicedWasserstein(data, lines, levels=500)(sample)) == pytest.approx(
        exact, rel=0.01
    )


@given(WEIGHTED, SAMPLES)
def test_the_module_agrees_with_scipy_on_weights(x, y):
    module = SlicedWasserstein(torch.as_tensor(y)[:, None], LINE, levels=len(y))
    values, weights = (torch.as_tensor(a) for a in x)
    expected = wasserstein_distance(x[0], y, x[1])
    assert float(module(values[:, None], weights)) == pytest.approx(expected, abs=1e-9)


def test_single_precision_is_enough_for_large_weighted_samples():
    data, sample, lines = normal(20_000), normal(5000, seed=1), directions(4, 3)
    weights = torch.as_tensor(np.random.default_rng(2).uniform(0.1, 1, 5000))
    for kind in (SlicedWasserstein, SlicedEnergy):
        double, single = (kind(data.to(dtype), lines, 5000) for dtype in (None, torch.float32))
        expected = float(double(sample, weights))
        assert float(single(sample, weights)) == pytest.approx(expected, rel=1e-2, abs=2e-6)


def pairs(x, y, weights, others=True):
    """The energy distance as sums over all pairs, or over those of different objects."""

    masses = [w / w.sum() for w in (weights, np.ones(len(y)))]
    means = [
        a @ np.abs(s[:, None] - t) @ b
        for (s, a), (t, b) in [
            ((x, masses[0]), (y, masses[1])),
            ((x, masses[0]), (x, masses[0])),
            ((y, masses[1]), (y, masses[1])),
        ]
    ]
    different = [1 - (m**2).sum() if others else 1 for m in masses]
    return 2 * means[0] - means[1] / different[0] - means[2] / different[1]


@given(WEIGHTED.filter(lambda x: len(x[0]) > 1), SAMPLES.filter(lambda y: len(y) > 1))
def test_the_energy_is_that_of_all_pairs_of_different_objects(x, y):
    module = SlicedEnergy(torch.as_tensor(y)[:, None], LINE, levels=len(y))
    values, weights = (torch.as_tensor(a) for a in x)
    expected = pairs(x[0], y, x[1])
    assert float(module(values[:, None], weights)) == pytest.approx(expected, abs=1e-9)
    assert float(module(values[:, None], 7 * weights)) == pytest.approx(expected, abs=1e-9)


def test_the_energy_of_two_points_is_twice_their_distance():
    module = SlicedEnergy(torch.zeros(2, 1, dtype=torch.float64), LINE, levels=2)
    assert float(module(torch.full((3, 1), -0.7, dtype=torch.float64))) == pytest.approx(1.4)


def test_the_energy_of_two_normals():
    data = torch.as_tensor(norm.ppf((np.arange(20_000) + 0.5) / 20_000))[:, None]
    width = np.sqrt(1 + 1.5**2)
    expected = 2 * foldnorm(0.4 / width, scale=width).mean() - 2 * (1 + 1.5) / np.sqrt(np.pi)
    module = SlicedEnergy(data, LINE, 2000)
    assert float(module(0.4 + 1.5 * data)) == pytest.approx(expected, rel=0.005)


def test_some_directions_of_many():
    data, sample, lines = normal(80), normal(30, seed=1), directions(9, 3)
    weights, rows = torch.linspace(0.5, 2, 30), torch.tensor([7, 2])
    for kind in (SlicedWasserstein, SlicedEnergy):
        some = kind(data, lines, 30).take(rows)
        expected = kind(data, lines[rows], 30)(sample, weights)
        assert torch.isclose(some(sample, weights), expected)


def test_weights_of_the_data_count_its_objects():
    data, sample = normal(4000), normal(300, seed=1)
    likely = torch.sigmoid(2 * data[:, 0])
    kept = data[torch.as_tensor(np.random.default_rng(0).uniform(size=4000)) < likely]
    lines = directions(6, 3)
    weighted, selected = SlicedEnergy(data, lines, 300, likely), SlicedEnergy(kept, lines, 300)
    assert float(weighted(sample)) == pytest.approx(float(selected(sample)), rel=0.1)


def test_samples_of_the_data_have_no_energy_on_average():
    data = normal(20_000, 1)
    module, random = SlicedEnergy(data, LINE, 500), np.random.default_rng(1)
    for weights in (torch.ones(10), torch.linspace(0.1, 2, 10)):
        samples = [data[random.integers(20_000, size=10)] for _ in range(2000)]
        values = np.array([float(module(sample, weights)) for sample in samples])
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean()) < 3 * error
        # With each object beside itself, the mean absolute difference is too small.
        nodes, weights = module.quantiles[0].numpy(), weights.numpy()
        biased = [pairs(s[:, 0].numpy(), nodes, weights, others=False) for s in samples[:200]]
        assert np.mean(biased) > 10 * error


def test_small_samples_prefer_the_true_width_by_energy_alone():
    data, widths = normal(20_000, 1), np.linspace(0.7, 1.3, 7)
    samples = [normal(20, 1, seed) for seed in range(1, 301)]
    best = []
    for kind in (SlicedEnergy, SlicedWasserstein):
        module = kind(data, LINE, 500)
        values = [np.mean([float(module(w * s)) for s in samples]) for w in widths]
        best.append(widths[np.argmin(values)])
    assert best[0] == pytest.approx(1)
    assert best[1] < 0.95


@pytest.mark.parametrize("levels", [30, 47])
def test_gradients_of_the_energy_are_those_of_finite_differences(levels):
    module = SlicedEnergy(normal(80), directions(5, 3), levels)
    sample = normal(30, seed=2).requires_grad_()
    weights = torch.linspace(0.5, 2, 30, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, (sample,), eps=1e-7, atol=1e-6)
    assert torch.autograd.gradcheck(module, (sample, weights), eps=1e-7, atol=1e-6)


@pytest.mark.parametrize("levels", [30, 47])
def test_gradients_are_those_of_finite_differences(levels):
    module = SlicedWasserstein(normal(80), directions(5, 3), levels)
    sample = normal(30, seed=2).requires_grad_()
    weights = torch.linspace(0.5, 2, 30, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, (sample,), eps=1e-7, atol=1e-6)
    assert torch.autograd.gradcheck(module, (sample, weights), eps=1e-7, atol=1e-6)


def test_descent_moves_a_sample_onto_the_data():
    module = SlicedWasserstein(normal(500, shift=1.0), directions(20, 3), levels=100)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.05)
    for _ in range(80):
        optimizer.zero_grad()
        module(normal(100, seed=5) + shift).backward()
        optimizer.step()
    assert shift.detach().numpy() == pytest.approx([1, 1, 1], abs=0.2)


def test_the_floor_shrinks_as_the_root_of_the_size():
    catalogue, lines = normal(4000), directions(20, 3)
    small, large = (floor(catalogue, (n, n), lines) for n in (100, 1600))
    assert small.mean / large.mean == pytest.approx(4, rel=0.2)
    fresh = float(sliced_wasserstein(normal(1600, seed=7), normal(1600, seed=8), lines))
    assert abs(fresh - large.mean) < 4 * large.spread


def test_a_floor_needs_disjoint_parts():
    with pytest.raises(ValueError, match="cannot be split"):
        floor(normal(10), (6, 5), directions(3, 3))


def test_the_bootstrap_error_is_the_scatter_over_fresh_samples():
    lines = directions(10, 2)
    pairs = [(normal(300, 2, seed), normal(300, 2, seed + 100, shift=0.5)) for seed in range(60)]
    scatter = np.std([float(sliced_wasserstein(*pair, lines)) for pair in pairs])
    assert bootstrap_error(*pairs[0], lines, draws=100) == pytest.approx(scatter, rel=0.35)


def test_standardised_features_have_no_units():
    sample = normal(5000).numpy() * [1, 20, 300] + [5, 0, -7]
    standardised = Standardisation.of(sample)(sample)
    assert np.median(standardised, axis=0) == pytest.approx([0, 0, 0], abs=1e-9)
    assert standardised.std(dim=0).numpy() == pytest.approx([1, 1, 1], abs=0.05)


def test_whitened_distances_do_not_depend_on_the_combination_of_features():
    mixing = np.array([[1.0, 0.9, 0.0], [0.0, 0.3, 0.5], [0.0, 0.0, 2.0]])
    x, y = normal(2000).numpy(), normal(2000, seed=1, shift=0.3).numpy()
    lines = directions(2000, 3)
    distances = []
    for a, b in ((x, y), (x @ mixing, y @ mixing)):
        standardise = Standardisation.of(a, whiten=True)
        assert np.cov(standardise(a).T) == pytest.approx(np.eye(3), abs=1e-9)
        distances.append(float(sliced_wasserstein(standardise(a), standardise(b), lines)))
    assert distances[0] == pytest.approx(distances[1], rel=0.03)


def test_one_blunder_cannot_outweigh_the_sample():
    sample = normal(1000).numpy()
    blunder = sample.copy()
    blunder[0, 0] = 1e6
    standardise, lines = Standardisation.of(sample, limit=6.0), directions(10, 3)
    distance = float(sliced_wasserstein(standardise(sample), standardise(blunder), lines))
    assert 0 < distance < 0.01


def test_a_constant_feature_cannot_be_standardised():
    with pytest.raises(ValueError, match="constant"):
        Standardisation.of(np.ones((10, 2)))
