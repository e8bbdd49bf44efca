"""Exported spectra are the model's, with units, for astropy and specutils."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from uraniborg.nets.decoders import PublishedDecoder
from uraniborg.nets.encoders import PublishedEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.exports import export_spectra
from uraniborg.spectra.uncertainty import ErrorModel, uncertainties
from uraniborg.tables import FLUX_UNIT, SPECTRUM_COLUMNS, Spectra, SpectraWriter


@pytest.fixture(scope="module")
def exported(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    size = len(toy.batch.z)
    scalars = {column.name: np.zeros(size) for column in SPECTRUM_COLUMNS}
    scalars |= {name: np.full(size, "", object) for name in ("spectype", "subclass")}
    scalars |= {"object_id": np.array([f"toy-{i}" for i in range(size)], object)}
    scalars |= {"z": toy.batch.z.double().numpy(), "norm": np.linspace(1, 3, size)}
    scalars["zwarning"] = np.zeros(size, np.int64)
    scalars["dec"] = np.where(np.arange(size) == 1, np.nan, 10.0)
    norm = scalars["norm"][:, None].astype(np.float32)
    metadata = {"survey": "toy", "data": "simulated"}
    grid = toy.transform.observed
    with SpectraWriter(folder / "0.arrow", grid, metadata=metadata) as writer:
        flux, ivar = toy.batch.flux.numpy() * norm, toy.batch.ivar.numpy() / norm**2
        writer.write(scalars, flux=flux, ivar=ivar)
    torch.manual_seed(0)
    encoder = PublishedEncoder(3, channels=(4, 4, 4), hidden=(4,))
    decoder = PublishedDecoder(3, toy.transform.restframe.size, hidden=(8,))
    model = SpectrumAutoencoder(encoder, decoder, toy.transform).eval()
    return model, Spectra(folder / "0.arrow"), folder


def export(exported, rows, name="a", calibrated=True):
    model, spectra, folder = exported
    paths = folder / f"{name}.fits", folder / f"{name}_rest.fits"
    objects = spectra.scalars.assign(row=np.arange(len(spectra))).iloc[list(rows)]
    errors = ErrorModel.ideal(model.transform) if calibrated else None
    export_spectra(model, spectra, objects, *paths, errors, batch_size=4)
    return paths


def test_data_and_model_come_back_with_units(exported, toy):
    model, spectra, _ = exported
    observed, restframe = export(exported, [5, 1, 9, 2, 7])
    with fits.open(observed) as file:
        names = [hdu.name for hdu in file[1:]]
        cards = [dict(hdu.header) for hdu in file[1:]]
    assert names == ["toy-5", "toy-1", "toy-9", "toy-2", "toy-7"]
    assert len(cards) == 5
    assert cards[0]["OBJECT"] == "toy-5"
    assert cards[0]["REDSHIFT"] == pytest.approx(toy.batch.z[5].item())
    assert "DEC" not in cards[1]
    table = Table.read(observed, hdu=3)
    norm = spectra.column("norm")[9]
    with torch.no_grad():
        made = model(*(part[9:10] for part in toy.batch))
    assert table["wavelength"].unit == u.AA
    assert {u.Unit(table[n].unit) for n in ("flux", "uncertainty", "model")} == {u.Unit(FLUX_UNIT)}
    np.testing.assert_allclose(table["flux"], toy.batch.flux[9] * norm, rtol=1e-5)
    np.testing.assert_allclose(table["model"], made.observed[0] * norm, rtol=1e-4)
    good = toy.batch.ivar[9].numpy() > 0
    np.testing.assert_array_equal(table["mask"], ~good)
    sigma = toy.batch.ivar[9].numpy()[good] ** -0.5 * norm
    np.testing.assert_allclose(table["uncertainty"][good], sigma, rtol=1e-5)
    with torch.no_grad():
        spread = uncertainties(
            model,
            Batch(*(part[9:10] for part in toy.batch)),
            torch.tensor([norm]).float(),
            ErrorModel.ideal(model.transform),
        )
    np.testing.assert_allclose(table["model_err"], spread.observed[0] * norm, rtol=1e-3)
    rest = Table.read(restframe, hdu=3)
    np.testing.assert_allclose(rest["uncertainty"], spread.restframe[0] * norm, rtol=1e-3)
    np.testing.assert_allclose(rest["wavelength"], toy.transform.restframe.wavelength)
    scale = made.amplitude[0] * norm
    np.testing.assert_allclose(rest["flux"], made.restframe[0] * scale, rtol=1e-4)


def test_same_spectra_same_bytes(exported):
    first, second = export(exported, range(6), "a"), export(exported, range(6), "b")
    assert first[0].read_bytes() == second[0].read_bytes()
    assert first[1].read_bytes() == second[1].read_bytes()


def test_memory_does_not_grow_with_the_survey(exported):
    peaks = []
    for count in (20, 120):
        tracemalloc.start()
        path, _ = export(exported, range(count), calibrated=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.1 * path.stat().st_size


def test_specutils_reads_every_object(exported):
    pytest.importorskip("specutils", reason="the package specutils is not installed")
    observed, restframe = export(exported, [3, 4])
    script = (
        "import sys; from specutils import Spectrum\n"
        "for hdu in (1, 2):\n"
        "    data, rest = (Spectrum.read(path, hdu=hdu) for path in sys.argv[1:])\n"
        "    assert data.uncertainty is not None and data.mask.any()\n"
        "    assert str(data.spectral_axis.unit) == str(rest.spectral_axis.unit) == 'Angstrom'\n"
        "    assert data.flux.unit == rest.flux.unit\n"
    )
    subprocess.run([sys.executable, "-c", script, observed, restframe], check=True)
