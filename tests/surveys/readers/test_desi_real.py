"""The reader of DESI coadds on the real files at hand."""

import numpy as np
import pytest
from astropy.io import fits

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.surveys.ingest import catalogue, ingest
from uraniborg.surveys.matching import matching_files
from uraniborg.surveys.readers import desi
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.registry import load_surveys
from uraniborg.tables import Spectra, read_table

GRID = observed_grid("desi")
COADDS = {
    "astropy__specutils/coadd-5-169-thru20210419.fits.gz": 5,
    "astropy__specutils/coadd-sv3-dark-26065.fits.gz": 5,
    "igmhub__picca/coadd-1-80693-thru20210204.fits.gz": 5,
    "igmhub__picca/coadd-main-dark-9144.fits.gz": 2,
}


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "desi_spectra"


def read(path):
    (observations,) = desi.read(path)
    return observations


@pytest.mark.parametrize(("name", "rows"), COADDS.items())
def test_coadds_are_read_on_the_whole_grid(folder, name, rows):
    observations = read(folder / name)
    assert observations.flux.shape == (rows, GRID.size)
    good = (observations.ivar > 0).mean(axis=1)
    # Fibres without a target have no data, the others hardly a bad pixel.
    assert ((good == 0) | (good > 0.99)).all()
    assert np.array_equal(good == 0, observations.scalars["fiberstatus"] != 0)
    assert np.isnan(observations.scalars["z"]).all()


def test_arms_agree_where_they_overlap(folder):
    """A merged pixel has the inverse variance of both arms, so it jumps up at their ends."""

    ivar = read(folder / "igmhub__picca/coadd-1-80693-thru20210204.fits.gz").ivar
    for first, last in ((2700, 2750), (4900, 5025)):
        middle = (first + last) // 2
        inside = np.median(ivar[:, middle - 15 : middle + 16], axis=1)
        outside = np.median(
            np.c_[ivar[:, first - 31 : first - 1], ivar[:, last + 2 : last + 31]], 1
        )
        assert (inside > 0.9 * outside).all()


def test_fibres_and_targets_are_as_the_fibre_map_says(folder):
    scalars = read(folder / "astropy__specutils/coadd-sv3-dark-26065.fits.gz").scalars
    assert list(scalars["target"]) == ["", "", "LRG", "", "LRG"]
    assert list(scalars["spectype"]) == ["", "", "", "SKY", ""]
    assert list(scalars["fiberstatus"]) == [1, 1033, 0, 520, 0]
    assert scalars["object_id"][2] == "39627866878511337"
    scalars = read(folder / "astropy__specutils/coadd-5-169-thru20210419.fits.gz").scalars
    assert list(scalars["target"]) == ["", "ELG", "", "", "ELG"]


def test_line_spread_functions_are_those_of_the_instrument_model(folder):
    model = spectrograph("desi").lsf.numpy()
    widths = np.concatenate([next(desi.lsf_sigma(folder / name)) for name in COADDS])
    known = np.isfinite(widths).mean(axis=1)
    assert ((known == 0) | (known > 0.99)).all()
    ratio = np.nanmedian(widths[known > 0] / model, axis=1)
    assert len(ratio) == 10
    assert np.abs(ratio - 1).max() < 0.04
    assert np.median(ratio) == pytest.approx(1, abs=0.01)


def test_spectra_without_inverse_variances_are_refused(folder):
    for path in sorted((folder / "michaelJwilson__desihigh").glob("coadd-*.fits.gz")):
        with pytest.raises(UnreadableError, match="has no inverse variances"):
            list(desi.read(path))


def test_a_redrock_file_is_understood(folder, tmp_path):
    """Its spectra are not at hand: a coadd of the same targets, in another order, is made up."""

    target = np.array([39633393167633604, 616094145466860255, 39633393167631849])
    fibermap = fits.BinTableHDU.from_columns([fits.Column("TARGETID", "K", array=target)])
    fibermap.name = "FIBERMAP"
    arm = {"WAVELENGTH": GRID.wavelength, "FLUX": np.ones((3, GRID.size)),
           "IVAR": np.ones((3, GRID.size))}  # fmt: skip
    images = [fits.ImageHDU(values, name=f"BRZ_{name}") for name, values in arm.items()]
    fits.HDUList([fits.PrimaryHDU(), fibermap, *images]).writeto(tmp_path / "coadd-test.fits")
    redrock = folder / "desihub__redrock/redrock-test.fits.gz"
    (tmp_path / "redrock-test.fits.gz").symlink_to(redrock)
    scalars = read(tmp_path / "coadd-test.fits").scalars
    np.testing.assert_allclose(scalars["z"], [-1.11683e-4, 1.328282, 0.157138], rtol=1e-5)
    np.testing.assert_allclose(scalars["deltachi2"], [7465.13, 14.12, 303.89], rtol=1e-3)
    assert list(scalars["zwarning"]) == [0, 1, 0]
    assert list(scalars["spectype"]) == ["GALAXY"] * 3


@pytest.fixture(scope="module")
def ingested(root, shared_data, tmp_path_factory):
    survey = load_surveys(root / "config/surveys")["desi"]
    out = tmp_path_factory.mktemp("desi")
    shard, listed = out / "0000.arrow", out / "0000.parquet"
    ingest(survey, matching_files(survey.patterns, shared_data), shard, listed)
    catalogue(survey, [shard], [listed], out / "catalogue.parquet", out / "quarantine.parquet")
    return (
        Spectra(shard),
        read_table(out / "catalogue.parquet"),
        read_table(out / "quarantine.parquet"),
    )


def test_the_registry_s_survey_keeps_what_has_data(ingested):
    spectra, table, quarantine = ingested
    assert len(table) == 10
    assert quarantine["reason"].value_counts().to_dict() == {
        "has no good pixel": 7,
        "is no DESI coadd: has no inverse variances such as B_IVAR": 6,
    }
    assert quarantine["source"].str.startswith("desi_spectra/").all()
    assert table["z"].isna().all()
    assert (table["norm"] > 0).all()
    assert 0.5 < table["snr"].median() < 3
    # Errors are those of the noise: a spectrum is smooth to within them, from pixel to pixel.
    flux, ivar = (spectra.vectors(name, table["row"]) for name in ("flux", "ivar"))
    steps = np.diff(flux) * np.sqrt(np.minimum(ivar[:, 1:], ivar[:, :-1]) / 2)
    good = (ivar[:, 1:] > 0) & (ivar[:, :-1] > 0)
    assert 0.8 < np.median(np.abs(steps[good])) / 0.6745 < 1.2
