"""Spectra in tables of any format."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.surveys.readers.table import read
from uraniborg.universe.refraction import vacuum_to_air

WAVELENGTH = np.linspace(4000.0, 5000.0, 50)
FLUX = 2 + np.sin(WAVELENGTH / 100)
SIGMA = np.full(50, 0.1)


def table(**columns):
    given = {"wavelength": WAVELENGTH, "flux": FLUX, "error": SIGMA, **columns}
    made = Table({name: values for name, values in given.items() if values is not None})
    made.meta.update(REDSHIFT=0.1, OBJECT="mine", RA=10.0, DEC=-5.0)
    return made


def only(path):
    (observations,) = read(path)
    return observations


@pytest.mark.parametrize("suffix", ["fits", "ecsv", "vot", "fits.gz"])
def test_every_format_gives_the_same_spectrum(tmp_path, suffix):
    path = tmp_path / f"one.{suffix}"
    table().write(path, **({"format": "votable"} if suffix == "vot" else {}))
    found = only(path)
    np.testing.assert_allclose(found.wavelength[0], WAVELENGTH)
    np.testing.assert_allclose(found.flux[0], FLUX, rtol=1e-6)
    np.testing.assert_allclose(found.ivar[0], SIGMA**-2, rtol=1e-6)
    assert not found.bad.any()
    if suffix != "vot":
        assert found.scalars["z"] == 0.1
        assert found.scalars["object_id"] == "mine"
    assert found.scalars["spectype"] == "GALAXY"


def test_units_are_converted(tmp_path):
    density = u.spectral_density(WAVELENGTH * u.Angstrom)
    unit = u.Unit("1e-17 erg / (Angstrom s cm2)")
    given = table(
        wavelength=(WAVELENGTH * u.Angstrom).to(u.nm),
        flux=(FLUX * unit).to(u.uJy, density),
        error=(SIGMA * unit).to(u.mJy, density),
    )
    given.write(tmp_path / "units.ecsv")
    found = only(tmp_path / "units.ecsv")
    np.testing.assert_allclose(found.wavelength[0], WAVELENGTH)
    np.testing.assert_allclose(found.flux[0], FLUX, rtol=1e-5)
    np.testing.assert_allclose(found.ivar[0], SIGMA**-2, rtol=1e-5)


def test_other_names_of_the_same_things(tmp_path):
    ivar = SIGMA**-2
    ivar[3] = 0
    given = table(wavelength=None, error=None, loglam=np.log10(WAVELENGTH), ivar=ivar)
    given["mask"] = np.arange(50) == 7
    given.write(tmp_path / "loglam.fits")
    found = only(tmp_path / "loglam.fits")
    np.testing.assert_allclose(found.wavelength[0], WAVELENGTH)
    np.testing.assert_allclose(found.ivar[0], ivar, rtol=1e-5)
    assert list(np.flatnonzero(found.bad[0])) == [7]


def test_wavelengths_in_air_become_vacuum(tmp_path):
    given = table(wavelength=vacuum_to_air(WAVELENGTH))
    given.meta["AIRORVAC"] = "air"
    given.write(tmp_path / "air.fits")
    np.testing.assert_allclose(only(tmp_path / "air.fits").wavelength[0], WAVELENGTH, atol=1e-6)


def test_without_a_redshift_there_is_none(tmp_path):
    given = table()
    given.meta.clear()
    given.write(tmp_path / "NGC-1.csv")
    found = only(tmp_path / "NGC-1.csv")
    assert np.isnan(found.scalars["z"]).all()
    assert found.scalars["object_id"] == "NGC-1"


def test_errors_that_are_not_positive_carry_no_information(tmp_path):
    sigma = SIGMA.copy()
    sigma[:4] = [0, np.nan, np.inf, 0.1]
    table(error=sigma).write(tmp_path / "errors.fits")
    ivar = only(tmp_path / "errors.fits").ivar[0]
    np.testing.assert_allclose(ivar[:4], [0, 0, 0, 100], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flux": None}, "no column flux"),
        ({"error": None}, "no column ivar or error"),
        ({"wavelength": WAVELENGTH * u.kg}, "unit"),
        ({"flux": FLUX * u.mag}, "unit"),
    ],
)
def test_faults_name_their_reason(tmp_path, change, reason):
    table(**change).write(tmp_path / "bad.ecsv")
    with pytest.raises(UnreadableError, match=reason):
        only(tmp_path / "bad.ecsv")


def test_damaged_files_and_headers(tmp_path):
    table().write(tmp_path / "a.fits")
    whole = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(whole[:4000])
    (tmp_path / "b.fits").write_text("hello")
    given = table()
    given.meta["REDSHIFT"] = "about two"
    given.write(tmp_path / "c.fits")
    for name in "abc":
        with pytest.raises(UnreadableError):
            only(tmp_path / f"{name}.fits")
