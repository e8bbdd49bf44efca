"""The fit: what each recipe minimises, and that nothing but its settings decides the result."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from uraniborg.population.popsed.generator import Generator
from uraniborg.population.popsed.photometry import Observed
from uraniborg.population.popsed.prior import Prior
from uraniborg.population.popsed.training import (
    ZERO_POINT_ERROR,
    Comparison,
    Draw,
    PopulationModel,
    Recipe,
    divergence,
    train,
)
from uraniborg.training import TrainingSettings

SETTINGS = TrainingSettings(epochs=4, batch_size=100, learning_rate=1e-2, keep="last", seed=3)
STEPS = 5


@pytest.fixture(scope="module")
def observed(universe):
    return Observed(universe.catalogue)


@pytest.fixture(scope="module")
def prior(forward_model):
    return Prior.of(forward_model.space, forward_model.history, 0.1)


@pytest.fixture
def fit(forward_model, observed, prior, tmp_path_factory):
    """Trains with what differs, in a folder of its own unless there is one."""

    def trained(
        recipe=None, prior=prior, observed=observed, kind=Comparison, directory=None, **changes
    ):
        recipe = recipe or Recipe()
        torch.manual_seed(recipe.seed)
        generator = Generator(forward_model.space.size, 1, (16,), 4)
        model = PopulationModel(forward_model, 5, generator, selects=not recipe.published)
        settings = replace(SETTINGS, **{k: v for k, v in changes.items() if k != "steps"})
        history = train(
            model,
            kind(observed, settings.batch_size, recipe),
            prior,
            settings,
            directory=directory or tmp_path_factory.mktemp("fit"),
            steps=changes.get("steps", STEPS),
        )
        return model, history

    return trained


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# The divergence


def normal_draw(space, number=200_000, shift=0.0, selects=None, seed=0):
    """Galaxies of a normal distribution whose mass is shifted from that of the flat box."""

    random = torch.Generator().manual_seed(seed)
    y = torch.randn(number, space.size, generator=random, dtype=torch.float64)
    log_prob = torch.distributions.Normal(0, 1).log_prob(y).sum(1)
    y = y + shift * torch.eye(space.size, dtype=torch.float64)[1]
    selected = torch.zeros(number, dtype=torch.float64) if selects is None else selects(y)
    return Draw(space.parameters(y), y, log_prob, torch.ones(number, 5), selected)


@pytest.mark.parametrize("shift", [0.0, 1.0, -0.5])
def test_the_divergence_of_normal_distributions(forward_model, shift):
    space = forward_model.space
    found = float(divergence(normal_draw(space, shift=shift), Prior.flat_box(space)))
    assert found == pytest.approx(shift**2 / 2, abs=0.01)


def test_the_divergence_is_of_the_selected_galaxies_alone(forward_model):
    space = forward_model.space
    flat = Prior.flat_box(space)
    # Of a normal distribution that moves by one, the upper part is that which is selected.
    draw = normal_draw(space, 400_000, 1.0, lambda y: torch.special.log_ndtr(8 * (y[:, 1] - 1)))
    y = torch.linspace(-6, 8, 20_001, dtype=torch.float64)
    chance = torch.special.ndtr(8 * (y - 1))
    flow, box = (torch.distributions.Normal(mean, 1).log_prob(y).exp() * chance for mean in (1, 0))
    fraction = [torch.trapezoid(each, y) for each in (flow, box)]
    mean = torch.trapezoid(flow * (y - 0.5), y) / fraction[0]
    # The prior's own fraction is the constant that is left out.
    expected = float(mean - fraction[0].log())
    assert float(divergence(draw, flat)) == pytest.approx(expected, abs=0.01)
    # With it, the divergence is that of two distributions: not negative.
    assert expected + float(fraction[1].log()) > 0


@pytest.mark.parametrize("more", [1, 1000, 100_000])
def test_galaxies_that_are_never_selected_change_nothing(forward_model, prior, more):
    draw = normal_draw(forward_model.space, 1000, selects=lambda y: y[:, 1].clamp(max=0))
    hidden = normal_draw(forward_model.space, more, seed=1)
    # A flow that draws them, too, draws the others less often.
    rarer = math.log((1000 + more) / 1000)
    both = Draw(
        {n: torch.cat([v, hidden.parameters[n]]) for n, v in draw.parameters.items()},
        torch.cat([draw.coordinates, hidden.coordinates]),
        torch.cat([draw.log_prob, hidden.log_prob]) - rarer,
        torch.cat([draw.flux, hidden.flux]),
        torch.cat([draw.log_selected, hidden.log_selected - 1e4]),
    )
    torch.testing.assert_close(divergence(both, prior), divergence(draw, prior))
    torch.testing.assert_close(both.weights[:1000], draw.weights)
    torch.testing.assert_close(both.effective * (1000 + more), draw.effective * 1000)


def test_the_effective_fraction():
    weights = torch.tensor([0.0, 0.0, -1e4, -1e4])
    draw = Draw({}, torch.zeros(4, 1), torch.zeros(4), torch.zeros(4, 1), weights)
    assert draw.effective.item() == pytest.approx(0.5)
    assert draw.weights.tolist() == pytest.approx([0.5, 0.5, 0, 0])


# The population


def test_draws_follow_from_their_seed(forward_model):
    torch.manual_seed(0)
    model = PopulationModel(forward_model, 5, Generator(forward_model.space.size, 1, (16,), 4))
    first, again, other = (model.draw(500, seed, batch=200) for seed in (1, 1, 2))
    assert len(first.log_prob) == 500
    assert torch.equal(first.flux, again.flux)
    assert not torch.equal(first.flux, other.flux)
    assert first.parameters["history"].shape == (500, 6)


def test_zero_points_are_magnitudes(forward_model):
    torch.manual_seed(0)
    model = PopulationModel(forward_model, 5, Generator(forward_model.space.size, 1, (16,), 4))
    before = model.draw(50)
    with torch.no_grad():
        model.offsets[3] = 5.0
    after = model.draw(50)
    np.testing.assert_allclose(model.zero_points.tolist(), [0, 0, 0, 5 * ZERO_POINT_ERROR, 0])
    change = -2.5 * torch.log10(after.flux / before.flux)
    np.testing.assert_allclose(change.mean(0), [0, 0, 0, 0.1, 0], atol=1e-5)
    # What is expected of them adds to what is fitted.
    model.expected[3] = -5.0
    torch.testing.assert_close(model.draw(50).flux, before.flux)
    # The survey selects by its own magnitudes, not by those that the fit corrects.
    assert torch.equal(after.log_selected, before.log_selected)


# Recipes


def test_a_fit_lowers_the_distance(fit):
    _, history = fit(epochs=8, steps=10, batch_size=200)
    assert history["train_distance"].iloc[-1] < 0.5 * history["train_distance"].iloc[0]
    assert history["valid_loss"].iloc[-1] < history["valid_loss"].iloc[0]
    assert {"train_divergence", "valid_distance"} <= set(history)


def test_the_published_recipe_has_neither_selection_nor_prior(fit, prior, forward_model):
    published = Recipe("published", weight=10.0)
    model, history = fit(published)
    assert not model.selects
    assert (model.draw(100).log_selected == 0).all()
    # No prior has a say in it, nor the weight.
    flat = Prior.flat_box(forward_model.space)
    assert same(model, fit(published, prior=flat)[0])
    assert same(model, fit(replace(published, weight=0.0))[0])
    np.testing.assert_allclose(history["train_loss"], history["train_distance"], rtol=1e-6)
    # In the other recipe it has.
    model, _ = fit(Recipe(weight=0.1))
    assert model.selects
    assert (model.draw(100).log_selected < 0).any()
    assert not same(model, fit(Recipe(weight=0.1), prior=flat)[0])
    assert not same(model, fit(Recipe(weight=0.2))[0])


class Watched(Comparison):
    """Remembers how strong noise was."""

    strengths: list[float]

    def distance(self, draw, strength=1.0):
        self.strengths.append(strength)
        return super().distance(draw, strength)


@pytest.mark.parametrize("name", ["published", "default"])
def test_only_published_noise_is_annealed(fit, name):
    Watched.strengths = []
    fit(Recipe(name), kind=Watched, epochs=8, steps=1)
    # Each epoch trains once and validates once.
    strengths = np.array(Watched.strengths[1::2])
    if name == "default":
        assert (strengths == 1).all()
        return
    assert strengths[0] == pytest.approx(1 / 31)
    ratios = strengths[1:5] / strengths[:4]
    np.testing.assert_allclose(ratios, 31**0.25)
    assert (strengths[4:] == 1).all()


def test_a_fit_to_the_prior_does_not_look_at_the_photometry(fit, universe):
    catalogue = universe.catalogue
    other = Observed(replace(catalogue, flux=catalogue.flux * [0.5, 0.7, 1.0, 1.2, 1.5]))
    prior_only = Recipe(weight=1.0, photometry=False)
    model, history = fit(prior_only)
    assert same(model, fit(prior_only, observed=other)[0])
    assert (history["train_distance"] == 0).all()
    assert history["train_divergence"].iloc[-1] < history["train_divergence"].iloc[0]
    # Zero points have no reason to move.
    assert (model.zero_points == 0).all()
    assert not same(fit()[0], fit(observed=other)[0])


@pytest.mark.parametrize("distance", ["sliced_energy", "sinkhorn"])
def test_other_distances_can_be_minimised(fit, distance):
    _, history = fit(Recipe(distance=distance), epochs=5)
    assert np.isfinite(history["train_loss"]).all()
    assert history["train_distance"].iloc[-1] < history["train_distance"].iloc[0]


# The same bytes


def test_the_seed_decides(fit):
    model, history = fit()
    torch.rand(5)
    again, repeated = fit()
    assert same(model, again)
    assert history.equals(repeated)
    assert not same(model, fit(Recipe(seed=1))[0])
    assert not same(model, fit(seed=4)[0])


class StoppedError(Exception):
    pass


class Stops(Comparison):
    """Breaks down in the middle of the third epoch."""

    calls = 0

    def distance(self, draw, strength=1.0):
        Stops.calls += 1
        if Stops.calls == 2 * (STEPS + 1) + 3:
            raise StoppedError
        return super().distance(draw, strength)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("published", distance="sinkhorn")])
def test_an_interrupted_fit_continues_to_the_same_weights(fit, tmp_path, recipe):
    model, history = fit(recipe)
    Stops.calls = 0
    with pytest.raises(StoppedError):
        fit(recipe, kind=Stops, directory=tmp_path)
    Watched.strengths = []
    resumed, all_of_it = fit(recipe, kind=Watched, directory=tmp_path)
    # Two of the four epochs were left.
    assert len(Watched.strengths) == 2 * (STEPS + 1)
    assert same(model, resumed)
    assert history.equals(all_of_it)


class Fixed(Comparison):
    """Holds one and the same sample against the catalogue, at every step."""

    values: list[float]

    def distance(self, draw, strength=1.0):
        if torch.is_grad_enabled():
            with torch.no_grad():
                random = torch.Generator().manual_seed(0)
                sample = torch.randn(100, 5, generator=random)
                Fixed.values.append(float(self.objective(sample)))
        return super().distance(draw, strength)


def test_every_step_has_a_minibatch_of_its_own(fit):
    Fixed.values = []
    fit(Recipe(distance="sinkhorn"), kind=Fixed, epochs=2)
    assert len(set(Fixed.values)) == 2 * STEPS
