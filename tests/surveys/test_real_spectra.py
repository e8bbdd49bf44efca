"""The registry's surveys of real files, on every real SDSS spectrum at hand."""

import numpy as np
import pytest

from uraniborg.grids import WavelengthGrid
from uraniborg.surveys.ingest import catalogue, ingest
from uraniborg.surveys.matching import matching_files
from uraniborg.surveys.registry import load_surveys
from uraniborg.tables import Spectra, read_table

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)


@pytest.fixture(scope="module")
def read(root, shared_data, tmp_path_factory):
    def read(name, **changes):
        survey = load_surveys(root / "config/surveys", {name: changes})[name]
        folder = tmp_path_factory.mktemp(name)
        shard, listed = folder / "0000.arrow", folder / "0000.parquet"
        ingest(survey, matching_files(survey.patterns, shared_data), shard, listed)
        paths = folder / "catalogue.parquet", folder / "quarantine.parquet"
        catalogue(survey, [shard], [listed], *paths)
        return Spectra(shard), read_table(paths[0]), read_table(paths[1])

    return read


def test_galaxies_of_many_hands_arrive(read):
    spectra, table, quarantine = read("sdss")
    assert len(table) == 23
    assert len(table) + len(quarantine) == 43
    assert set(table["spectype"]) == {"GALAXY"}
    assert table["z"].between(0, 0.25).all()
    assert 20 < table["snr"].median() < 40
    # Most of the grid is covered, and the mask takes little of it.
    good = (spectra.vectors("ivar", table["row"]) > 0).mean(axis=1)
    assert good.min() > 0.8
    assert 0.94 < np.median(good) < 0.98
    # SDSS reports fluxes per pixel whose errors are those of its noise, so a galaxy is smooth to
    # within them from one pixel to the next.
    flux, ivar = (spectra.vectors(name, table["row"]) for name in ("flux", "ivar"))
    steps = np.diff(flux) * np.sqrt(np.minimum(ivar[:, 1:], ivar[:, :-1]) / 2)
    assert 0.4 < np.median(np.abs(steps[(ivar[:, 1:] > 0) & (ivar[:, :-1] > 0)])) / 0.6745 < 1.1


def test_what_is_no_galaxy_is_listed_with_its_reason(read):
    _, _, quarantine = read("sdss")
    reasons = quarantine["reason"].value_counts().to_dict()
    assert reasons == {
        "selection: spectype QSO": 11,
        "selection: spectype STAR": 4,
        "selection: z below 0 or above 0.5": 2,
        "is no SDSS spectrum: holds only an image of 1996 pixels": 1,
        "is no SDSS spectrum: holds only an image of 3830 pixels": 1,
        "duplicate of an object_id that came before": 1,
    }
    images = quarantine[quarantine["reason"].str.contains("image")]["source"]
    assert sorted(name.rsplit("/", 1)[1] for name in images) == ["3C433.fits.gz", "cg922.fits.gz"]


def test_identifiers_are_those_of_the_file_names(read):
    pattern = "sdss_qso/**/spec-*.fits.gz"
    _, table, quarantine = read("sdss", files={"patterns": [pattern]}, selection={
        "spectype": [], "z_max": 5
    })  # fmt: skip
    assert len(table) == 21
    assert quarantine.empty
    assert table["spectype"].value_counts()["QSO"] >= 19
    assert all(name.startswith("3655-55240-") for name in table["object_id"])


def test_sky_fibres_are_noise_around_zero(read):
    spectra, table, quarantine = read("sdss_sky")
    assert len(table) == 53
    assert sorted(quarantine["reason"]) == ["selection: spectype GALAXY", "selection: spectype QSO"]
    assert np.abs(table["snr"]).median() < 0.2
    assert (table["norm"] == 1).all()
    flux, ivar = (spectra.vectors(name, table["row"]) for name in ("flux", "ivar"))
    scatter = np.median(np.abs(flux * np.sqrt(ivar))[ivar > 0]) / 0.6745
    assert 0.7 < scatter < 1.3
