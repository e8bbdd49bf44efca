import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.tables import read_table
from uraniborg.universe.quasar_lines import components, fit_lines, power_law, profile
from uraniborg.universe.quasar_population import PARAMETERS, QuasarPopulation, quasar_columns
from uraniborg.universe.quasars import QuasarModel, smc_curve

GRID = WavelengthGrid("log10", 3.0, 2e-4, 4500)
POPULATION = QuasarPopulation(z_max=4.0)
STRENGTHS = ("lya", "civ", "mgii", "balmer", "iron", "narrow")


@pytest.fixture(scope="module")
def path(root):
    return root / "resources" / "quasar_lines.parquet"


@pytest.fixture(scope="module")
def model(path):
    return QuasarModel(path, GRID)


@pytest.fixture(scope="module")
def drawn():
    return POPULATION.sample(0, 2048, seed=3)


def parameters(**changes):
    p = dict.fromkeys((f"strength_{name}" for name in STRENGTHS), 0.0) | {
        "z": 2.0, "log_luminosity": 46.0, "slope": -1.6, "red_slope": -0.8, "hot_dust": 0.7,
        "fwhm": 4500.0, "blueshift": 0.0, "reddening": 0.0, "bal": 0, "bal_v_min": 5000.0,
        "bal_v_max": 15000.0, "bal_depth": 0.9, "bal_shape": 0.3, "forest": -1,
    }  # fmt: skip
    return {name: np.array([value]) for name, value in (p | changes).items()}


def bare(**changes):
    """Without lines."""

    return parameters(**{f"strength_{name}": -np.inf for name in STRENGTHS} | changes)


def at(model, flux, wavelength):
    return np.interp(wavelength, model.grid.wavelength, flux[0].double().numpy())


def test_luminosity_and_slopes_are_those_asked_for(model):
    flux = model.luminosity(bare(hot_dust=0.0))
    nodes = np.array([5100.0, 1500.0, 3000.0, 5800.0, 8000.0])
    continuum = at(model, flux, nodes)
    assert np.log10(continuum[0] * 5100 * 3.826e33) == pytest.approx(46.0, abs=0.01)
    slope = np.log(continuum[2] / continuum[1]) / np.log(2)
    assert slope == pytest.approx(-1.6, abs=0.02)
    red = np.log(continuum[4] / continuum[3]) / np.log(8000 / 5800)
    assert red == pytest.approx(-0.8, abs=0.15)


def test_equivalent_widths_are_those_of_the_table(model, path):
    table = read_table(path)
    expected = table[table["name"].str.startswith("MgII")]["equivalent_width"].sum()
    only = {f"strength_{name}": -np.inf for name in STRENGTHS if name != "mgii"}
    ratio = model.luminosity(parameters(**only)) / model.luminosity(bare()) - 1
    inside = (GRID.wavelength > 2500) & (GRID.wavelength < 3150)
    width = np.trapezoid(ratio[0].numpy()[inside], GRID.wavelength[inside])
    assert width == pytest.approx(expected, rel=0.03)
    stronger = model.luminosity(parameters(**only | {"strength_mgii": 0.3}))
    twice = (stronger / model.luminosity(bare()) - 1)[0].numpy()[inside]
    assert np.trapezoid(twice, GRID.wavelength[inside]) == pytest.approx(1.995 * width, rel=1e-3)


@settings(max_examples=15)
@given(st.floats(1500, 12000), st.floats(-500, 3500))
def test_widths_and_shifts(model, fwhm, blueshift):
    only = {f"strength_{name}": -np.inf for name in STRENGTHS if name != "civ"}
    lines = {"fwhm": fwhm, "blueshift": blueshift}
    ratio = model.luminosity(parameters(**only, **lines)) / model.luminosity(bare()) - 1
    ratio = ratio[0].double().numpy()
    inside = (GRID.wavelength > 1440) & (GRID.wavelength < 1590)
    peak = GRID.wavelength[inside][ratio[inside].argmax()]
    velocity = (1 - peak / 1549.06) * 299792.458
    # Shifted lines are interpolated between nodes 1000 km/s apart.
    assert velocity == pytest.approx(blueshift, abs=700)


def test_reddening_is_that_of_the_small_magellanic_cloud(model):
    clear, red = (model.luminosity(parameters(reddening=e)) for e in (0.0, 0.1))
    ratio = at(model, red / clear, 2000.0)
    assert -2.5 * np.log10(ratio) == pytest.approx(0.1 * smc_curve(np.array([2000.0]))[0], abs=0.01)
    # Gordon et al. (2003): about 2.74 in V and twice the Milky Way's in the far ultraviolet.
    assert smc_curve(np.array([5500.0]))[0] == pytest.approx(2.74, abs=0.1)


@pytest.mark.parametrize(("kind", "magnesium"), [(1, False), (2, True), (3, True)])
def test_troughs_lie_where_the_outflow_says(model, kind, magnesium):
    whole = model.luminosity(parameters())
    ratio = (model.luminosity(parameters(bal=kind)) / whole)[0].numpy()
    velocity = 299792.458 * (1 - GRID.wavelength / 1549.06)
    inside = (velocity > 6500) & (velocity < 13500)
    outside = (velocity < 3000) & (velocity > -20000)
    assert ratio[inside].max() < 0.75
    if kind == 1:
        assert ratio[outside].min() > 0.98
        assert (ratio[GRID.wavelength > 1600] == 1).all()
    low = 2798.75 * (1 - 8000 / 299792.458)
    assert (ratio[np.abs(GRID.wavelength - low) < 3].mean() < 0.8) == magnesium
    # Weymann et al. (1991): some 2000 km/s of absorption beyond 3000 km/s.
    deep = (velocity > 3000) & (velocity < 25000) & (ratio < 0.9)
    assert np.ptp(velocity[deep]) > 2000


def test_nuclei_of_galaxies_may_lack_narrow_lines(model):
    with_, without = (model.luminosity(parameters(strength_narrow=s)) for s in (0.0, -np.inf))
    line = np.abs(GRID.wavelength - 5008.2) < 3
    assert (with_ / without)[0, line].max() > 1.3
    assert torch.equal(with_[0, GRID.wavelength < 2000], without[0, GRID.wavelength < 2000])


def test_distant_quasars_lose_their_ultraviolet(model):
    near, far = (model.flux(parameters(z=z)) / model.luminosity(parameters()) for z in (0.5, 4.5))
    assert at(model, far, 1100.0) / at(model, far, 1500.0) < 0.5
    assert at(model, near, 1100.0) / at(model, near, 1500.0) > 0.9


def test_fit_recovers_known_strengths():
    wavelength = 10 ** np.arange(3.06, 3.96, 4e-4)
    table = components()
    true = {"MgII 2799": 20.0, "CIV 1549": 30.0, "Hbeta_base": 40.0, "[OIII] 5008": 10.0}
    continuum = power_law(wavelength, -1.5, 0.3)
    flux = continuum + sum(
        true[row["name"]] * profile(wavelength, row) * power_law(row["wavelength"], -1.5, 0.3)
        for _, row in table[table["name"].isin(true)].iterrows()
    )
    fitted, summary = fit_lines((wavelength, flux))
    strengths = fitted.set_index("name")["equivalent_width"]
    assert summary["blue_slope"] == pytest.approx(-1.5, abs=0.03)
    for name in ("MgII 2799", "CIV 1549", "[OIII] 5008"):
        assert strengths[name] == pytest.approx(true[name], rel=0.2)


@settings(max_examples=15)
@given(st.integers(0, 700), st.integers(1, 300), st.integers(0, 5))
def test_a_quasar_does_not_depend_on_the_chunk(start, count, seed):
    whole = POPULATION.sample(0, 1024, seed)
    part = POPULATION.sample(start, start + count, seed)
    for name, values in part.items():
        assert np.array_equal(values, whole[name][start : start + count])


def test_spectra_do_not_depend_on_the_batch(model):
    p = POPULATION.sample(0, 20, seed=2)
    whole = model.flux(p)
    assert torch.isfinite(whole).all()
    assert (whole >= 0).all()
    part = model.flux({name: values[5:8] for name, values in p.items()})
    assert torch.allclose(part, whole[5:8], rtol=1e-4)


def test_the_population_resembles_the_sky(drawn):
    assert set(drawn) == {parameter.name for parameter in PARAMETERS}
    assert {column.name for column in quasar_columns()} == set(drawn)
    assert all(np.isfinite(values).all() for values in drawn.values())
    # Schneider et al. (2010): most SDSS quasars to i = 19 to 20 lie between 0.5 and 2.5.
    assert 1.2 < np.median(drawn["z"]) < 1.9
    assert 0.11 < (drawn["bal"] > 0).mean() < 0.19
    assert (drawn["bal_v_max"] > drawn["bal_v_min"] + 2000).all()
    assert drawn["bal_v_max"].max() <= 25000
    # Baldwin effect.
    assert np.corrcoef(drawn["log_luminosity"], drawn["strength_civ"])[0, 1] < -0.3


def test_luminosities_agree_with_the_ultraviolet_magnitude(drawn):
    # Richards et al. (2006, eq. 3): M_1450 = M_i(z=2) + 1.486, for a slope of -0.5 in frequency;
    # the brightest quasars of the sky have M_1450 of about -29.
    continuum = drawn["log_luminosity"] + (1 + drawn["slope"]) * np.log10(1450 / 5100)
    per_hz = continuum - np.log10(2.99792458e18 / 1450)
    magnitude = -2.5 * (per_hz - np.log10(4 * np.pi) - 2 * np.log10(3.085677581e19)) - 48.60
    assert -29.5 < magnitude.min() < -26.5
    assert -25.5 < np.median(magnitude) < -23.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"z_max": 9.0}, "z_max"), ({"bal_fraction": 2.0}, "bal_fraction")],
)
def test_impossible_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        QuasarPopulation(**changes)


def test_a_limit_that_nothing_reaches_is_named():
    with pytest.raises(UserError, match="i_limit"):
        QuasarPopulation(z_min=3, i_limit=8.0).sample(0, 1, seed=1)
