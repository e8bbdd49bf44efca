"""From parameters to what a survey sees: against the full model of galaxies, and cosmology."""

import math

import numpy as np
import pytest
import torch
from astropy.cosmology import Planck15

from uraniborg.errors import UserError
from uraniborg.population.popsed.components import ComponentSpectra
from uraniborg.population.popsed.forward import Selection
from uraniborg.population.popsed.parameters import BOUNDS
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.dust import power_law_curve
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import Limit
from uraniborg.universe.gas import log_ionisation
from uraniborg.universe.photometry import read_filter


def galaxies(space, number, seed=0, dtype=torch.float32):
    """Of the whole box."""

    random = torch.Generator().manual_seed(seed)
    y = torch.randn(number, space.size, generator=random, dtype=torch.float64)
    return {name: values.to(dtype) for name, values in space.parameters(y).items()}


def magnitude(flux):
    return 22.5 - 2.5 * torch.log10(flux)


def test_magnitudes_are_those_of_the_full_model(forward_model, root):
    p = galaxies(forward_model.space, 600)
    with torch.no_grad():
        found = magnitude(forward_model(p).flux)
    filters = [read_filter(f"sdss_{letter}0") for letter in "ugriz"]
    grid = band_grid(filters, 0.3, step=2e-3)
    full = GalaxyModel(
        root / "resources" / "ssp_grid.safetensors",
        grid,
        forward_model.history,
        velocities=False,
        dust_curve=power_law_curve,
    )
    p = p | {"log_u": log_ionisation(p["log_metallicity"])}
    exact = magnitude(BandFluxes(filters, grid)(full.flux(p), p["z"]))
    error = found - exact
    assert (error.square().mean(0).sqrt() < 5e-3).all()
    assert (error.mean(0).abs() < 1e-3).all()
    assert float(error.abs().max()) < 0.05


def test_components_are_those_of_the_model_at_its_nodes(forward_model):
    model, spectra = forward_model.model, forward_model.components
    number = model.history.size
    zero = torch.zeros(number, dtype=torch.float64)
    history = torch.eye(number, dtype=torch.float64)
    log_metallicity = zero + float(torch.log10(spectra.metallicity[-2].double()))
    p = dict.fromkeys(("A_V", "birth_cloud_ratio", "dust_slope", "stellar_mass"), zero)
    p |= {"z": zero + 0.17, "history": history, "log_metallicity": log_metallicity}
    exact = model.luminosity(p | {"log_u": log_ionisation(log_metallicity)})
    old, clouds = spectra(history, p["z"], log_metallicity)
    torch.testing.assert_close(old + clouds, exact, rtol=3e-3, atol=1e-3 * float(exact.mean()))
    # Light of birth clouds is a small part of the light, and not negative but for interpolation.
    assert (clouds > -1e-3 * exact).all()
    assert (clouds.sum(1) < 0.9 * exact.sum(1)).all()


def test_more_polynomials_change_nothing(forward_model):
    p = galaxies(forward_model.space, 200)
    spectra = [
        ComponentSpectra(forward_model.model, forward_model.space.z_max, BOUNDS[1].low, order)(
            p["history"], p["z"], p["log_metallicity"]
        )
        for order in (5, 8)
    ]
    five, eight = (sum(parts) for parts in spectra)
    assert float((five / eight - 1).abs().quantile(0.99)) < 5e-3


def test_fluxes_are_proportional_to_mass_and_dust_dims_and_reddens(forward_model):
    p = galaxies(forward_model.space, 100)
    with torch.no_grad():
        flux = forward_model(p).flux
        tenfold = forward_model(p | {"stellar_mass": p["stellar_mass"] + 1}).flux
        dusty = forward_model(p | {"A_V": p["A_V"] + 0.5}).flux
        cloudy = forward_model(p | {"birth_cloud_ratio": p["birth_cloud_ratio"] + 0.5}).flux
    torch.testing.assert_close(tenfold, 10 * flux, rtol=1e-4, atol=0)
    dimming = flux / dusty
    assert (dimming > 1).all()
    assert (dimming[:, 0] > dimming[:, 4]).all()
    assert (cloudy <= flux * (1 + 1e-5)).all()


def test_gradients_are_those_of_finite_differences(forward_model):
    p = galaxies(forward_model.space, 12, seed=4, dtype=torch.float64)

    def seen(values):
        flux, log_selected = forward_model(values)
        return torch.cat([magnitude(flux), log_selected[:, None]], dim=1)

    direction = torch.linspace(-1, 1.5, 6, dtype=torch.float64)
    inputs = {name: values.clone().requires_grad_() for name, values in p.items()}
    (seen(inputs) @ direction).sum().backward()
    for name, values in p.items():
        one = torch.zeros_like(values)
        one[..., 0] = 1
        one = one if values.ndim > 1 else torch.ones_like(values)
        up, down = ({**p, name: values + sign * 1e-5 * one} for sign in (1, -1))
        numeric = ((seen(up) - seen(down)) @ direction) / 2e-5
        exact = (inputs[name].grad * one).reshape(12, -1).sum(1)
        assert exact.numpy() == pytest.approx(numeric.detach().numpy(), rel=2e-3, abs=1e-5), name


# Selection


def at_the_limit(model, p, letter=2, limit=17.7):
    with torch.no_grad():
        return p["stellar_mass"] + 0.4 * (magnitude(model(p).flux[:, letter]) - limit)


def test_half_of_the_galaxies_at_the_limit_are_selected(forward_model):
    p = galaxies(forward_model.space, 100)
    mass = at_the_limit(forward_model, p)
    # Magnitudes are 2.5 times the logarithm of mass: one width on either side.
    for offset, expected in ((0, 0.5), (0.09 / 2.5, 0.8413), (-0.09 / 2.5, 0.1587)):
        with torch.no_grad():
            log_selected = forward_model(p | {"stellar_mass": mass + offset}).log_selected
        np.testing.assert_allclose(log_selected.exp(), expected, atol=0.005)


def test_galaxies_have_to_be_within_all_limits(model_of):
    model = model_of({"sdss_r0": Limit(17.7, 0.09), "twomass_Ks": Limit(17.0, 0.1)})
    p = galaxies(model.space, 200)
    with torch.no_grad():
        flux, log_selected = model(p)
        alone = [
            model_of({name: limit})(p).log_selected
            for name, limit in model.selection.limits.items()
        ]
    # A filter that selects need not be one of the photometry.
    assert flux.shape == (200, 5)
    assert (log_selected <= 0).all()
    torch.testing.assert_close(log_selected, sum(alone), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(alone[0], alone[1])


def test_without_limits_everything_is_selected():
    assert Selection({}).log_probability({}, torch.ones(3)).tolist() == [0, 0, 0]


def test_faults_are_named(model_of, tmp_path):
    with pytest.raises(UserError, match="no_such_filter"):
        model_of({"no_such_filter": Limit(17.0)})
    with pytest.raises(UserError, match="absent"):
        model_of(ssp_grid=tmp_path / "absent.safetensors")
    with pytest.raises(UserError, match="absent"):
        model_of(history_basis=tmp_path / "absent.parquet")


# Volume


def test_a_galaxy_that_is_always_seen_has_all_of_the_volume(model_of):
    model = model_of({"sdss_r0": Limit(60.0)})
    ends = [Planck15.comoving_volume(z).value for z in (model.space.z_min, model.space.z_max)]
    expected = (ends[1] - ends[0]) / (4 * math.pi)
    volume = model.volume(galaxies(model.space, 5))
    assert volume.dtype == torch.float64
    np.testing.assert_allclose(volume, expected, rtol=3e-3)


def test_massive_galaxies_are_seen_in_more_volume(forward_model):
    one = galaxies(forward_model.space, 1, seed=2)
    mass = torch.linspace(7, 12.5, 40)
    p = {name: values.expand(40, *values.shape[1:]) for name, values in one.items()}
    volume = forward_model.volume(p | {"stellar_mass": mass})
    assert (volume.diff() >= 0).all()
    assert volume[0] < 1e-2 * volume[-1]


def test_the_volume_is_that_of_the_distance_to_which_a_galaxy_is_seen(model_of):
    model = model_of({"sdss_r0": Limit(17.7, 0.01)})
    p = galaxies(model.space, 20, seed=3)
    # As massive as it takes to be at the limit at a redshift of 0.2.
    p = p | {"z": torch.full((20,), 0.2)}
    p = p | {"stellar_mass": at_the_limit(model, p)}
    expected = Planck15.comoving_volume(0.2).value / (4 * math.pi)
    np.testing.assert_allclose(model.volume(p, nodes=200), expected, rtol=0.03)
    # It is the galaxy's own, wherever it was found.
    near = model.volume(p | {"z": torch.full((20,), 0.1)}, nodes=200)
    torch.testing.assert_close(near, model.volume(p, nodes=200))
