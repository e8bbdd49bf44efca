"""The prior: volume, masses, dust and histories, each against what it should be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy import units
from astropy.cosmology import Planck15, z_at_value
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from uraniborg.population.popsed.parameters import BOUNDS, ParameterSpace
from uraniborg.population.popsed.prior import LOG_SSFR, Prior, cosmic_concentration
from uraniborg.universe.histories import RECENT, NMFHistory

SPACE = ParameterSpace(0.01, 0.4, 3)


@pytest.fixture(scope="module")
def history(root):
    return NMFHistory.load(root / "resources" / "history_basis.parquet")


@pytest.fixture(scope="module")
def box():
    random = torch.Generator().manual_seed(0)
    y = torch.randn(300_000, SPACE.size, generator=random, dtype=torch.float64)
    return y, SPACE.parameters(y)


def weights(prior, box):
    """Of galaxies that are evenly distributed in the box, as those of the prior."""

    flat = Prior.flat_box(prior.space)
    return (prior.log_prob(*box) - flat.log_prob(*box)).softmax(0).numpy()


def test_the_flat_box_is_a_standard_normal(box):
    y, parameters = box
    expected = torch.distributions.Normal(0, 1).log_prob(y).sum(1)
    torch.testing.assert_close(Prior.flat_box(SPACE).log_prob(y, parameters), expected)


@pytest.mark.parametrize("evolution", [0.0, 3.0])
def test_redshifts_follow_the_comoving_volume(box, evolution):
    prior = Prior(SPACE, slope=-1.0, evolution=evolution)
    edges = np.linspace(0.01, 0.4, 9)
    found = np.histogram(box[1]["z"], edges, weights=weights(prior, box))[0]
    fine = np.linspace(0.01, 0.4, 8001)
    element = Planck15.differential_comoving_volume(fine).value * (1 + fine) ** evolution
    expected = np.histogram(fine, edges, weights=element / element.sum())[0]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize(("slope", "knee", "softness"), [(-1.4, 10.8, 1.0), (-1.1, 10.3, 0.5)])
def test_masses_follow_the_mass_function(box, slope, knee, softness):
    prior = Prior(SPACE, slope=slope, knee=knee, softness=softness)
    edges = np.linspace(7, 11.5, 10)
    found = np.histogram(box[1]["stellar_mass"], edges, weights=weights(prior, box))[0]
    mass = np.linspace(7, 12.5, 11_001)
    # Schechter (1976), per dex.
    density = (10 ** (mass - knee)) ** (1 + slope) * np.exp(-(10 ** (softness * (mass - knee))))
    expected = np.histogram(mass, edges, weights=density / density.sum())[0]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-3)


def test_metals_and_dust_are_normal_within_the_box(box):
    known = weights(Prior(SPACE), box)
    for bound in BOUNDS[1:]:
        ends = [(end - bound.centre) / bound.width for end in (bound.low, bound.high)]
        expected = truncnorm(*ends, bound.centre, bound.width)
        values = box[1][bound.name].numpy()
        mean = known @ values
        assert mean == pytest.approx(expected.mean(), abs=0.04 * bound.width), bound.name
        spread = (known @ (values - mean) ** 2) ** 0.5
        assert spread == pytest.approx(expected.std(), rel=0.04), bound.name


def test_the_centre_of_the_slope_of_dust_may_be_another(box):
    means = [
        weights(Prior(SPACE, dust_slope=centre), box) @ box[1]["dust_slope"].numpy()
        for centre in (-0.5, -0.3)
    ]
    assert means == pytest.approx([-0.5, -0.3], abs=0.05)


def test_histories_are_of_the_dirichlet_distribution(box):
    concentration = np.array([3.0, 1.0, 2.0])
    known = weights(Prior(SPACE, tuple(concentration)), box)
    fractions = box[1]["history"].numpy()
    mean = known @ fractions
    np.testing.assert_allclose(mean, concentration / 6, atol=0.01)
    variance = known @ (fractions - mean) ** 2
    share = concentration / 6
    np.testing.assert_allclose(variance, share * (1 - share) / 7, rtol=0.06)


def test_specific_star_formation_rates_have_their_weight(box):
    recent = (0.0, 0.02, 0.5)
    with_rates, without = (Prior(SPACE, (), rates) for rates in (recent, ()))
    ratio = (with_rates.log_prob(*box) - without.log_prob(*box)).numpy()
    share = box[1]["history"].numpy() @ np.array(recent)
    log_ssfr = np.log10(share / RECENT)
    expected = -(((log_ssfr - LOG_SSFR[0]) / LOG_SSFR[1]) ** 2) / 2
    seen = share > 1e-6
    np.testing.assert_allclose(ratio[seen], expected[seen], atol=1e-9)
    assert ratio[seen].max() == pytest.approx(0, abs=0.01)


@given(st.lists(st.floats(-20, 20), min_size=8, max_size=8))
def test_the_density_is_finite_wherever_the_flow_goes(coordinates):
    y = torch.tensor([coordinates], requires_grad=True)
    prior = Prior(SPACE, (0.1, 0.5, 2.0), (0.0, 0.02, 0.5))
    log_prob = prior.log_prob(y, SPACE.parameters(y))
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert y.grad.isfinite().all()
    assert log_prob.dtype == torch.float32


@given(st.floats(0.0, 1.0), st.floats(0.5, 50))
def test_concentrations_have_the_sum_that_is_asked_for(history, z, total):
    concentration = cosmic_concentration(history, z, total)
    assert len(concentration) == history.size
    assert sum(concentration) == pytest.approx(total)
    assert min(concentration) > 0.005 * total


@pytest.mark.parametrize("z", [0.1, 0.5])
def test_the_mean_history_is_that_of_the_universe(history, z):
    # Madau & Dickinson (2014, eq. 15), all of it by astropy.
    mean = np.array(cosmic_concentration(history, z, 1.0)) @ history.components.numpy()
    formed = np.append(0, np.cumsum(mean))
    edges = 3e-3 * np.expm1(np.linspace(0, np.log1p(1 / 3e-3), len(formed)))
    age = Planck15.age(z).to_value(units.Gyr)
    redshift = np.linspace(z, 12, 4000)
    time = Planck15.age(redshift).to_value(units.Gyr)
    rate = (1 + redshift) ** 2.7 / (1 + ((1 + redshift) / 2.9) ** 5.6)
    total = -np.trapezoid(rate, time)
    for lookback in (1.0, 3.0, 6.0):
        began = float(z_at_value(Planck15.age, (age - lookback) * units.Gyr))
        young = redshift < began
        expected = -np.trapezoid(rate[young], time[young]) / total
        found = np.interp(lookback / age, edges, formed)
        assert found == pytest.approx(expected, abs=0.03), lookback


def test_the_default_prior_knows_the_recent_share_of_each_component(forward_model):
    prior = Prior.of(forward_model.space, forward_model.history, 0.1)
    assert len(prior.concentration) == len(prior.recent) == 6
    assert sum(prior.concentration) == pytest.approx(5)
    assert all(0 <= share <= 1 for share in prior.recent)
    # The model of galaxies counts their stars in other cells.
    zero = torch.zeros(6, dtype=torch.float64)
    p = {"z": zero + 0.1, "log_metallicity": zero, "stellar_mass": zero + 10}
    formed = forward_model.model.weights(p | {"history": torch.eye(6, dtype=torch.float64)})
    edges = forward_model.model.populations.age_edges
    young = formed[:, edges[1:] <= RECENT].sum(1) / formed.sum(1)
    np.testing.assert_allclose(prior.recent, young, atol=0.03)


def test_variations_follow_from_their_random_numbers():
    prior = Prior(SPACE, (0.7, 0.3, 1.0))
    first, again, other = (prior.vary(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert prior.vary(np.random.default_rng(1)) != prior
    # Only numbers that are in doubt change.
    widths = {"slope": 0.15, "knee": 0.15, "evolution": 2.0, "dust_slope": 0.2}
    numbers = {name: getattr(prior, name) for name in widths}
    assert replace(first, **numbers) == prior
    random = np.random.default_rng(3)
    many = [prior.vary(random) for _ in range(2000)]
    for name, width in widths.items():
        values = np.array([getattr(each, name) for each in many])
        assert values.mean() == pytest.approx(numbers[name], abs=0.1 * width)
        assert values.std() == pytest.approx(width, rel=0.06)


def test_a_flat_box_varies_into_a_flat_box(box):
    varied = Prior.flat_box(SPACE).vary(np.random.default_rng(0))
    torch.testing.assert_close(varied.log_prob(*box), Prior.flat_box(SPACE).log_prob(*box))
