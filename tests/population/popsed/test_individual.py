"""Posteriors of single galaxies: against quadrature, and calibrated on galaxies of the prior."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_ndtr, logsumexp
from scipy.stats import truncnorm

from uraniborg.instruments.bands import bands_of
from uraniborg.population.popsed.forward import ForwardModel, Seen, Selection
from uraniborg.population.popsed.individual import Library, fit_individually, stacked
from uraniborg.population.popsed.parameters import BOUNDS, ParameterSpace
from uraniborg.population.popsed.photometry import Catalogue
from uraniborg.population.popsed.prior import Prior
from uraniborg.universe.galaxy_population import Limit

BANDS = bands_of("sdss")
CONCENTRATION = (0.13, 0.06, 0.37, 0.56, 0.74, 0.64)
COLOURS = torch.linspace(-3, 3, 5)
CENTRE = 9.0


class Toy:
    """Galaxies with the flux of their mass, and colours that depend on redshift alone."""

    space = ParameterSpace(0.01, 1.0, 3)

    def __call__(self, parameters):
        logarithm = parameters["stellar_mass"] - CENTRE
        flux = 10 ** logarithm[:, None] * torch.exp(COLOURS * parameters["z"][:, None])
        return Seen(flux, torch.special.log_ndtr((flux[:, 2] - 3) / 0.2))


def catalogue_of(flux, sigma, limited=None):
    flux, sigma = (np.asarray(torch.as_tensor(x), float) for x in (flux, sigma))
    limited = np.zeros(flux.shape, bool) if limited is None else limited
    return Catalogue(BANDS, 2, flux, sigma, limited, np.full(len(flux), np.nan))


def by_quadrature(catalogue, prior, row, error_floor, selects):
    """Means and standard deviations of z and log mass on a grid."""

    z, mass = (x.ravel() for x in np.meshgrid(np.linspace(0.01, 1, 300), np.linspace(7, 12.5, 600)))
    parameters = {"z": torch.as_tensor(z), "stellar_mass": torch.as_tensor(mass)}
    seen = Toy()(parameters)
    flux = seen.flux.numpy()
    spread = np.sqrt(catalogue.sigma[row] ** 2 + (error_floor * flux) ** 2)
    offset = (catalogue.flux[row] - flux) / spread
    each = np.where(catalogue.limited[row], log_ndtr(offset), -(offset**2) / 2 - np.log(spread))
    total = np.where(np.isfinite(catalogue.sigma[row]), each, 0).sum(1)
    if selects:
        total = total + seen.log_selected.numpy()
    if not prior.flat:
        x = np.log(10) * (mass - prior.knee)
        total = total + (1 + prior.slope) * x - np.exp(prior.softness * x)
        volume = replace(prior, evolution=0.0)
        parts = {name: torch.zeros(len(z)) for name in ("log_metallicity", "A_V")}
        parts |= {name: torch.zeros(len(z)) for name in ("birth_cloud_ratio", "dust_slope")}
        parts |= {"z": torch.as_tensor(z), "stellar_mass": torch.full((len(z),), 9.0)}
        parts |= {"history": torch.full((len(z), 3), 1 / 3)}
        total = total + volume.log_prob(torch.zeros(len(z), Toy.space.size), parts).numpy()
    weights = np.exp(total - logsumexp(total))
    means = [float(weights @ x) for x in (z, mass)]
    return [
        (m, float(weights @ (x - m) ** 2) ** 0.5) for m, x in zip(means, (z, mass), strict=True)
    ]


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("selects", [True, False])
def test_posteriors_are_those_of_quadrature(flat, selects):
    prior = Prior(Toy.space, (0.7, 0.3, 1.0), flat=flat)
    library = Library.draw(Toy(), prior, 40_000)
    random = np.random.default_rng(0)
    flux = Toy()({"z": torch.tensor([0.2, 0.4, 0.6]), "stellar_mass": torch.full((3,), 9.5)}).flux
    sigma = np.asarray(flux) * [0.2, 0.5, 0.8, 0.5, 0.2]
    sigma[2] /= 2
    flux = np.asarray(flux) + sigma * random.normal(size=flux.shape)
    limited = np.zeros(flux.shape, bool)
    # The second galaxy lacks a band, the third has a limit.
    sigma[1, 4] = np.nan
    limited[2, 0] = True
    catalogue = catalogue_of(flux, sigma, limited)
    fits = fit_individually(
        library, catalogue, error_floor=0.15, selects=selects, samples=4000, seed=1
    )
    assert (fits.galaxies["effective_size"] > 500).all()
    for galaxy, draws in fits.samples.groupby("galaxy"):
        expected = by_quadrature(catalogue, prior, galaxy, 0.15, selects)
        for name, (mean, spread) in zip(("z", "stellar_mass"), expected, strict=True):
            assert draws[name].mean() == pytest.approx(mean, abs=0.08 * spread)
            assert draws[name].std() == pytest.approx(spread, rel=0.08)


def test_what_is_not_measured_stays_as_in_the_prior():
    prior = Prior(Toy.space, (0.7, 0.3, 1.0))
    library = Library.draw(Toy(), prior, 20_000)
    flux = Toy()({"z": torch.tensor([0.3]), "stellar_mass": torch.tensor([9.0])}).flux
    fits = fit_individually(library, catalogue_of(flux, 0.2 * flux), selects=False, samples=2000)
    draws = fits.samples
    for bound in BOUNDS[1:]:
        ends = [(end - bound.centre) / bound.width for end in (bound.low, bound.high)]
        expected = truncnorm(*ends, bound.centre, bound.width)
        assert draws[bound.name].mean() == pytest.approx(expected.mean(), abs=0.1 * bound.width)
        assert draws[bound.name].std() == pytest.approx(expected.std(), rel=0.1)
    history = draws[["history_0", "history_1", "history_2"]]
    assert history.mean().tolist() == pytest.approx([0.35, 0.15, 0.5], abs=0.05)
    np.testing.assert_allclose(history.sum(axis=1), 1, rtol=1e-5)


def test_the_effective_size_says_that_a_library_is_too_small():
    prior = Prior(Toy.space, (0.7, 0.3, 1.0), flat=True)
    flux = Toy()({"z": torch.tensor([0.3]), "stellar_mass": torch.tensor([9.0])}).flux
    sharp = catalogue_of(flux, 0.003 * flux)
    sizes = [
        fit_individually(
            Library.draw(Toy(), prior, size), sharp, error_floor=0.0, selects=False
        ).galaxies["effective_size"][0]
        for size in (500, 50_000)
    ]
    assert sizes[0] < 5 < 50 < sizes[1]


def test_seeds_decide_and_tables_are_complete():
    prior = Prior(Toy.space, (0.7, 0.3, 1.0))
    flux = Toy()({"z": torch.tensor([0.2, 0.5]), "stellar_mass": torch.tensor([9.0, 10.0])}).flux
    catalogue = catalogue_of(flux, 0.1 * flux)
    tables = [
        fit_individually(Library.draw(Toy(), prior, 3000, seed=1), catalogue, samples=20, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert tables[0].samples.equals(tables[1].samples)
    assert not tables[0].samples.equals(tables[2].samples)
    assert tables[0].samples.groupby("galaxy")["draw"].apply(list).tolist() == 2 * [[*range(20)]]
    assert len(stacked(tables[0], "z")) == 40


@pytest.fixture(scope="module")
def forward_model(root):
    space = ParameterSpace(0.003, 0.3, 6)
    resources = root / "resources"
    return ForwardModel(
        space,
        BANDS,
        Selection({"sdss_r0": Limit(17.7, 0.09)}),
        resources / "ssp_grid.safetensors",
        resources / "history_basis.parquet",
    )


def drawn_from_prior(forward_model, prior, number, random):
    """Galaxies of the prior that the survey selects, and their fluxes."""

    library = Library.draw(forward_model, prior, 20_000, seed=7)
    mass = torch.as_tensor(random.uniform(7, 12.5, len(library.flux))).float()
    parameters = library.parameters | {"stellar_mass": mass}
    with torch.no_grad():
        seen = forward_model(parameters)
        centre = torch.zeros(len(mass), forward_model.space.size)
        log_weight = prior.log_prob(centre, parameters) - library.log_proposal + seen.log_selected
    rows = random.choice(len(mass), number, p=log_weight.double().softmax(0).numpy())
    return SimpleNamespace(
        z=parameters["z"][rows].numpy(),
        mass=mass[rows].numpy(),
        flux=seen.flux[rows].double().numpy(),
    )


def test_posteriors_are_calibrated_on_galaxies_of_the_prior(forward_model):
    """Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788)."""

    random = np.random.default_rng(3)
    prior = Prior(forward_model.space, CONCENTRATION)
    true = drawn_from_prior(forward_model, prior, 60, random)
    sigma = 0.03 * true.flux
    noisy = true.flux * (1 + 0.02 * random.normal(size=true.flux.shape))
    noisy += sigma * random.normal(size=true.flux.shape)
    library = Library.draw(forward_model, prior, 150_000)
    fits = fit_individually(library, catalogue_of(noisy, sigma), samples=100)
    assert fits.galaxies["effective_size"].median() > 50
    for name, truth in (("z", true.z), ("stellar_mass", true.mass)):
        draws = fits.samples[name].to_numpy().reshape(60, 100)
        rank = (draws < truth[:, None]).mean(axis=1)
        distance = np.abs(np.sort(rank) - (np.arange(60) + 0.5) / 60).max()
        # Kolmogorov and Smirnov's at a probability of a percent.
        assert distance < 0.21
        assert 0.2 < (np.abs(rank - 0.5) < 0.25).mean() < 0.75
