"""Densities against a known one: likelihood, contamination, spread, percentiles and files."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.nets.flows import Flow
from uraniborg.spectra.outliers.density import Density, Sample
from uraniborg.spectra.outliers.density_check import (
    CALIBRATION_COLUMNS,
    HELD_OUT_COLUMNS,
    calibration,
)
from uraniborg.spectra.outliers.density_training import (
    DENSITY_TRAINING,
    HISTORY_COLUMNS,
    train_density,
)

SETTINGS = replace(DENSITY_TRAINING, epochs=20, batch_size=256)

KINDS = pytest.mark.parametrize("kind", ["autoregressive", "spline"])
MEANS = torch.tensor([[-2.0, 0.0], [2.0, 1.0]])
SIGMA = 0.6


def mixture(number, seed):
    """Two Gaussians of unequal weight that the context pushes along the first feature."""

    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(number, 1, generator=generator)
    which = (torch.rand(number, generator=generator) < 0.3).long()
    x = MEANS[which] + SIGMA * torch.randn(number, 2, generator=generator)
    x[:, :1] += context
    return Sample(x, context)


def truth(sample):
    x = sample.features.double().clone()
    x[:, :1] -= sample.context
    square = (x[:, None] - MEANS).square().sum(dim=2) / SIGMA**2
    weights = torch.tensor([0.7, 0.3]).double().log()
    return (weights - square / 2).logsumexp(dim=1) - math.log(2 * math.pi * SIGMA**2)


def train(directory, sample, training=SETTINGS, **options):
    held_out = mixture(500, seed=2)
    return train_density(*sample, held_out, training, directory=directory, threads=1, **options)


@pytest.fixture(scope="module")
def autoregressive(tmp_path_factory):
    directory = tmp_path_factory.mktemp("autoregressive")
    return train(directory, mixture(2000, seed=1), kind="autoregressive", members=2, trim=0.0)


@pytest.fixture(scope="module")
def spline(tmp_path_factory):
    directory = tmp_path_factory.mktemp("spline")
    return train(directory, mixture(2000, seed=1), kind="spline", members=2, trim=0.0)


@pytest.fixture(scope="module")
def contaminated(tmp_path_factory):
    """Trained with 1% of gross outliers and with objects that are not finite."""

    features, context = mixture(2000, seed=1)
    generator = torch.Generator().manual_seed(9)
    features[:20] = 100 * torch.randn(20, 2, generator=generator).sign()
    features[20, 0], features[21, 1], context[22, 0] = torch.nan, torch.inf, torch.nan
    directory = tmp_path_factory.mktemp("contaminated")
    density, _ = train(directory, Sample(features, context), members=2)
    return density, features[:20], context[:20]


def untrained(members=3, held_out=(0.0,)):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Density([Flow(2, 1) for _ in range(members)], torch.tensor(held_out)).eval()


# A single Gaussian would be at 0.58. Affine transforms leave a bridge between the two.
@pytest.mark.parametrize(("kind", "divergence"), [("autoregressive", 0.35), ("spline", 0.06)])
def test_finds_a_known_density(kind, divergence, request):
    density, history = request.getfixturevalue(kind)
    sample = mixture(4000, seed=3)
    error = density.score(*sample).log_prob - truth(sample)
    # Minus its mean is the Kullback-Leibler divergence of the density from the truth.
    assert 0 < -error.mean() < divergence
    assert list(history) == [column.name for column in HISTORY_COLUMNS]
    assert history.groupby("member").size().index.tolist() == [0, 1]


def test_gross_outliers_neither_spoil_nor_hide(contaminated):
    density, outliers, context = contaminated
    sample = mixture(4000, seed=3)
    error = density.score(*sample).log_prob - truth(sample)
    assert 0 < -error.mean() < 0.12
    found = density.score(outliers, context).log_prob
    assert found.max() < density.held_out.min() - 100
    assert (density.percentile(found) == 1 / 501).all()


@KINDS
def test_no_feature_at_fifty_scales_is_normal(kind, request):
    density, _ = request.getfixturevalue(kind)
    flow = density.flows[0]
    for feature in range(2):
        for sign in (-50, 50):
            x, context = mixture(200, seed=4)
            x[:, feature] = (flow.centre + sign * flow.scale)[feature]
            assert density.score(x, context).log_prob.max() < density.held_out.min() - 10


def test_members_differ_and_more_objects_bring_them_together(spline, tmp_path):
    density, history = spline
    sample = mixture(1000, seed=3)
    small, _ = train(tmp_path, mixture(150, seed=1), members=2, trim=0.0)
    spread = density.score(*sample).spread.median()
    assert 0 < spread < 0.5 * small.score(*sample).spread.median()
    first = history[history.epoch == 1].train_loss
    assert first.iloc[0] != first.iloc[1]


def test_score_is_the_log_of_the_mean_density_and_the_spread_of_its_logarithm():
    density = untrained()
    x, context = mixture(50, seed=5)
    log_prob = density.log_prob(x, context)
    assert log_prob.shape == (3, 50)
    assert log_prob.dtype == torch.float64
    score = density.score(x, context)
    torch.testing.assert_close(score.log_prob, log_prob.exp().mean(dim=0).log())
    torch.testing.assert_close(score.spread, log_prob.std(dim=0))
    far = density.score(1e5 * x, context)
    assert far.log_prob.isfinite().all()
    assert untrained(members=1).score(x, context).spread.eq(0).all()


def test_order_of_members_does_not_matter():
    density = untrained()
    sample = mixture(50, seed=5)
    other = Density(list(density.flows)[::-1], density.held_out)
    for a, b in zip(density.score(*sample), other.score(*sample), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_what_is_not_finite_is_flagged_and_alone():
    density = untrained(held_out=(-5.0, -3.0))
    x, context = mixture(5, seed=5)
    expected = density.score(x, context)
    x[1, 0], context[3, 0] = torch.nan, torch.inf
    found = density.score(x, context)
    assert found.flagged.tolist() == [False, True, False, True, False]
    assert density.percentile(found.log_prob).isnan().tolist() == found.flagged.tolist()
    assert found.spread.isnan().tolist() == found.flagged.tolist()
    keep = ~found.flagged
    assert torch.equal(found.log_prob[keep], expected.log_prob[keep])


def test_percentiles_of_three_held_out_objects():
    density = untrained(held_out=(2.0, 0.0, 1.0))
    log_prob = torch.tensor([-9.0, 0.0, 0.5, 1.0, 2.0, 9.0, torch.nan])
    expected = torch.tensor([0.25, 0.25, 0.375, 0.5, 0.75, 0.75, torch.nan]).double()
    torch.testing.assert_close(density.percentile(log_prob), expected, equal_nan=True)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
@settings(max_examples=30)
def test_percentiles_follow_the_order_of_log_prob(values):
    density = untrained(held_out=tuple(values[::2]))
    log_prob = torch.tensor(sorted(values), dtype=torch.float64)
    percentile = density.percentile(log_prob)
    assert (percentile.diff() >= 0).all()
    assert ((percentile > 0) & (percentile < 1)).all()


def test_calibration_passes_what_is_right(spline):
    density, _ = spline
    values, checks = calibration(density, mixture(1000, seed=3))
    assert list(values) == [column.name for column in HELD_OUT_COLUMNS]
    assert list(checks) == [column.name for column in CALIBRATION_COLUMNS]
    assert values["sample"].value_counts().tolist() == [1000, 1000]
    assert checks["check"].value_counts().to_dict() == {"base": 4, "percentile": 1, "log_prob": 1}
    assert (checks["statistic"] < 0.12).all()
    p_value = checks.set_index("check")["p_value"]
    assert p_value["percentile"] > 0.01
    assert p_value["log_prob"] > 0.01


def test_calibration_finds_what_is_wrong(spline):
    density, _ = spline
    right = calibration(density, mixture(1000, seed=3)).checks["statistic"]
    features, context = mixture(1000, seed=3)
    noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(6))
    broader = features + 0.5 * noise
    checks = calibration(density, Sample(broader, context)).checks
    wrong = checks.set_index("check")
    assert wrong["statistic"]["percentile"] > 0.15
    assert wrong["statistic"]["log_prob"] > 0.15
    assert (checks["statistic"] > right).sum() >= 5
    other = calibration(density, Sample(features, -context)).checks
    assert other.set_index("check")["statistic"]["percentile"] > 0.15


def test_objects_without_features_take_no_part_in_calibration():
    sample = mixture(30, seed=5)
    sample.features[3, 0] = torch.nan
    checks = calibration(untrained(held_out=(-5.0, -3.0)), sample).checks
    assert (checks["n"] == 29).all()


def test_same_seed_same_bytes_and_files_hold_everything(tmp_path):
    sample = mixture(300, seed=1)
    brief = replace(SETTINGS, epochs=2)
    paths = []
    for run in ("first", "second"):
        density, _ = train(tmp_path / run, sample, brief, members=2)
        paths.append((tmp_path / f"{run}.safetensors", tmp_path / f"{run}.json"))
        density.save(*paths[-1], {"training_data": "a mixture"})
    for one, two in zip(*paths, strict=True):
        assert one.read_bytes() == two.read_bytes()
    loaded = Density.load(*paths[0])
    assert torch.equal(loaded.log_prob(*sample), density.log_prob(*sample))
    assert torch.equal(loaded.held_out, density.held_out)
    other, _ = train(tmp_path / "other", sample, replace(brief, seed=2), members=2)
    assert not torch.equal(other.log_prob(*sample), density.log_prob(*sample))


def test_context_may_be_absent(tmp_path):
    features = mixture(300, seed=1).features
    sample = Sample(features, features.new_empty(300, 0))
    density, _ = train_density(
        *sample, sample, replace(SETTINGS, epochs=2), members=2, directory=tmp_path
    )
    density.save(tmp_path / "density.safetensors", tmp_path / "density.json", {})
    loaded = Density.load(tmp_path / "density.safetensors", tmp_path / "density.json")
    assert torch.equal(loaded.score(features).log_prob, density.score(*sample).log_prob)
    assert (calibration(loaded, sample).checks["n"] == 300).all()


def test_loading_leaves_random_numbers_alone(tmp_path):
    paths = tmp_path / "density.safetensors", tmp_path / "density.json"
    untrained().save(*paths, {})
    before = torch.random.get_rng_state()
    Density.load(*paths)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_too_few_objects_are_refused(tmp_path):
    features, context = mixture(150, seed=1)
    features[:60, 0] = torch.nan
    with pytest.raises(UserError, match="only 90 of 150 training objects"):
        train(tmp_path, Sample(features, context))
    nothing = Sample(torch.full((5, 2), torch.nan), torch.zeros(5, 1))
    with pytest.raises(UserError, match="no held-out object"):
        train_density(
            *mixture(150, seed=1),
            nothing,
            replace(SETTINGS, epochs=1),
            members=1,
            directory=tmp_path,
        )
