"""Fits of populations whose truth is known."""

import numpy as np
import pytest

from uraniborg.population.distances import Standardisation
from uraniborg.population.fitting import Free, fit_in_rounds, fit_population, trace_columns
from uraniborg.tables import write_table

TRUTH = {"fraction": 0.3, "red": 0.95, "slope": 1.8, "scatter": 0.05, "depth": 17.2}
HYPERPARAMETERS = (
    Free("fraction", 0.5, 0.2, 0.0, 1.0),
    Free("red", 0.8, 0.1),
    Free("slope", 1.0, 0.5),
    Free("scatter", 0.1, 0.04, 0.01, 0.5),
    Free("depth", 17.7, 0.3),
    Free("unused", 2.0, 1.0, 0.0, 4.0),
)


def simulate(values, seed=0, n=15_000):
    """Two populations of galaxies in two colours and redshift behind a magnitude limit."""

    random = np.random.default_rng(seed)
    z = 0.3 * random.random(n) ** (1 / 3)
    magnitude = -22 + 0.5 * random.normal(size=n) + 5 * np.log10(z) + 43
    red = random.random(n) < values["fraction"]
    scatter = values["scatter"] * random.normal(size=n)
    colour = np.where(red, values["red"] + values["slope"] * z, 0.5 + 0.8 * z + 0.1) + scatter
    other = 0.4 * colour + 0.03 * random.normal(size=n)
    return np.stack([colour, other, z], axis=1)[magnitude < values["depth"]]


def fit(**options):
    real = simulate(TRUTH, seed=1)
    standardise = [Standardisation.of(real, 6.0, whiten=True)]
    return fit_population(
        lambda values: [simulate(values)], [real], HYPERPARAMETERS, standardise, **options
    )


@pytest.fixture(scope="module")
def fitted():
    return fit(calls=100)


def test_the_truth_is_found_within_a_hundred_simulations(fitted):
    assert fitted.hyperparameters["fraction"] == pytest.approx(TRUTH["fraction"], abs=0.03)
    assert fitted.hyperparameters["red"] == pytest.approx(TRUTH["red"], abs=0.03)
    assert fitted.hyperparameters["slope"] == pytest.approx(TRUTH["slope"], abs=0.2)
    assert fitted.hyperparameters["scatter"] == pytest.approx(TRUTH["scatter"], abs=0.015)
    assert fitted.hyperparameters["depth"] == pytest.approx(TRUTH["depth"], abs=0.15)
    assert fitted.distance < 0.15 * fitted.trace["distance"].iloc[0]


def test_what_the_data_do_not_determine_stays_where_it_was(fitted):
    assert fitted.hyperparameters["unused"] == pytest.approx(2.0, abs=0.01)


def test_bounds_are_kept(fitted):
    for hyperparameter in HYPERPARAMETERS:
        values = fitted.trace[hyperparameter.name]
        assert values.between(hyperparameter.low, hyperparameter.high).all()


def test_the_trace_is_a_table_with_the_best_of_all_simulations(fitted, tmp_path):
    best = fitted.trace.loc[fitted.trace["cost"].idxmin()]
    assert best["distance"] == fitted.distance
    assert best[list(fitted.hyperparameters)].to_dict() == fitted.hyperparameters
    write_table(tmp_path / "trace.parquet", fitted.trace, trace_columns(fitted.hyperparameters))


def test_no_more_simulations_than_allowed_and_always_the_same():
    first, second = fit(calls=20), fit(calls=20)
    assert len(first.trace) == 20
    assert first.trace.equals(second.trace)


def test_a_start_outside_its_bounds_is_refused():
    with pytest.raises(ValueError, match="outside its bounds"):
        fit_population(
            lambda values: [simulate(values)],
            [simulate(TRUTH)],
            [Free("fraction", 1.5, 0.1, 0.0, 1.0)],
            [Standardisation.of(simulate(TRUTH))],
        )


def test_rounds_come_nearer_to_the_truth_and_keep_the_bounds():
    real = simulate(TRUTH, seed=1)
    at_a_bound = [Free("fraction", 0.0, 0.2, 0.0, 1.0), *HYPERPARAMETERS[1:]]
    comparable = [Standardisation.of(real, 6.0, whiten=True)]
    fit = fit_in_rounds(lambda values: [simulate(values)], [real], at_a_bound, comparable, 20)
    assert len(fit.trace) == 60
    assert list(fit.trace["call"]) == 3 * list(range(20))
    assert fit.trace["fraction"].between(0, 1).all()
    assert fit.trace["distance"][40:].min() <= fit.trace["distance"][:20].min()
    assert fit.hyperparameters["fraction"] == pytest.approx(TRUTH["fraction"], abs=0.05)


def test_too_few_calls_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        fit(calls=7)
