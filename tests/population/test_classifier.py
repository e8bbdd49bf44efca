"""What the classifier says of samples that are alike and of those that are not."""

import numpy as np
import pytest

from uraniborg.population.classifier import two_sample_auc

NAMES = ("a", "b", "c")


def sample(seed, n=800):
    random = np.random.default_rng(seed)
    a, c = random.normal(size=(2, n))
    return np.stack([a, 0.9 * a + 0.3 * random.normal(size=n), c], axis=1)


def test_samples_of_one_distribution_cannot_be_told_apart():
    test = two_sample_auc(sample(0), sample(1), NAMES)
    assert abs(test.auc - 0.5) < 3 * test.error
    assert 0.005 < test.error < 0.03


def test_a_shift_is_seen_and_so_is_the_feature_that_has_it():
    test = two_sample_auc(sample(0), sample(1) + np.array([0, 0, 1.5]), NAMES)
    # Two normal distributions 1.5 apart: the best possible AUC is 0.856.
    assert 0.8 < test.auc < 0.87
    assert test.importance.idxmax() == "c"
    assert test.importance["a"] < 0.05


def test_a_lost_correlation_is_seen_though_no_distribution_of_one_feature_changed():
    shuffled = sample(1)
    shuffled[:, 0] = np.random.default_rng(2).permutation(shuffled[:, 0])
    assert two_sample_auc(sample(0), shuffled, NAMES).auc > 0.8


def test_separate_samples_have_auc_one():
    assert two_sample_auc(sample(0), sample(1) + 100, NAMES).auc == 1


def test_missing_values_are_part_of_a_sample():
    missing = sample(1)
    missing[::2, 1] = np.nan
    assert two_sample_auc(sample(0), missing, NAMES).auc > 0.7


def test_the_same_seed_gives_the_same_numbers():
    tests = [two_sample_auc(sample(0), sample(1), NAMES, seed=seed) for seed in (4, 4, 5)]
    assert tests[0].auc == tests[1].auc
    assert tests[0].error == tests[1].error
    assert tests[0].importance.equals(tests[1].importance)
    assert tests[0].auc != tests[2].auc


def test_unequal_sizes_do_not_change_what_alike_means():
    test = two_sample_auc(sample(0, 600), sample(1, 1800), NAMES)
    assert test.auc == pytest.approx(0.5, abs=0.05)
