import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.spectra.application import (
    RECONSTRUCTION_COLUMNS,
    break_4000,
    galaxy_sequence,
    object_columns,
    object_table,
    reconstruction_table,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.controls import principal_components, shuffled_redshifts, shuffled_weights
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.spectra.uncertainty import ErrorModel
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter


@pytest.fixture(scope="module")
def model(toy):
    torch.manual_seed(0)
    basis = fit_basis([toy.batch], toy.transform, toy.rank, iterations=10)
    return SpectrumAutoencoder.build(toy.architecture, toy.transform.observed, basis).eval()


@pytest.fixture(scope="module")
def shards(toy, tmp_path_factory):
    """The toy as a survey with a norm of 5."""

    folder = tmp_path_factory.mktemp("toy")
    flux, ivar, z = (tensor.numpy()[:60] for tensor in toy.batch)
    scalars = {
        column.name: ["GALAXY"] * 60 if column.type == pa.string() else np.zeros(60)
        for column in SPECTRUM_COLUMNS
    }
    scalars |= {"object_id": [f"toy-{i}" for i in range(60)], "z": z, "norm": np.full(60, 5.0)}
    scalars["zwarning"] = np.zeros(60, int)
    grid = toy.transform.observed
    with SpectraWriter(folder / "s.arrow", grid, metadata={"data": "simulated"}) as writer:
        writer.write(scalars, flux=5 * flux, ivar=ivar / 25)
    identifier = (Column("object_id", pa.string(), "", "Identifier"),)
    with SpectraWriter(folder / "t.arrow", grid, identifier, ("flux",)) as writer:
        writer.write({"object_id": scalars["object_id"]}, flux=5 * toy.truth[:60].numpy())
    return Spectra(folder / "s.arrow"), Spectra(folder / "t.arrow")


def test_object_table_measures_fit_and_noise(model, shards):
    table = object_table(model, *shards, batch_size=16)
    assert list(table.columns) == [column.name for column in object_columns(3)]
    assert len(table) == 60
    assert table["reduced_chi2"].median() == pytest.approx(1, abs=0.1)
    assert table["truth_reduced_chi2"].median() == pytest.approx(1, abs=0.1)
    assert table["residual_noise"].median() < 0.3


def test_latents_have_errors_where_there_is_a_model_of_them(model, shards, toy):
    table = object_table(model, *shards, errors=ErrorModel.ideal(toy.transform))
    errors = table[[f"latent_{i}_err" for i in range(3)]]
    assert (errors > 0).all().all()
    assert object_table(model, *shards)["latent_0_err"].isna().all()


def test_batches_do_not_change_the_table(model, shards):
    one, many = (object_table(model, *shards, batch_size=size) for size in (60, 7))
    pd.testing.assert_frame_equal(one, many, rtol=1e-3)


def test_real_data_have_no_truth(model, shards):
    table = object_table(model, shards[0])
    assert table[["truth_reduced_chi2", "residual_noise"]].isna().all().all()
    assert table["reduced_chi2"].notna().all()


def test_reconstructions_are_in_physical_units_and_in_order(model, shards, toy):
    table = reconstruction_table(model, shards[0], ["toy-7", "toy-2"], shards[1])
    assert list(table.columns) == [column.name for column in RECONSTRUCTION_COLUMNS]
    assert list(dict.fromkeys(table["object_id"])) == ["toy-7", "toy-2"]
    first = table[table["object_id"] == "toy-7"]
    np.testing.assert_allclose(first["truth"], 5 * toy.truth[7], rtol=1e-5)
    good = np.isfinite(first["sigma"])
    assert list(good) == list(toy.batch.ivar[7].numpy() > 0)
    pull = (first["flux"] - first["model"])[good] / first["sigma"][good]
    assert pull.std() == pytest.approx(1, abs=0.15)


def test_a_redshift_that_the_model_does_not_cover_is_an_error(shards):
    with pytest.raises(UserError, match="outside the model's range"):
        SpectraDataset(shards[0], z_range=(-0.01, 0.05))


def test_controls_fail_and_the_baseline_does_not(model, toy):
    def median(observed):
        return reduced_chi2(toy.batch.flux, toy.batch.ivar, observed, 3).median()

    basis = fit_basis([toy.batch], toy.transform, toy.rank, iterations=10)
    assert median(model(*toy.batch).observed) < 1.1
    assert median(shuffled_weights(model, toy.batch, seed=1)) > 5
    assert median(shuffled_redshifts(model, toy.batch, seed=1)) > 1.15
    assert median(principal_components(basis, model, toy.batch)) < 1.1


def test_sequence_spans_the_sample():
    objects = pd.DataFrame(
        {
            "object_id": [f"{i:03d}" for i in range(100)],
            "d4000": np.linspace(1, 2, 100),
            "snr": np.tile([1.0, 10.0], 50),
            "ra": np.linspace(0, 359, 100),
            "dec": np.zeros(100),
        }
    )
    chosen = galaxy_sequence(objects, 5)
    assert len(chosen) == 5
    assert chosen == sorted(chosen)
    breaks = objects.set_index("object_id").loc[chosen, "d4000"]
    assert breaks.iloc[0] < 1.2
    assert breaks.iloc[-1] > 1.8
    assert (objects.set_index("object_id").loc[chosen, "snr"] == 10).all()
    assert len(galaxy_sequence(objects.head(3), 6)) == 3
    # The same galaxy again and again, across the meridian, is shown once.
    repeated = objects.assign(ra=np.where(np.arange(100) % 2, 359.9999, 0.0))
    assert len(galaxy_sequence(repeated, 5)) == 1


def test_break_of_a_flat_spectrum_in_frequency_is_one():
    wavelength = np.linspace(3500, 4500, 2000)
    flat = torch.from_numpy(wavelength**-2.0)[None]
    step = flat * torch.from_numpy(np.where(wavelength > 4000, 1.8, 1.0))
    assert break_4000(flat, wavelength).item() == pytest.approx(1)
    assert break_4000(step, wavelength).item() == pytest.approx(1.8, rel=1e-2)
