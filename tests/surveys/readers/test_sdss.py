"""The reader of SDSS and BOSS files, and what it says of broken ones."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from uraniborg.surveys.readers import sdss
from uraniborg.surveys.readers.errors import UnreadableError


def read(path):
    (observations,) = sdss.read(path)
    return observations


def reason(path):
    with pytest.raises(UnreadableError) as error:
        list(sdss.read(path))
    assert error.value.remedy.endswith(".")
    return error.value.reason


def test_a_spectrum_is_read_whole(tmp_path, write_spec):
    observations = read(write_spec(tmp_path / "spec.fits"))
    scalars = {name: values[0] for name, values in observations.scalars.items()}
    assert scalars == {
        "object_id": "0266-51602-0001",
        "ra": 146.7,
        "dec": -1.0,
        "z": 0.02,
        "z_err": 1e-5,
        "zwarning": 0,
        "spectype": "GALAXY",
        "subclass": "STARFORMING",
    }
    assert observations.flux.shape == (1, 200)
    np.testing.assert_allclose(
        observations.wavelength[0, [0, -1]], [10**3.6, 10**3.6199], rtol=1e-6
    )
    np.testing.assert_allclose(observations.flux[0, [0, -1]], [10, 20])
    assert not observations.bad.any()


def test_a_compressed_file_is_the_same(tmp_path, write_spec):
    plain = write_spec(tmp_path / "spec.fits")
    packed = tmp_path / "spec.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(read(plain).flux, read(packed).flux)


def test_boss_names_are_known(tmp_path, write_spec):
    path = write_spec(
        tmp_path / "spec.fits", PLUG_RA=None, PLUG_DEC=None, RA=10.0, DEC=20.0,
        TARGETTYPE=None, OBJTYPE="QSO", PLATE=10000, MJD=57346, FIBERID=2,
    )  # fmt: skip
    scalars = read(path).scalars
    assert scalars["object_id"][0] == "10000-57346-0002"
    assert (scalars["ra"][0], scalars["dec"][0]) == (10, 20)


@pytest.mark.parametrize("column", ["TARGETTYPE", "OBJTYPE"])
def test_a_sky_fibre_is_called_sky_whatever_the_fit_says(tmp_path, write_spec, column):
    columns = {"TARGETTYPE": None, column: "SKY ", "CLASS": "STAR"}
    path = write_spec(tmp_path / "spec.fits", **columns)
    assert read(path).scalars["spectype"][0] == "SKY"


@pytest.mark.parametrize(("bit", "bad"), [(b, True) for b in sdss.MASK_BITS.values()] + [
    (b, False) for b in (0, 2, 4, 16, 17, 19, 20, 24)
])  # fmt: skip
def test_only_the_listed_bits_reject_a_pixel(tmp_path, write_spec, bit, bad):
    mask = np.zeros(200, np.int32)
    mask[7] = 1 << bit
    observations = read(write_spec(tmp_path / "spec.fits", and_mask=mask))
    assert observations.bad[0, 7] == bad
    assert observations.bad.sum() == bad


def test_columns_that_are_missing_are_named(tmp_path, write_spec):
    path = write_spec(tmp_path / "a.fits", ivar=None, and_mask=None)
    assert reason(path) == "has no column ivar, and_mask in extension 1"
    path = write_spec(tmp_path / "b.fits", Z=None)
    assert reason(path) == "has no column Z in extension 2"


def test_another_unit_is_named(tmp_path, write_spec):
    path = write_spec(tmp_path / "a.fits", unit="erg/cm^2/s/Hz")
    assert reason(path) == "has flux in erg/cm^2/s/Hz"


def test_an_image_is_named(tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros(1996, np.float32)).writeto(path)
    assert reason(path) == "is no SDSS spectrum: holds only an image of 1996 pixels"


def test_a_missing_or_empty_extension_is_named(tmp_path, write_spec):
    whole = write_spec(tmp_path / "whole.fits")
    with fits.open(whole) as file:
        fits.HDUList([file[0]]).writeto(tmp_path / "none.fits")
        fits.HDUList([file[0], file[1]]).writeto(tmp_path / "one.fits")
        fits.HDUList([file[0], fits.ImageHDU(np.zeros(3)), file[1]]).writeto(tmp_path / "img.fits")
        empty = fits.BinTableHDU(file[2].data[:0])
        fits.HDUList([file[0], file[1], empty]).writeto(tmp_path / "empty.fits")
    assert reason(tmp_path / "none.fits") == "is no SDSS spectrum: holds no data"
    assert reason(tmp_path / "one.fits") == "has no table in extension 2"
    assert reason(tmp_path / "img.fits") == "has no table in extension 1"
    assert reason(tmp_path / "empty.fits") == "has no row in extension 2"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b broken", b"SIMPLE  ="])
def test_what_is_not_fits_is_named(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    assert reason(path) in ("is not a FITS file", "is truncated or damaged")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_file_is_named(tmp_path, write_spec, packed, fraction):
    # Enough pixels that every cut falls into the spectrum or the row after it.
    path = write_spec(tmp_path / "spec.fits", pixels=3000)
    content = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    cut = tmp_path / ("cut.fits.gz" if packed else "cut.fits")
    cut.write_bytes(content[: int(len(content) * fraction)])
    assert reason(cut) in ("is truncated or damaged", "has no table in extension 2")


def test_one_flipped_byte_in_a_compressed_file_is_noticed(tmp_path, write_spec):
    content = bytearray(gzip.compress(write_spec(tmp_path / "spec.fits").read_bytes()))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "flipped.fits.gz"
    path.write_bytes(content)
    assert reason(path) == "is truncated or damaged"
