"""Tables with units and descriptions; spectra in memory-mapped shards."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.tables import (
    FLUX_UNIT,
    QUARANTINE_COLUMNS,
    SPECTRUM_COLUMNS,
    Column,
    Spectra,
    SpectraWriter,
    TableWriter,
    read_metadata,
    read_table,
    write_table,
)

COLUMNS = (
    Column("name", pa.string(), "", "A name"),
    Column("flux", pa.float64(), FLUX_UNIT, "A flux density"),
    Column("number", pa.int64(), "", "A number"),
)
FRAME = pd.DataFrame({"name": ["a", "Ångström"], "flux": [1.0, np.nan], "number": [3, 4]})
GRID = WavelengthGrid("log10", 3.6, 1e-4, 5)


def scalars(names):
    numbers = {column.name: np.arange(len(names), dtype=float) for column in SPECTRUM_COLUMNS}
    texts = {"spectype": ["GALAXY"] * len(names), "subclass": [""] * len(names)}
    return {**numbers, "object_id": names, "zwarning": np.zeros(len(names), int), **texts}


def write_shard(path, sizes, start=0, grid=GRID, metadata=None):
    """Writes batches of the given sizes whose flux counts the rows."""
    with SpectraWriter(path, grid, metadata=metadata) as writer:
        for size in sizes:
            rows = np.arange(start, start + size)
            flux = np.repeat(rows[:, None], grid.size, axis=1)
            writer.write(scalars([f"o{row}" for row in rows]), flux=flux, ivar=flux + 0.5)
            start += size
    return path


def test_a_table_comes_back_with_its_metadata(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME, COLUMNS, {"data": "real"})
    pd.testing.assert_frame_equal(read_table(path), FRAME, check_dtype=False)
    assert list(read_table(path, ["number"])) == ["number"]
    assert read_metadata(path)["data"] == "real"


def test_every_column_has_its_unit_and_description(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME, COLUMNS)
    field = pq.read_schema(path).field("flux")
    assert field.metadata == {b"unit": FLUX_UNIT.encode(), b"description": b"A flux density"}


def test_astropy_reads_values_units_and_descriptions_without_a_warning(tmp_path):
    path = tmp_path / "t.parquet"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_table(path, FRAME, COLUMNS)
        table = Table.read(path)
    assert table["flux"].unit.to("W / m3") == pytest.approx(1e-10)
    assert table["flux"].description == "A flux density"
    assert list(table["name"]) == list(FRAME["name"])


@pytest.mark.parametrize("rows", [0, 1])
def test_astropy_reads_short_tables(tmp_path, rows):
    path = tmp_path / "t.parquet"
    write_table(path, pd.DataFrame({"name": [""] * rows}), COLUMNS[:1])
    assert len(Table.read(path)) == rows


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_table(tmp_path / name, FRAME, COLUMNS, {"data": "real"})
        write_shard(tmp_path / f"{name}.arrow", [3], metadata={"survey": "s"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


@pytest.mark.parametrize("change", [lambda t: t.drop(columns="flux"), lambda t: t.assign(extra=1)])
def test_columns_that_are_missing_or_not_declared_are_refused(tmp_path, change):
    with pytest.raises(ValueError, match="declared are"):
        write_table(tmp_path / "t.parquet", change(FRAME), COLUMNS)
    assert not list(tmp_path.iterdir())


def test_a_missing_column_and_a_damaged_file_are_named(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME, COLUMNS)
    with pytest.raises(UserError, match=r"t\.parquet: has no column redshift"):
        read_table(path, ["redshift"])
    with pytest.raises(UserError, match=r"absent\.parquet: there is no such file"):
        read_table(tmp_path / "absent.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"t\.parquet: is not a complete Parquet file"):
        read_table(path)


def test_declared_columns_are_complete():
    for column in (*SPECTRUM_COLUMNS, *QUARANTINE_COLUMNS):
        assert column.description[0].isupper()
        assert not column.description.endswith(".")


@settings(max_examples=25, deadline=None)
@given(
    shards=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=3),
    data=st.data(),
)
def test_any_rows_of_any_shards_come_back_in_the_order_asked_for(tmp_path_factory, shards, data):
    folder = tmp_path_factory.mktemp("shards")
    starts = np.cumsum([0] + [sum(sizes) for sizes in shards])
    paths = [
        write_shard(folder / f"{i}.arrow", sizes, start)
        for i, (sizes, start) in enumerate(zip(shards, starts, strict=False))
    ]
    spectra = Spectra(paths)
    assert len(spectra) == starts[-1]
    assert list(spectra.column("object_id")) == [f"o{row}" for row in range(starts[-1])]
    if len(spectra):
        rows = data.draw(st.lists(st.integers(0, len(spectra) - 1), max_size=8))
        flux = spectra.vectors("flux", rows)
        assert flux.dtype == np.float32
        assert flux.shape == (len(rows), GRID.size)
        assert list(flux[:, 0]) == rows
        assert list(spectra.vectors("ivar", rows)[:, -1]) == [row + 0.5 for row in rows]


def test_spectra_know_grid_metadata_scalars_and_columns(tmp_path):
    path = write_shard(tmp_path / "s.arrow", [3], metadata={"survey": "s", "data": "real"})
    spectra = Spectra(path)
    assert spectra.grid == GRID
    assert spectra.metadata == {"survey": "s", "data": "real"}
    assert tuple(spectra.columns) == SPECTRUM_COLUMNS
    assert list(spectra.scalars) == [column.name for column in SPECTRUM_COLUMNS]
    assert [list(rows) for rows in spectra.batches(2)] == [[0, 1], [2]]


def test_a_row_that_is_not_there_is_an_error(tmp_path):
    spectra = Spectra(write_shard(tmp_path / "s.arrow", [3, 2]))
    for row in (5, -1):
        with pytest.raises(IndexError):
            spectra.vectors("flux", [0, row])


def test_a_batch_of_the_wrong_shape_or_columns_is_refused(tmp_path):
    path = tmp_path / "s.arrow"
    with pytest.raises(ValueError, match="flux has shape"), SpectraWriter(path, GRID) as writer:
        writer.write(scalars(["a"]), flux=np.zeros((1, 4)), ivar=np.zeros((1, 5)))
    with pytest.raises(ValueError, match="needs the columns"), SpectraWriter(path, GRID) as writer:
        writer.write({"object_id": ["a"]}, flux=np.zeros((1, 5)), ivar=np.zeros((1, 5)))
    assert not list(tmp_path.iterdir())


def test_flux_and_ivar_of_different_length_are_refused(tmp_path):
    path = tmp_path / "s.arrow"
    with pytest.raises((ValueError, pa.ArrowInvalid)), SpectraWriter(path, GRID) as writer:
        writer.write(scalars(["a"]), flux=np.zeros((2, 5)), ivar=np.zeros((1, 5)))


def test_shards_that_differ_or_are_damaged_are_named(tmp_path):
    first = write_shard(tmp_path / "first.arrow", [2])
    other = write_shard(tmp_path / "other.arrow", [2], grid=WavelengthGrid("log10", 3.6, 1e-4, 6))
    with pytest.raises(UserError, match=r"other\.arrow: differs from .*first\.arrow"):
        Spectra([first, other])
    other.write_bytes(first.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"other\.arrow: is not a complete Arrow file"):
        Spectra([first, other])
    other.write_bytes(b"")
    with pytest.raises(UserError, match=r"other\.arrow"):
        Spectra(other)
    with pytest.raises(UserError, match=r"absent\.arrow"):
        Spectra(tmp_path / "absent.arrow")
    with pytest.raises(UserError, match="no shard"):
        Spectra([])


def test_reading_rows_does_not_read_the_file(tmp_path):
    psutil = pytest.importorskip("psutil")
    grid = WavelengthGrid("log10", 3.6, 1e-4, 4000)
    path = write_shard(tmp_path / "s.arrow", [1000, 1000], grid=grid)
    before = psutil.Process().memory_info().rss
    assert Spectra(path).vectors("flux", [1500]).shape == (1, 4000)
    # The file has 64 MB.
    assert psutil.Process().memory_info().rss - before < 20e6


def test_a_table_written_in_parts_is_the_same_table(tmp_path):
    columns = (
        Column("name", pa.string(), "", "A name"),
        Column("mass", pa.float64(), "kg", "A mass"),
    )
    table = pd.DataFrame({"name": ["abc", "d", "ef"], "mass": [1.0, 2.0, 3.0]})
    write_table(tmp_path / "whole.parquet", table, columns, {"data": "simulated"})
    with TableWriter(tmp_path / "parts.parquet", columns, {"data": "simulated"}) as writer:
        writer.write(table[:1])
        writer.write(table[1:])
    whole, parts = (Table.read(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert (whole == parts).all()
    assert parts["mass"].unit == "kg"
    assert read_metadata(tmp_path / "parts.parquet") == read_metadata(tmp_path / "whole.parquet")


def test_a_table_that_fails_half_way_leaves_nothing(tmp_path):
    columns = (Column("mass", pa.float64(), "kg", "A mass"),)

    def write():
        with TableWriter(tmp_path / "table.parquet", columns) as writer:
            writer.write({"mass": [1.0]})
            writer.write({"weight": [1.0]})

    with pytest.raises(ValueError, match="declared"):
        write()
    assert list(tmp_path.iterdir()) == []
