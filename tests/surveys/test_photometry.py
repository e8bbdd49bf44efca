"""Simulated photometric surveys."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from uraniborg.instruments.photometer import photometer
from uraniborg.surveys.photometry import PhotometricSky, simulate_photometry
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
def sky(root):
    resources = root / "resources"
    return PhotometricSky(
        SURVEY,
        photometer(SURVEY.instrument),
        resources / "ssp_grid.safetensors",
        resources / "galaxy_population.json",
        resources / "dust_emission.safetensors",
    )


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


def test_stars_and_quasars_are_seen_too(root, sky):
    resources = root / "resources"
    mixed = PhotometricSky(
        dataclasses.replace(SURVEY, universe={**SURVEY.universe, "stars": 0.3, "quasars": 0.2}),
        photometer(SURVEY.instrument),
        resources / "ssp_grid.safetensors",
        resources / "galaxy_population.json",
        resources / "dust_emission.safetensors",
        resources / "star_basis.safetensors",
        resources / "quasar_lines.parquet",
    )
    seen, true = mixed.observe(0, 512)
    share = true["kind"].value_counts(normalize=True)
    assert share["star"] == pytest.approx(0.3, abs=0.08)
    assert share["quasar"] == pytest.approx(0.2, abs=0.08)
    stars, quasars = (true[true["kind"] == kind] for kind in ("star", "quasar"))
    assert stars["stellar_mass"].isna().all()
    assert stars["star_temperature"].notna().all()
    assert stars["z"].abs().max() < 0.005
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


def test_bands_without_infrared_need_no_dust_emission(sky, root, whole):
    optical = PhotometricSky(
        dataclasses.replace(SURVEY, instrument="sdss"),
        photometer("sdss"),
        root / "resources" / "ssp_grid.safetensors",
        "unread",
        "unread",
    )
    both = optical.observe(0, 256)[1]["sdss_r_flux"], whole[1]["sdss_r_flux"][:256]
    np.testing.assert_allclose(*both, rtol=2e-3)
