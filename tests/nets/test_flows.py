"""Flows are densities: normalised, in the units of their features, and well behaved far away."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.nets.flows import Flow

KINDS = pytest.mark.parametrize("kind", ["autoregressive", "spline"])


def rough(kind, features=3, context=1, seed=0, strength=1.5):
    """A flow that is far from the identity, with the scales of a skewed sample."""

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flow = Flow(features, context, kind)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter *= strength
    size = torch.arange(1, features + 1)
    x = 5 + size * torch.randn(500, features, generator=generator).exp()
    flow.standardise_by(x, torch.randn(500, context, generator=generator))
    return flow.eval()


def points(flow, number, seed=1):
    generator = torch.Generator().manual_seed(seed)
    standard = torch.randn(number, flow.features, generator=generator)
    context = torch.randn(number, flow.context, generator=generator)
    return (flow.centre + flow.scale * standard).float(), context


@KINDS
@pytest.mark.parametrize("context", [0, 1])
def test_integrates_to_one_in_the_units_of_the_features(kind, context):
    flow = rough(kind, 2, context, strength=1.0)
    steps = torch.linspace(-20, 20, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps)
    x = (flow.centre + flow.scale * grid).float()
    with torch.no_grad():
        log_prob = flow.log_prob(x, torch.full((len(x), context), 0.3))
    cell = 0.1**2 * flow.scale.prod()
    assert (log_prob.exp().sum() * cell).item() == pytest.approx(1, abs=1e-3)


@KINDS
def test_one_feature_without_context_has_a_density(kind):
    flow = rough(kind, 1, 0)
    x = (flow.centre + flow.scale * torch.linspace(-30, 30, 60001)[:, None].double()).float()
    with torch.no_grad():
        total = flow.log_prob(x).exp().sum() * 1e-3 * flow.scale[0]
    assert total.item() == pytest.approx(1, abs=1e-3)


@KINDS
def test_change_of_units_adds_its_logarithm(kind):
    flow, other = rough(kind), rough(kind)
    other.centre.mul_(7).sub_(3)
    other.scale.mul_(7)
    x, context = points(flow, 50)
    torch.testing.assert_close(
        other.log_prob(7 * x - 3, context),
        flow.log_prob(x, context) - 3 * math.log(7),
        atol=2e-3,
        rtol=0,
    )


@KINDS
def test_samples_come_from_the_base(kind):
    flow = rough(kind, strength=1.0)
    context = torch.randn(200, 1, generator=torch.Generator().manual_seed(3))
    drawn = flow.sample(200, context, torch.Generator().manual_seed(4))
    base = torch.randn(200, 3, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(flow.to_base(drawn, context), base, atol=1e-3, rtol=1e-3)


@KINDS
def test_what_is_not_finite_has_no_probability_and_touches_nothing_else(kind):
    flow = rough(kind)
    x, context = points(flow, 6)
    expected = flow.log_prob(x, context)
    bad_x, bad_context = x.clone(), context.clone()
    bad_x[1, 0], bad_x[2, 2], bad_context[4, 0] = torch.nan, torch.inf, -torch.inf
    found = flow.log_prob(bad_x, bad_context)
    assert found.isnan().tolist() == [False, True, True, False, True, False]
    good = [0, 3, 5]
    assert torch.equal(found[good], expected[good])


@KINDS
@given(data=st.data())
@settings(max_examples=20)
def test_far_away_it_only_falls(kind, data):
    flow = rough(kind, seed=data.draw(st.integers(0, 5)))
    component = st.sampled_from([-1.0, -0.2, 0.0, 0.2, 1.0])
    ray = torch.tensor([data.draw(component) for _ in range(3)]).double()
    if not ray.any():
        ray[0] = 1
    near, context = points(flow, 1)
    distance = torch.logspace(2.5, 5, 40)[:, None].double()
    x = (near + distance * flow.scale * ray).float()
    with torch.no_grad():
        log_prob = flow.log_prob(x, context.expand(len(x), 1))
    assert (log_prob.diff() < 0).all()
    assert log_prob[0] < -100


@KINDS
@given(x=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4))
@settings(max_examples=30)
def test_whatever_is_finite_has_a_finite_logarithm(kind, x):
    flow = rough(kind)
    values = torch.tensor(x[:4])[None]
    with torch.no_grad():
        assert flow.log_prob(values[:, :3], values[:, 3:]).isfinite()


@KINDS
def test_beyond_the_range_of_the_context_its_edge_is_used(kind):
    flow = rough(kind)
    x, _ = points(flow, 3)
    lowest = flow.context_centre + flow.context_scale * flow.context_range[0]
    edge = flow.log_prob(x, lowest.float().expand(3, 1) - 1e-3)
    assert torch.equal(flow.log_prob(x, torch.full((3, 1), -1e30)), edge)
    inside = flow.log_prob(x, lowest.float().expand(3, 1) + 0.5)
    assert (inside != edge).all()


def test_scales_do_not_see_a_few_gross_outliers():
    clean = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    dirty = clean.clone()
    dirty[:10] = 1e6
    flows = [Flow(2), Flow(2)]
    for flow, x in zip(flows, (clean, dirty), strict=True):
        flow.standardise_by(x)
    torch.testing.assert_close(flows[1].scale, flows[0].scale, rtol=0.05, atol=0)
    torch.testing.assert_close(flows[1].centre, flows[0].centre, rtol=0, atol=0.05)


def test_a_constant_feature_is_refused_by_number():
    x = torch.randn(100, 3)
    x[:, 1] = 2
    with pytest.raises(UserError, match=r"^feature 1 "):
        Flow(3).standardise_by(x)
    with pytest.raises(UserError, match=r"^context feature 0 "):
        Flow(1, 1).standardise_by(x[:, :1], x[:, 1:2])


@KINDS
def test_weights_hold_all_that_was_random(kind):
    flow = rough(kind, 6, seed=1)
    other = Flow(**flow.architecture)
    other.load_state_dict(flow.state_dict())
    x, context = points(flow, 20)
    assert torch.equal(other.log_prob(x, context), flow.log_prob(x, context))
