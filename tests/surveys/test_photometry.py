"""Simulated photometric surveys."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from uraniborg.errors import UserError
from uraniborg.instruments.photometer import photometer
from uraniborg.surveys.photometry import PhotometricSky, simulate_photometry
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.tables import read_table

SURVEY = Survey(
    name="toy",
    description="",
    kind="photometry",
    instrument="sdss+wise",
    source="simulate",
    shards=2,
    objects=600,
    seed=3,
    universe={
        "z_min": 0.01,
        "z_max": 0.3,
        "limits": {"sdss_r0": {"magnitude": 17.7, "width": 0.1}},
        "luminous_red": False,
        "basis": "dirichlet",
        "hyperparameters": "published",
        "values": {},
    },
)


@pytest.fixture(scope="module")
def resources(root):
    folder = root / "resources"
    return Resources(
        folder / "ssp_grid.safetensors",
        folder / "galaxy_population.json",
        folder / "star_basis.safetensors",
        folder / "quasar_lines.parquet",
        folder / "dust_emission.safetensors",
    )


@pytest.fixture(scope="module")
def sky(resources):
    return PhotometricSky(SURVEY, photometer(SURVEY.instrument), resources)


@pytest.fixture(scope="module")
def whole(sky):
    return sky.observe(0, 600)


def test_objects_do_not_depend_on_the_shards(sky, whole, tmp_path):
    parts = []
    for shard in range(2):
        paths = tmp_path / f"{shard}.parquet", tmp_path / f"{shard}_truth.parquet"
        simulate_photometry(sky, shard, *paths)
        parts.append([read_table(path) for path in paths])
    for index in range(2):
        joined = pd.concat([part[index] for part in parts], ignore_index=True)
        expected = whole[index][list(joined.columns)]
        pd.testing.assert_frame_equal(joined, expected, check_dtype=False)


def test_noise_is_what_ivar_says(whole):
    seen, true = whole
    for band in ("sdss_u", "sdss_g", "sdss_r", "wise_W1"):
        known = seen[f"{band}_ivar"] > 0
        chi = (seen[f"{band}_flux"] - true[f"{band}_flux"]) * np.sqrt(seen[f"{band}_ivar"])
        assert chi[known].std() == pytest.approx(1, abs=0.12)
        assert abs(chi[known].mean()) < 0.15


def test_the_limit_is_that_of_the_survey(whole):
    magnitude = 22.5 - 2.5 * np.log10(whole[1]["sdss_r_flux"])
    assert magnitude.max() < 17.7 + 4 * 0.1
    assert magnitude.median() > 16


def test_star_forming_galaxies_shine_in_the_infrared(whole):
    true = whole[1]
    red = -2.5 * np.log10(true["wise_W1_flux"] / true["wise_W3_flux"])
    active = true["log_sfr"] - true["stellar_mass"] > -10.5
    passive = true["log_sfr"] - true["stellar_mass"] < -11.8
    assert red[active].median() > red[passive].median() + 1


def test_other_hyperparameters_make_other_galaxies(sky, whole):
    changed = sky.with_values({"attenuation_scale": 0.0, "quiescent_attenuation": 0.0})
    assert changed.observe(0, 256)[1]["A_V"].mean() < 0.3 * whole[1]["A_V"].mean()
    assert sky.population.hyperparameters["attenuation_scale"] == 1.0


def with_others(star, quasar):
    universe = {**SURVEY.universe, "stars": star, "quasars": quasar}
    return dataclasses.replace(SURVEY, universe=universe)


def test_stars_and_quasars_fit_into_the_survey(resources):
    with pytest.raises(UserError, match="more than all objects"):
        PhotometricSky(with_others(0.7, 0.7), photometer(SURVEY.instrument), resources)


def test_stars_and_quasars_are_seen_too(resources, sky):
    mixed = PhotometricSky(with_others(0.3, 0.2), photometer(SURVEY.instrument), resources)
    seen, true = mixed.observe(0, 512)
    share = true["kind"].value_counts(normalize=True)
    assert share["star"] == pytest.approx(0.3, abs=0.08)
    assert share["quasar"] == pytest.approx(0.2, abs=0.08)
    stars, quasars = (true[true["kind"] == kind] for kind in ("star", "quasar"))
    assert stars["stellar_mass"].isna().all()
    assert stars["star_temperature"].notna().all()
    assert stars["z"].abs().max() < 0.005
    # Broad lines give redshifts less exactly than narrow ones.
    error = seen["z_err"].groupby(true["kind"]).max()
    assert error["quasar"] > 10 * error["star"] == 10 * error["galaxy"]
    pull = ((seen["z"] - true["z"]) / seen["z_err"]).groupby(true["kind"]).std()
    assert pull["quasar"] == pytest.approx(1, abs=0.3)
    assert pull["galaxy"] == pytest.approx(1, abs=0.2)
    # Stars are blue beyond 3 um (Rayleigh-Jeans), hot dust of quasars is not (Stern et al. 2012).
    colours = [
        -2.5 * np.log10(table["wise_W1_flux"] / table["wise_W2_flux"]) - 2.699 + 3.339
        for table in (stars, quasars)
    ]
    assert colours[0].median() == pytest.approx(0, abs=0.1)
    assert colours[1].median() > 0.6
    # The galaxies among them are those of the survey without stars and quasars.
    galaxies = true["kind"] == "galaxy"
    alone = sky.observe(0, 512)[1]
    assert (true["sdss_r_flux"] == alone["sdss_r_flux"])[galaxies].all()
    assert set(true) == {column.name for column in mixed.truth_columns}
    assert (seen["object_id"] == true["object_id"]).all()


def test_bands_without_infrared_need_no_dust_emission(resources, whole):
    optical = PhotometricSky(
        dataclasses.replace(SURVEY, instrument="sdss"),
        photometer("sdss"),
        Resources(resources.ssp_grid),
    )
    both = optical.observe(0, 256)[1]["sdss_r_flux"], whole[1]["sdss_r_flux"][:256]
    np.testing.assert_allclose(*both, rtol=2e-3)
