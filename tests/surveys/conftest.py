"""SDSS files made for tests."""

import numpy as np
import pytest
from astropy.io import fits


@pytest.fixture
def write_spec():
    """A function that writes a small but complete SDSS spec file and returns its path.

    Keywords replace columns of the spectrum (lower case) or of the object (upper case); None
    leaves a column out.
    """

    def write(path, pixels=200, first=3.6, unit="1E-17 erg/cm^2/s/Ang", **columns):
        spectrum = {
            "flux": np.linspace(10, 20, pixels, dtype=np.float32),
            "loglam": (first + 1e-4 * np.arange(pixels)).astype(np.float32),
            "ivar": np.full(pixels, 4, np.float32),
            "and_mask": np.zeros(pixels, np.int32),
        }
        row = {
            "PLATE": 266,
            "MJD": 51602,
            "FIBERID": 1,
            "Z": 0.02,
            "Z_ERR": 1e-5,
            "ZWARNING": 0,
            "CLASS": "GALAXY",
            "SUBCLASS": "STARFORMING ",
            "TARGETTYPE": "SCIENCE",
            "PLUG_RA": 146.7,
            "PLUG_DEC": -1.0,
        }
        for name, value in columns.items():
            (spectrum if name.islower() else row)[name] = value
        row = {name: None if value is None else np.array([value]) for name, value in row.items()}
        primary = fits.PrimaryHDU()
        primary.header["BUNIT"] = unit
        tables = [
            fits.BinTableHDU.from_columns(
                [
                    fits.Column(name, _format(values), array=values)
                    for name, values in table.items()
                    if values is not None
                ]
            )
            for table in (spectrum, row)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.HDUList([primary, *tables]).writeto(path)
        return path

    return write


def _format(values):
    return {"f4": "E", "f8": "D", "i4": "J", "i8": "K"}.get(values.dtype.str[1:], "20A")
