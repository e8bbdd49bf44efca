"""FITS tables are standard, carry units and descriptions, and are the same every time."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from uraniborg.fits import FitsWriter
from uraniborg.tables import FLUX_UNIT, Column

COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier"),
    Column("flux", pa.float32(), FLUX_UNIT, "Flux density"),
    Column("mask", pa.bool_(), "", "Whether it is bad"),
    Column("count", pa.int64(), "", "How many"),
    Column("ra", pa.float64(), "deg", "Right ascension"),
)


def table(size=7):
    return pd.DataFrame(
        {
            "object_id": [f"galaxy {i}" * (i % 3) for i in range(size)],
            "flux": np.linspace(0, 1, size, dtype=np.float32),
            "mask": np.arange(size) % 2 == 0,
            "count": np.arange(size) - 3,
            "ra": np.linspace(0, 360, size),
        }
    )


def write(path, sizes=(7,)):
    with FitsWriter(path, {"SURVEY": "toy"}) as writer:
        for size in sizes:
            writer.write(f"N{size}", COLUMNS, table(size), {"REDSHIFT": (0.1, "its redshift")})


@pytest.mark.parametrize("size", [1, 7, 2000])
def test_astropy_reads_what_was_written(tmp_path, size):
    write(tmp_path / "a.fits", (3, size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tmp_path / "a.fits") as file:
            file.verify("exception")
            assert [hdu.name for hdu in file] == ["PRIMARY", "N3", f"N{size}"]
            assert file[0].header["SURVEY"] == "toy"
            header = file[2].header
            assert (header["REDSHIFT"], header["TCOMM2"]) == (0.1, "Flux density")
        read = Table.read(tmp_path / "a.fits", hdu=2, mask_invalid=False)
    assert u.Unit(read["flux"].unit) == u.Unit(FLUX_UNIT)
    assert (read["ra"].unit, read["count"].unit) == (u.deg, None)
    for name, values in table(size).items():
        assert list(read[name]) == list(values)


def test_same_data_same_bytes(tmp_path):
    write(tmp_path / "a.fits", (5, 5, 9))
    write(tmp_path / "b.fits", (5, 5, 9))
    contents = (tmp_path / "a.fits").read_bytes()
    assert contents == (tmp_path / "b.fits").read_bytes()
    assert len(contents) % 2880 == 0
    assert b"DATE" not in contents


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), FitsWriter(tmp_path / "a.fits") as writer:
        writer.write("N", COLUMNS, table().drop(columns="flux"))
    assert list(tmp_path.iterdir()) == []
