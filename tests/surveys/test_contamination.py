import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.stats import spearmanr

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.surveys import contamination
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import load_surveys
from uraniborg.surveys.simulation import SpectroscopicSky
from uraniborg.surveys.sources import quasar_view, quasars, star_view, stars
from uraniborg.universe.contaminants import (
    CHANCES,
    CONFUSED_LINES,
    KINDS,
    companions,
    contaminated,
    double_peaked,
    irregular_lines,
    wrong_redshift,
)
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import GalaxyPopulation

NAMES = [kind.name for kind in KINDS]
C = 299792.458


def sky_of(root, **universe):
    survey = load_surveys(root / "config/surveys")["sdss_simulated"]
    plain = {"hyperparameters": "published", "contaminants": {}}
    universe = {**survey.universe, **plain, **universe}
    folder = root / "resources"
    resources = Resources(
        folder / "ssp_grid.safetensors",
        None,
        folder / "star_basis.safetensors",
        folder / "quasar_lines.parquet",
    )
    survey = dataclasses.replace(survey, universe=universe)
    return SpectroscopicSky(survey, spectrograph("sdss", errors="calibrated"), resources)


class Both:
    """Two blocks of nothing but contaminants, and the galaxies that they replace."""

    def __init__(self, root):
        self.sky = sky_of(root, contaminants=dict.fromkeys(NAMES, 1 / len(NAMES)))
        plain = sky_of(root)
        blocks = [(self.sky.block(i), plain.block(i)) for i in range(2)]
        self.truth = self._table([new.truth for new, _ in blocks])
        self.old_truth = self._table([old.truth for _, old in blocks])
        for name in ("flux", "anomaly_flux"):
            setattr(self, name, np.concatenate([getattr(new, name) for new, _ in blocks]))
        self.old_flux = np.concatenate([old.flux for _, old in blocks])
        for name in ("flux", "ivar"):
            for prefix, which in (("seen", 0), ("old_seen", 1)):
                values = [getattr(pair[which].observations, name) for pair in blocks]
                setattr(self, f"{prefix}_{name}", np.concatenate(values))
        self.catalogue, self.old_catalogue = (
            self._table([pair[which].observations.scalars for pair in blocks]) for which in (0, 1)
        )
        self.wavelength = self.sky.spectrograph.grid.wavelength

    @staticmethod
    def _table(blocks):
        return pd.concat([pd.DataFrame(block) for block in blocks], ignore_index=True)

    def rows(self, kind):
        rows = np.flatnonzero(self.truth["anomaly"] == kind)
        assert len(rows) >= 15
        return rows

    def mean(self, flux, low, high):
        inside = (self.wavelength > low) & (self.wavelength < high)
        return flux[:, inside].mean(1)


@pytest.fixture(scope="module")
def both(root):
    return Both(root)


def r_ratio(both, new, old):
    return both.mean(new, 5600, 6800) / both.mean(old, 5600, 6800)


def assert_alike(flux, light, tolerance=2e-3):
    """The two differ by a smooth factor, the flux-calibration error, only."""

    x = np.linspace(-1, 1, flux.shape[1])
    for one, other in zip(flux, light, strict=True):
        ratio = np.log(one / other)
        smooth = np.polynomial.legendre.Legendre.fit(x, ratio, 2)(x)
        assert np.abs(ratio - smooth).max() < tolerance


def of_source(both, rows, name, absorbed=False, **changes):
    """The spectrum that follows from the truth about a star or a quasar."""

    folder, instrument = both.sky.resources, both.sky.spectrograph
    if name == "star":
        source = stars(folder.star_basis, star_view(instrument), 18.0, 1)
    else:
        view = quasar_view(instrument)
        source = quasars(folder.quasar_lines, view, 20.0, 1, bal_fraction=float(absorbed))
    truth = both.truth.iloc[rows]
    parameters = {
        column.name.removeprefix(f"{name}_"): truth[column.name].to_numpy()
        for column in source.columns
    }
    with torch.inference_mode():
        return source.view({**parameters, **changes}).numpy()


def test_every_kind_is_declared_once(root):
    handled = {*contamination._ON_THE_SKY, *contamination._IN_THE_INSTRUMENT}
    schema = yaml.safe_load((root / "workflow/schemas/survey.schema.yaml").read_text())
    keys = schema["properties"]["simulate"]["properties"]["universe"]["properties"]
    assert handled == set(NAMES) == set(keys["contaminants"]["properties"])
    assert len(NAMES) == len(set(NAMES)) >= 12
    assert all(all(dataclasses.astuple(kind)[i] for i in (0, 1, 2, 4, 5)) for kind in KINDS)


def test_rates_are_those_asked_for():
    rates = {"star": 0.3, "spike": 0.5, "galaxy_pair": 0.1}
    kinds = np.concatenate([contaminated(rates, 5, block) for block in range(100)])
    for kind, rate in {**rates, "none": 0.1}.items():
        sigma = np.sqrt(len(kinds) * rate * (1 - rate))
        assert abs((kinds == kind).sum() - len(kinds) * rate) < 4 * sigma, kind
    assert set(kinds) == {*rates, "none"}


def test_a_higher_rate_adds_objects():
    few, many = (contaminated({"spike": rate}, 1, 0) == "spike" for rate in (0.1, 0.3))
    assert few.sum() < many.sum()
    assert many[few].all()


@pytest.mark.parametrize("rates", [{"star": 0.6, "spike": 0.5}, {"star": 1.2}, {"comet": 0.1}])
def test_impossible_rates_are_refused(root, rates):
    with pytest.raises(UserError, match="contaminants"):
        sky_of(root, contaminants=rates)


def test_galaxies_that_are_spared_stay_the_same(root):
    old, new = sky_of(root), sky_of(root, contaminants=dict.fromkeys(NAMES, 0.02))
    old, new = old.block(1), new.block(1)
    spared = new.truth["anomaly"] == "none"
    assert 150 < spared.sum() < 220
    for name in ("flux", "ivar"):
        one, other = (getattr(block.observations, name)[spared] for block in (old, new))
        assert one.tobytes() == other.tobytes()
    assert old.flux[spared].tobytes() == new.flux[spared].tobytes()
    for name, values in old.observations.scalars.items():
        assert list(values[spared]) == list(new.observations.scalars[name][spared])
    for name, values in old.truth.items():
        if name != "anomaly":
            np.testing.assert_array_equal(values[spared], np.array(new.truth[name][spared]))
    assert not new.anomaly_flux[spared].any()


def test_labels_are_complete_and_right(both):
    truth, weight = both.truth, np.abs(both.anomaly_flux) * np.sqrt(both.seen_ivar)
    assert set(truth["anomaly"]) == set(NAMES)
    labels = ["anomaly_strength", "anomaly_significance", "anomaly_low", "anomaly_high", "z"]
    assert truth[labels].notna().all(axis=None)
    np.testing.assert_allclose(
        truth["anomaly_significance"], np.sqrt((weight.astype(float) ** 2).sum(1)), rtol=1e-5
    )
    inside = (both.wavelength >= truth["anomaly_low"].to_numpy()[:, None]) & (
        both.wavelength <= truth["anomaly_high"].to_numpy()[:, None]
    )
    changed = truth["anomaly"] != "wrong_redshift"
    share = (weight * inside).sum(1)[changed] / weight.sum(1)[changed]
    assert (share > 0.8999).all()
    # The ends hold one pixel each beyond 90%, which matters for spikes.
    assert np.median(share) < 0.92
    # Without its anomaly an object is the one of the survey without contaminants.
    np.testing.assert_allclose(
        both.flux - both.anomaly_flux, both.old_flux, atol=2e-5 * np.abs(both.flux).max()
    )


def test_the_catalogue_knows_nothing(both):
    columns = ["object_id", "ra", "dec", "z_err", "spectype", "subclass"]
    pd.testing.assert_frame_equal(both.catalogue[columns], both.old_catalogue[columns])
    fooled = both.truth["anomaly"] == "wrong_redshift"
    assert (both.catalogue["z"][~fooled] == both.old_catalogue["z"][~fooled]).all()


def test_star_blends_add_a_star(both):
    rows = both.rows("star_blend")
    assert_alike(both.anomaly_flux[rows], of_source(both, rows, "star"))
    ratio = r_ratio(both, both.anomaly_flux[rows], both.old_flux[rows])
    np.testing.assert_allclose(ratio, both.truth["anomaly_strength"][rows], rtol=0.1)
    assert (both.truth["kind"][rows] == "galaxy").all()
    assert both.truth["z"][rows].equals(both.old_truth["z"][rows])
    # Light of a whole spectrum is seen almost everywhere.
    span = both.truth["anomaly_high"][rows] - both.truth["anomaly_low"][rows]
    assert span.median() > 3000


def test_galaxy_pairs_add_a_galaxy_at_another_redshift(both):
    rows = both.rows("galaxy_pair")
    added = both.anomaly_flux[rows]
    ratio = r_ratio(both, added, both.old_flux[rows])
    np.testing.assert_allclose(ratio, both.truth["anomaly_strength"][rows], rtol=0.1)
    z, other = both.truth["z"][rows], both.truth["companion_z"][rows]
    assert ((z - other).abs() > 0.005 * (1 + z)).all()
    # Galaxies get fainter below 4000 Angstrom at rest, at their own redshift.
    for flux, redshift in ((added, other), (both.old_flux[rows], z)):
        rest = both.wavelength / (1 + redshift.to_numpy()[:, None])
        blue, red = ((rest > low) & (rest < low + 100) for low in (3850, 4000))
        seen = blue.sum(1) > 80
        steps = (flux * red).sum(1)[seen] / red.sum(1)[seen]
        steps /= (flux * blue).sum(1)[seen] / blue.sum(1)[seen]
        assert np.median(steps) > 1.15


def test_companions_are_the_first_at_another_redshift():
    z = np.array([0.1, 0.1, 0.2])
    candidates = np.array([0.101, 0.3, 0.1, 0.2])
    assert list(companions(z, candidates, np.array([0, 2, 3]))) == [1, 3, 0]


def test_extreme_reddening_takes_blue_light(both):
    rows = both.rows("extreme_reddening")
    new, old = both.flux[rows], both.old_flux[rows]
    np.testing.assert_allclose(r_ratio(both, new, old), 1, atol=0.1)
    colour = [
        np.log(both.mean(flux, 4000, 4400) / both.mean(flux, 8400, 8900)) for flux in (new, old)
    ]
    assert (colour[0] < colour[1] - 0.5).all()
    more = both.truth["A_V"][rows] - both.old_truth["A_V"][rows]
    assert spearmanr(more, colour[1] - colour[0]).statistic > 0.8
    strength = both.truth["anomaly_strength"][rows]
    assert strength.equals(both.truth["A_V"][rows].rename(strength.name))
    assert strength.between(2, 5).all()


def assert_replaced(both, rows, kind):
    truth = both.truth.iloc[rows]
    assert (truth["kind"] == kind).all()
    np.testing.assert_allclose(r_ratio(both, both.flux[rows], both.old_flux[rows]), 1, atol=0.1)
    np.testing.assert_array_equal(both.catalogue["z"][rows], both.old_catalogue["z"][rows])
    assert truth["z"].equals(truth[f"{kind}_z"].rename("z"))
    galaxy = ["stellar_mass", "quiescent", "log_sfr", "fraction_1"]
    assert truth[galaxy].isna().all(axis=None)
    assert truth["anomaly_strength"].between(0.01, 0.9).all()


def test_stars_replace_galaxies(both):
    rows = both.rows("star")
    assert_replaced(both, rows, "star")
    assert_alike(both.flux[rows], of_source(both, rows, "star"))
    assert both.truth["z"][rows].abs().max() < 0.005


def test_quasars_replace_galaxies(both):
    rows = both.rows("quasar")
    assert_replaced(both, rows, "quasar")
    assert (both.truth["quasar_bal"][rows] == 0).all()
    light = of_source(both, rows, "quasar", absorbed=False)
    assert_alike(both.flux[rows], light)


def test_broad_absorption_is_seen(both):
    rows = both.rows("bal_quasar")
    assert_replaced(both, rows, "quasar")
    assert_alike(both.flux[rows], of_source(both, rows, "quasar", absorbed=True))
    assert (both.truth["quasar_bal"][rows] >= 1).all()
    bare = of_source(both, rows, "quasar", absorbed=True, bal=np.zeros(len(rows)))
    rest = both.wavelength / (1 + both.truth["z"][rows].to_numpy()[:, None])
    trough = (rest > 1410) & (rest < 1549)
    assert trough.any(axis=1).all()
    depth = 1 - of_source(both, rows, "quasar", absorbed=True) / bare
    assert (np.where(trough, depth, 0).max(axis=1) > 0.25).all()


def test_wrong_redshifts_leave_the_spectrum(both):
    rows = both.rows("wrong_redshift")
    assert both.flux[rows].tobytes() == both.old_flux[rows].tobytes()
    assert both.seen_flux[rows].tobytes() == both.old_seen_flux[rows].tobytes()
    assert not both.anomaly_flux[rows].any()
    truth = both.truth.iloc[rows]
    assert (truth["anomaly_significance"] == 0).all()
    assert truth["z"].equals(both.old_truth["z"][rows])
    wrong = (both.catalogue["z"][rows] - truth["z"]) / (1 + truth["z"])
    np.testing.assert_allclose(wrong, truth["anomaly_strength"], atol=1e-4)
    assert (wrong.abs() > 0.005).all()
    for row in rows:
        good = both.wavelength[both.seen_ivar[row] > 0]
        assert both.truth["anomaly_low"][row] == good[0]
        assert both.truth["anomaly_high"][row] == good[-1]


def test_wrong_redshifts_are_confusions_or_anywhere():
    random = np.random.default_rng(0)
    z, chance = random.uniform(0.01, 0.9, 5000), random.uniform(size=(CHANCES, 5000))
    wrong = wrong_redshift(z, 0.003, 1.0, chance)
    assert wrong.min() >= 0.003
    assert wrong.max() <= 1.0
    assert (np.abs(wrong - z) >= 0.0099 * (1 + z)).all()
    lines = np.array(list(CONFUSED_LINES.values()))
    ratios = (lines[:, None] / lines).ravel()
    confused = (np.abs(((1 + wrong) / (1 + z))[:, None] / ratios - 1) < 1e-9).any(1)
    assert abs(confused.mean() - 0.6) < 0.03
    # Every line is taken for every other.
    pairs = zip(wrong, z, strict=True)
    taken = {int(np.abs((1 + a) / (1 + b) / ratios - 1).argmin()) for a, b in pairs}
    assert len(taken) >= 12


@pytest.fixture(scope="module")
def line(root):
    """A star-forming galaxy near [O III] 5008 on a fine grid, and the line's luminosity."""

    path = root / "resources/ssp_grid.safetensors"
    galaxies = GalaxyPopulation(path, 0.1).sample(0, 256, 1)
    row = np.flatnonzero(~galaxies["quiescent"])[:1]
    galaxies = {name: np.repeat(values[row], 64, axis=0) for name, values in galaxies.items()}
    galaxies["gas_dispersion"][:] = 60.0
    galaxies["agn_luminosity"][:] = -np.inf
    model = GalaxyModel(path, WavelengthGrid("log10", np.log10(4700), 1e-5, 4600))
    number = list(model.nebular.names).index("O 3 5006.84A")
    luminosity = model.line_luminosities(galaxies)[:, number].double().numpy()
    centre = float(model.nebular.line_wavelength[number])
    velocity = (model.grid.wavelength / centre - 1) * C
    return model, galaxies, luminosity, velocity, np.diff(model.grid.edges)


def moments(line, changes, reach):
    """Changes of the line's flux, mean velocity and mean square velocity, over its flux."""

    model, galaxies, luminosity, velocity, width = line
    with torch.inference_mode():
        old, new = (model.luminosity(p).double() for p in (galaxies, {**galaxies, **changes}))
    near = np.abs(velocity) < reach
    change = (new - old).numpy()[:, near] * width[near]
    return [(change * velocity[near] ** n).sum(1) / luminosity for n in range(3)]


def test_double_peaked_lines_have_two_peaks(line):
    model, galaxies, _, velocity, _ = line
    chance = np.random.default_rng(1).uniform(size=(CHANCES, 64))
    changes, separation = double_peaked(galaxies, chance)
    assert separation.min() >= 200
    assert separation.max() <= 800
    with torch.inference_mode():
        profile = model.luminosity({**galaxies, **changes}).numpy()
    near = np.abs(velocity) < 1000
    for row in range(64):
        flux = profile[row, near]
        middle = flux[1:-1]
        peaks = np.flatnonzero((middle > flux[:-2]) & (middle >= flux[2:])) + 1
        two = np.sort(peaks[np.argsort(flux[peaks])[-2:]])
        measured = np.diff(velocity[near][two])[0]
        # Wings of one peak pull the other by a little.
        assert measured == pytest.approx(separation[row], rel=0.12)
    flux, mean, _ = moments(line, changes, 1400)
    assert np.abs(flux).max() < 0.01
    assert np.abs(mean).max() < 5


def test_irregular_lines_have_a_broad_component(line):
    _, galaxies, *_ = line
    chance = np.random.default_rng(2).uniform(size=(CHANCES, 64))
    # Components that do not reach the next line.
    chance[2] = 0.0
    changes, share = irregular_lines(galaxies, chance)
    velocity = changes["second_velocity"]
    assert velocity.min() >= -600
    assert velocity.max() <= 100
    flux, mean, square = moments(line, changes, 1500)
    assert np.abs(flux).max() < 0.01
    np.testing.assert_allclose(mean, share * velocity, atol=8)
    expected = share * (250.0**2 + velocity**2 - 60.0**2)
    np.testing.assert_allclose(square, expected, rtol=0.05)


@pytest.mark.parametrize("kind", ["double_peaked", "irregular_lines"])
def test_line_anomalies_sit_on_lines(both, kind):
    rows = both.rows(kind)
    z = both.truth["z"][rows].to_numpy()[:, None]
    names = both.sky.galaxies.model.nebular.line_wavelength.numpy()
    strong = [3727, 3729, 3869, 4341, 4861, 4959, 5007, 6300, 6548, 6563, 6584, 6717, 6731]
    lines = np.array([names[np.abs(names - line).argmin()] for line in strong])
    rest = both.wavelength / (1 + z)
    near = (np.abs(rest[:, :, None] / lines - 1) < 2000 / C).any(2)
    change = np.abs(both.anomaly_flux[rows])
    assert np.median((change * near).sum(1) / change.sum(1)) > 0.8
    assert (both.truth["anomaly_significance"][rows] > 1).mean() > 0.9
    # Old galaxies have lines now.
    quiescent = both.truth["quiescent"][rows].astype(bool)
    assert np.isfinite(both.truth["agn_luminosity"][rows][quiescent]).all()


def test_type1_agn_add_broad_lines_and_a_power_law(both):
    rows = both.rows("type1_agn")
    assert_alike(both.anomaly_flux[rows], of_source(both, rows, "quasar"))
    ratio = r_ratio(both, both.anomaly_flux[rows], both.old_flux[rows])
    np.testing.assert_allclose(ratio, both.truth["anomaly_strength"][rows], rtol=0.25)
    rest = both.wavelength / (1 + both.truth["z"][rows].to_numpy()[:, None])
    for one, wavelength in zip(both.anomaly_flux[rows], rest, strict=True):
        if wavelength[-1] < 6900:
            continue
        inside = (wavelength > 6200) & (wavelength < 6900)
        ends = np.interp(wavelength[inside], [6230, 6880], np.interp([6230, 6880], wavelength, one))
        line = one[inside] - ends
        half = wavelength[inside][line > line.max() / 2]
        assert 1000 < (half[-1] - half[0]) / 6565 * C < 15000


def test_sky_failures_sit_on_sky_lines(both):
    rows = both.rows("sky_failure")
    curves, added = both.sky.spectrograph.noise.curves, both.anomaly_flux[rows]
    line, sky = curves["line"].to_numpy(), curves["sky"].to_numpy()
    shapes = np.stack([line, np.gradient(line), sky], axis=1).astype(float)
    solution = np.linalg.lstsq(shapes, added.T.astype(float), rcond=None)[0]
    np.testing.assert_allclose(shapes @ solution, added.T, atol=1e-3)
    np.testing.assert_allclose(solution[0], both.truth["anomaly_strength"][rows], rtol=1e-3)
    # Brighter on lines than between them.
    on, off = np.abs(added[:, line > 5]).mean(1), np.abs(added[:, line == 0]).mean(1)
    assert (on > 3 * off).all()
    assert_in_the_instrument(both, rows)


def assert_in_the_instrument(both, rows):
    """What is added to what is seen leaves the noise as it is."""

    assert both.seen_ivar[rows].tobytes() == both.old_seen_ivar[rows].tobytes()
    np.testing.assert_allclose(
        both.seen_flux[rows] - both.anomaly_flux[rows], both.old_seen_flux[rows], atol=1e-2
    )


def test_spikes_are_high_and_narrow(both):
    rows = both.rows("spike")
    noise = both.sky.spectrograph.noise.curves["sigma"].to_numpy()
    height = both.anomaly_flux[rows] / noise
    np.testing.assert_allclose(height.max(1), both.truth["anomaly_strength"][rows], rtol=1e-4)
    width = (height > height.max(1, keepdims=True) / 2).sum(1)
    spikes = width <= 12
    assert 0.5 < spikes.mean() < 1
    assert (width[~spikes] > 30).all()
    assert (width < 100).all()
    assert_in_the_instrument(both, rows)


def test_arms_jump_at_the_dichroic(both):
    rows = both.rows("arm_jump")
    ratio = both.anomaly_flux[rows] / (both.flux - both.anomaly_flux)[rows]
    assert np.abs(ratio[:, both.wavelength < 5850]).max() < 1e-3
    redder = both.wavelength > 6150
    strength = both.truth["anomaly_strength"].to_numpy()[rows]
    np.testing.assert_allclose(
        ratio[:, redder], np.broadcast_to(strength[:, None], ratio[:, redder].shape), rtol=1e-3
    )
    assert (both.truth["anomaly_low"][rows] > 5950).all()
    assert {True, False} == set(strength > 0)
    assert_in_the_instrument(both, rows)


def test_scattered_light_is_smooth(both):
    rows = both.rows("scattered_light")
    added = both.anomaly_flux[rows]
    median = np.median(both.old_flux[rows], axis=1)
    strength = both.truth["anomaly_strength"].to_numpy()[rows]
    np.testing.assert_allclose(added.max(1), strength * median, rtol=1e-3)
    assert (added >= 0).all()
    # One hump: it never falls before it rises.
    rising = np.diff(added, axis=1) > 0
    assert (np.diff(rising.astype(int), axis=1) > 0).sum() == 0
    assert (added > added.max(1, keepdims=True) / 2).mean(1).min() > 0.1
    assert_in_the_instrument(both, rows)
