"""A survey as the inference needs it: its photometry, its model and its truth."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.photometer import Photometry, photometry_columns
from uraniborg.population.popsed.survey import (
    forward_model,
    hyperparameters_of,
    read_survey,
    read_truth,
)
from uraniborg.tables import Column, write_table

BANDS = bands_of("sdss+twomass")
POPULATION = {
    "bands": ["sdss_g", "sdss_r", "twomass_J"],
    "reference": "sdss_r",
    "z_min": 0.01,
    "z_max": 0.2,
    "limits": {"sdss_r0": {"magnitude": 17.0, "width": 0.1}},
}
TRUTH = ("z", "stellar_mass", "log_metallicity", "A_V", "log_sfr", "age")


@pytest.fixture(scope="module")
def photometry(tmp_path_factory):
    random = np.random.default_rng(0)
    shape = (150, len(BANDS))
    flux = random.uniform(10, 20, shape)
    measured = Photometry(
        flux, np.ones(shape), np.full(shape, np.inf), np.ones(shape, bool), np.ones(shape, bool)
    )
    z = np.where(np.arange(150) < 100, random.uniform(0.01, 0.2, 150), np.nan)
    path = tmp_path_factory.mktemp("survey") / "shard-0.parquet"
    columns = (Column("z", pa.float64(), "", "Redshift"), *photometry_columns(BANDS))
    write_table(path, pd.DataFrame(measured.table(BANDS) | {"z": z}), columns)
    return path, flux, z


@pytest.fixture(scope="module")
def catalogue(photometry):
    return read_survey([photometry[0]], "sdss+twomass", POPULATION)


def test_the_bands_that_are_asked_for_are_read(catalogue, photometry):
    assert [band.name for band in catalogue.bands] == POPULATION["bands"]
    assert catalogue.feature_names == ("r", "g - r", "r - J")
    names = [band.name for band in BANDS]
    columns = [names.index(name) for name in POPULATION["bands"]]
    np.testing.assert_allclose(catalogue.flux, photometry[1][:, columns], rtol=1e-6)
    np.testing.assert_array_equal(catalogue.z, photometry[2])


def test_of_a_real_survey_redshifts_are_known(catalogue, photometry):
    truth = read_truth([], catalogue)
    assert list(truth) == [*TRUTH, "log_ssfr"]
    np.testing.assert_array_equal(truth["z"], photometry[2][:100])
    assert truth.drop(columns="z").isna().all(axis=None)
    assert all(np.issubdtype(kind, np.floating) for kind in truth.dtypes)


def test_of_a_simulated_survey_everything_is_known(catalogue, tmp_path):
    random = np.random.default_rng(1)
    tables = [
        pd.DataFrame({name: random.normal(size=75) for name in (*TRUTH, "velocity_dispersion")})
        for _ in range(2)
    ]
    paths = [tmp_path / "truth-0.parquet", tmp_path / "truth-1.parquet"]
    columns = [Column(name, pa.float64(), "", name) for name in tables[0]]
    for path, table in zip(paths, tables, strict=True):
        write_table(path, table, columns)
    truth = read_truth(paths, catalogue)
    expected = pd.concat(tables, ignore_index=True)
    pd.testing.assert_frame_equal(truth[list(TRUTH)], expected[list(TRUTH)])
    np.testing.assert_allclose(truth["log_ssfr"], expected["log_sfr"] - expected["stellar_mass"])
    assert "velocity_dispersion" not in truth


def test_the_model_is_that_of_the_survey(catalogue, root):
    resources = root / "resources"
    model = forward_model(
        catalogue,
        POPULATION,
        resources / "ssp_grid.safetensors",
        resources / "history_basis.parquet",
    )
    assert (model.space.z_min, model.space.z_max, model.space.components) == (0.01, 0.2, 6)
    assert model.selection.limits["sdss_r0"].magnitude == 17.0
    # A galaxy of magnitude 17 in r is as likely in the survey as not.
    parameters = model.space.parameters(torch.zeros(1, model.space.size))
    with torch.no_grad():
        flux = model(parameters).flux
        brighter = 0.4 * (22.5 - 2.5 * torch.log10(flux[:, 1]) - 17.0)
        seen = model(parameters | {"stellar_mass": parameters["stellar_mass"] + brighter})
    assert seen.flux.shape == (1, 3)
    assert seen.log_selected.exp().item() == pytest.approx(0.5, abs=0.01)


def test_hyperparameters_are_those_of_the_survey(root):
    file = root / "resources" / "galaxy_population.json"
    assert hyperparameters_of({}, file) is None
    published = hyperparameters_of({"hyperparameters": "published", "values": {}}, file)
    fitted = hyperparameters_of({"hyperparameters": "fitted", "values": {}}, file)
    changed = hyperparameters_of(
        {"hyperparameters": "published", "values": {"mass_offset": 0.3}}, file
    )
    assert published != fitted
    assert changed == published | {"mass_offset": 0.3}
