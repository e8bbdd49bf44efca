"""Files into shards, a quarantine table and a catalogue."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.surveys.ingest import catalogue, ingest
from uraniborg.surveys.matching import files_of, matching_files, part_of
from uraniborg.surveys.registry import Survey
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, read_metadata, read_table

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
SURVEY = Survey(
    name="mine",
    description="Mine",
    kind="spectra",
    instrument="sdss",
    source="files",
    patterns=("**/*.fits", "**/*.fits.gz"),
    reader="sdss",
)


@pytest.fixture
def run(tmp_path):
    """Ingests a folder and returns spectra, quarantine and catalogue."""

    def run(folder, survey=SURVEY, splits=None):
        files = matching_files(survey.patterns, folder)
        shards = [tmp_path / f"out/{shard}.arrow" for shard in range(survey.shards)]
        lists = [tmp_path / f"out/{shard}.parquet" for shard in range(survey.shards)]
        for number, (shard, listed) in enumerate(zip(shards, lists, strict=True)):
            ingest(survey, part_of(files, number, survey.shards), shard, listed)
        paths = tmp_path / "out/catalogue.parquet", tmp_path / "out/quarantine.parquet"
        catalogue(survey, shards, lists, *paths, splits)
        return Spectra(shards), read_table(paths[1]), read_table(paths[0])

    return run


@pytest.fixture
def folder(tmp_path, write_spec):
    """Six good spectra in two folders."""
    for fiber in range(1, 7):
        name = f"{fiber % 2}/spec-{fiber:04d}.fits"
        write_spec(tmp_path / "data" / name, FIBERID=fiber, Z=0.01 * fiber)
    return tmp_path / "data"


def reasons(quarantine):
    return dict(zip(quarantine["source"], quarantine["reason"], strict=True))


def test_every_good_spectrum_arrives_on_the_grid(run, folder):
    spectra, quarantine, table = run(folder)
    assert quarantine.empty
    assert sorted(table["object_id"]) == [f"0266-51602-000{fiber}" for fiber in range(1, 7)]
    flux, ivar = spectra.vectors("flux", table["row"]), spectra.vectors("ivar", table["row"])
    assert ((ivar > 0).sum(axis=1) == 200).all()
    assert (flux[ivar == 0] == 0).all()
    start = round((3.6 - 3.578) / 1e-4)
    np.testing.assert_allclose(flux[:, start], 10)
    np.testing.assert_allclose(table["norm"], 15)
    np.testing.assert_allclose(table["snr"], 30)
    assert spectra.metadata == {"survey": "mine", "instrument": "sdss", "data": "real"}


def test_the_catalogue_has_columns_metadata_and_splits(run, folder, tmp_path):
    _, _, table = run(folder, splits={"valid": 0.3, "test": 0.3})
    names = [column.name for column in SPECTRUM_COLUMNS]
    assert list(table) == [*names, "shard", "row", "split"]
    assert set(table["split"]) <= {"train", "valid", "test"}
    assert read_metadata(tmp_path / "out/catalogue.parquet")["data"] == "real"
    assert "split" not in run(folder)[2]


@pytest.mark.parametrize("shards", [1, 2, 5, 9])
def test_shards_share_the_work_whatever_their_number(run, folder, shards):
    spectra, _, table = run(folder, replace(SURVEY, shards=shards))
    assert sorted(table["object_id"]) == [f"0266-51602-000{fiber}" for fiber in range(1, 7)]
    assert list(spectra.column("object_id")[table["row"]]) == list(table["object_id"])
    assert set(table["shard"]) == set(range(min(shards, 6)))


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    files = matching_files(SURVEY.patterns, folder)
    for name in ("a", "b"):
        ingest(SURVEY, files, tmp_path / f"{name}.arrow", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_every_fault_is_set_aside_with_its_reason(run, folder, write_spec):
    whole = folder / "0/spec-0002.fits"
    zeros, nans = np.zeros(200, np.float32), np.full(200, np.nan, np.float32)
    faults = {
        "nan_flux": {"flux": nans},
        "nan_ivar": {"ivar": nans},
        "negative_ivar": {"ivar": zeros - 1},
        "negative_flux": {"flux": zeros - 1},
        "no_redshift": {"Z": np.nan},
        "no_column": {"flux": None},
        "other_unit": {"unit": "Jy"},
        "infrared": {"first": 4.2},
        "angstrom": {"loglam": np.linspace(4000, 5000, 200)},
        "linear": {"loglam": np.log10(np.linspace(4000, 5000, 200))},
    }
    for fiber, (name, columns) in enumerate(faults.items(), 100):
        write_spec(folder / f"{name}.fits", FIBERID=fiber, **columns)
    (folder / "truncated.fits").write_bytes(whole.read_bytes()[:7000])
    (folder / "packed.fits.gz").write_bytes(gzip.compress(whole.read_bytes())[:2000])
    (folder / "text.fits").write_text("hello")
    fits.PrimaryHDU(np.zeros(10, np.float32)).writeto(folder / "image.fits")
    shutil.copy(whole, folder / "copy.fits")

    _, quarantine, table = run(folder)
    assert len(table) == 6
    off_grid = "has no pixels on the grid of instrument sdss, 3784 to 9333 Angstrom"
    assert reasons(quarantine) == {
        "nan_flux.fits": "has no good pixel",
        "nan_ivar.fits": "has no good pixel",
        "negative_ivar.fits": "has no good pixel",
        "negative_flux.fits": "has a median flux that is not positive",
        "no_redshift.fits": "has no finite redshift",
        "no_column.fits": "has no column flux in extension 1",
        "other_unit.fits": "has flux in Jy",
        "infrared.fits": off_grid,
        "angstrom.fits": off_grid,
        "linear.fits": "has other pixels than the grid of instrument sdss",
        "truncated.fits": "is truncated or damaged",
        "packed.fits.gz": "is truncated or damaged",
        "text.fits": "is not a FITS file",
        "image.fits": "is no SDSS spectrum: holds only an image of 10 pixels",
        "copy.fits": "duplicate of an object_id that came before",
    }
    assert all(remedy.endswith(".") for remedy in quarantine["remedy"])
    assert dict(zip(quarantine["source"], quarantine["object_id"], strict=True))[
        "no_redshift.fits"
    ] == "0266-51602-0104"  # fmt: skip


def test_missing_redshifts_stay_if_they_are_to_be_estimated(run, folder, write_spec):
    write_spec(folder / "no_redshift.fits", FIBERID=104, Z=np.nan)
    selection = {"z_min": 0.015, "z_max": 0.045, "z_err_max": 1e-3, "zwarning_allowed": 0}
    survey = replace(SURVEY, selection=selection, missing_redshift="estimate")
    spectra, quarantine, table = run(folder, survey)
    assert "has no finite redshift" not in set(quarantine["reason"])
    missing = table[table["object_id"] == "0266-51602-0104"]
    assert np.isnan(missing["z"].item())
    assert np.isnan(spectra.column("z")[missing["row"]]).all()
    # Without a redshift there is no rest frame, so the norm is the median of all good pixels.
    flux = spectra.vectors("flux", missing["row"])[0]
    assert missing["norm"].item() == pytest.approx(np.median(flux[flux > 0]))
    # Those with a redshift are selected by it as before.
    assert table["z"].dropna().between(0.015, 0.045).all()


def test_single_bad_pixels_are_masked_not_fatal(run, folder, write_spec):
    flux, ivar = np.full(200, 5, np.float32), np.ones(200, np.float32)
    mask = np.zeros(200, np.int32)
    flux[0], flux[1], ivar[2], ivar[3], ivar[4], mask[5] = np.nan, np.inf, np.nan, 0, -3, 1 << 23
    write_spec(folder / "bad.fits", flux=flux, ivar=ivar, and_mask=mask, FIBERID=99)
    spectra, _, table = run(folder)
    row = table.loc[table["object_id"] == "0266-51602-0099", "row"]
    start = round((3.6 - 3.578) / 1e-4)
    good = spectra.vectors("ivar", row)[0, start : start + 200] > 0
    assert list(np.flatnonzero(~good)) == [0, 1, 2, 3, 4, 5]


def test_what_the_selection_drops_is_listed(run, folder):
    survey = replace(SURVEY, selection={"z_min": 0.015, "z_max": 0.045})
    _, quarantine, table = run(folder, survey)
    assert len(table) == 3
    assert list(quarantine["reason"]) == ["selection: z below 0.015 or above 0.045"] * 3
    assert "config/surveys/mine.yaml" in quarantine["remedy"][0]


def test_an_empty_survey_is_an_error_that_counts_the_reasons(run, folder):
    (folder / "text.fits").write_text("hello")
    survey = replace(SURVEY, shards=2, selection={"spectype": ["QSO"]})
    with pytest.raises(UserError) as error:
        run(folder, survey)
    assert "survey mine: no object is left" in str(error.value)
    assert "6 selection: spectype GALAXY; 1 is not a FITS file" in str(error.value)
    assert "config/surveys/mine.yaml" in str(error.value)


def test_copies_are_noticed_within_and_across_shards(run, folder):
    shutil.copy(folder / "0/spec-0002.fits", folder / "spec-0002.fits")
    shutil.copy(folder / "0/spec-0004.fits", folder / "renamed.fits")
    for shards in (1, 2, 3, 7):
        _, quarantine, table = run(folder, replace(SURVEY, shards=shards))
        assert len(table) == 6
        assert sorted(quarantine["object_id"]) == ["0266-51602-0002", "0266-51602-0004"]
        assert all(quarantine["reason"].str.startswith("duplicate"))


def test_files_of_one_name_share_a_shard(tmp_path):
    names = ["a/x.fits", "b/x.fits.gz", "a/y.fits", "c/x.fits", "z.fits"]
    files = {name: tmp_path / name for name in names}
    parts = [set(part_of(files, shard, 2)) for shard in range(2)]
    assert parts == [{"a/x.fits", "b/x.fits.gz", "c/x.fits", "z.fits"}, {"a/y.fits"}]


def test_files_are_those_of_the_archive_or_the_users(folder, tmp_path):
    mine = [files_of(replace(SURVEY, shards=2), shard, [], folder) for shard in range(2)]
    assert {**mine[0], **mine[1]} == matching_files(SURVEY.patterns, folder)
    assert not mine[0].keys() & mine[1].keys()
    archive = replace(SURVEY, source="archive", shards=1)
    files = files_of(archive, 0, ["results/downloads/a.fits"], tmp_path)
    assert files == {"a.fits": Path("results/downloads/a.fits")}


def test_no_file_is_an_error_that_names_pattern_and_folder(tmp_path):
    with pytest.raises(UserError) as error:
        matching_files(("a/*.fits", "b/*.fits"), tmp_path)
    assert f"no file matches a/*.fits or b/*.fits in {tmp_path}" in str(error.value)
    assert "data_root" in str(error.value)


def test_files_are_found_once_sorted_and_through_links(tmp_path):
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/b.fits").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.fits").touch()
    (tmp_path / "root/folder.fits").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "elsewhere")
    files = matching_files(("**/*.fits", "*.fits"), tmp_path / "root")
    assert list(files) == ["a.fits", "link/deep/b.fits"]


def test_a_file_that_vanished_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"gone\.fits: there is no such file"):
        ingest(SURVEY, {"gone.fits": tmp_path / "gone.fits"}, tmp_path / "s", tmp_path / "q")
    assert not list(tmp_path.iterdir())


def test_no_normalisation_lets_spectra_without_continuum_in(run, folder, write_spec):
    write_spec(folder / "sky.fits", flux=np.full(200, -1, np.float32), FIBERID=77)
    _, quarantine, table = run(folder, replace(SURVEY, normalisation="none"))
    assert len(table) == 7
    assert quarantine.empty
    assert set(table["norm"]) == {1.0}


def test_an_archive_in_bulk_arrives_too(run, tmp_path):
    rows, pixels = 600, 300
    wavelength = (10 ** (3.6 + 1e-4 * np.arange(pixels))).astype("f4")
    padded = np.tile(np.append(wavelength, [-1] * 20), (rows, 1)).astype("f4")
    flux = np.full((rows, pixels + 20), 3, "f4")
    flux[7] = np.nan
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data/a.hdf5", "w") as file:
        file["object_id"] = np.arange(rows)
        for name in ("ra", "dec", "Z", "Z_ERR"):
            file[name] = np.full(rows, 0.1)
        file["ZWARNING"] = np.zeros(rows, int)
        file["spectrum_lambda"], file["spectrum_flux"] = padded, flux
        file["spectrum_ivar"] = np.ones_like(flux)
        file["spectrum_mask"] = padded < 0
    survey = replace(SURVEY, reader="multimodal_universe", patterns=("*.hdf5",))
    spectra, quarantine, table = run(tmp_path / "data", survey)
    assert len(table) == rows - 1
    assert list(quarantine["object_id"]) == ["7"]
    assert list(table["object_id"][:3]) == ["0", "1", "2"]
    assert ((spectra.vectors("ivar", [0, 500]) > 0).sum(axis=1) == pixels).all()
