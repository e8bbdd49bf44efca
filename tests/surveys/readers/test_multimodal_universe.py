"""The reader of the Multimodal Universe's HDF5 layout."""

import h5py
import numpy as np
import pytest

from uraniborg.surveys.readers import multimodal_universe
from uraniborg.surveys.readers.errors import UnreadableError

N, P = 5, 60


@pytest.fixture
def write_hdf5(tmp_path):
    """Writes a file in the layout of SDSS; keywords replace datasets, None leaves one out."""

    def write(**changes):
        wavelength = np.tile((10 ** (3.6 + 1e-4 * np.arange(P))).astype("f4"), (N, 1))
        wavelength[:, -10:] = -1
        datasets = {
            "object_id": np.arange(299489676975171584, 299489676975171584 + N, dtype="u8"),
            "ra": np.linspace(10, 11, N),
            "dec": np.linspace(-1, 1, N),
            "spectrum_flux": np.arange(N * P, dtype="f4").reshape(N, P),
            "spectrum_ivar": np.ones((N, P), "f4"),
            "spectrum_lambda": wavelength,
            "spectrum_mask": wavelength < 0,
            "spectrum_lsf_sigma": np.ones((N, P), "f4"),
            "Z": np.linspace(0, 0.4, N, dtype="f4"),
            "Z_ERR": np.full(N, 1e-5, "f4"),
            "ZWARNING": np.zeros(N, "i4"),
            "CLASS": np.array([b"GALAXY"] * N, "S6"),
            "SUBCLASS": np.array([b"STARBURST            "] * N, "S21"),
            **changes,
        }
        path = tmp_path / "001-of-001.hdf5"
        with h5py.File(path, "w") as file:
            for name, values in datasets.items():
                if values is not None:
                    file[name] = values
        return path

    return write


def reason(path):
    with pytest.raises(UnreadableError) as error:
        list(multimodal_universe.read(path))
    return error.value.reason


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_chunks_hold_every_row_in_order(write_hdf5, rows):
    chunks = list(multimodal_universe.read(write_hdf5(), rows))
    assert [len(chunk.flux) for chunk in chunks] == [
        min(rows, N - start) for start in range(0, N, rows)
    ]
    flux = np.concatenate([chunk.flux for chunk in chunks])
    assert np.array_equal(flux, np.arange(N * P).reshape(N, P))
    names = np.concatenate([chunk.scalars["object_id"] for chunk in chunks])
    assert list(names) == [str(299489676975171584 + row) for row in range(N)]


def test_scalars_have_our_names(write_hdf5):
    (chunk,) = multimodal_universe.read(write_hdf5())
    assert list(chunk.scalars["spectype"]) == ["GALAXY"] * N
    assert list(chunk.scalars["subclass"]) == ["STARBURST"] * N
    np.testing.assert_allclose(chunk.scalars["z"], np.linspace(0, 0.4, N), rtol=1e-6)
    assert chunk.bad[:, -10:].all()
    assert not chunk.bad[:, :-10].any()


def test_names_of_desi_are_known(write_hdf5):
    path = write_hdf5(
        Z_ERR=None, ZWARNING=None, CLASS=None, SUBCLASS=None,
        ZERR=np.full(N, 2e-5), ZWARN=np.array([False, True] + [False] * (N - 2)),
        object_id=np.array([b"39627"] * N),
    )  # fmt: skip
    (chunk,) = multimodal_universe.read(path)
    assert list(chunk.scalars["z_err"]) == [2e-5] * N
    assert list(chunk.scalars["zwarning"]) == [0, 1, 0, 0, 0]
    assert list(chunk.scalars["spectype"]) == [""] * N
    assert chunk.scalars["object_id"][0] == "39627"


def test_missing_datasets_are_named(write_hdf5):
    path = write_hdf5(spectrum_ivar=None, Z_ERR=None)
    assert reason(path) == "has no dataset spectrum_ivar, Z_ERR or ZERR"


@pytest.mark.parametrize("changes", [{"Z": np.zeros(3)}, {"spectrum_ivar": np.ones((N, P + 1))}])
def test_datasets_that_do_not_fit_together_are_named(write_hdf5, changes):
    assert reason(write_hdf5(**changes)) == "has datasets of different lengths"


def test_a_truncated_or_foreign_file_is_named(write_hdf5, tmp_path):
    path = write_hdf5()
    path.write_bytes(path.read_bytes()[:2000])
    assert reason(path) == "is truncated or no HDF5 file"
    path.write_bytes(b"hello")
    assert reason(path) == "is truncated or no HDF5 file"


def test_a_file_without_rows_yields_nothing(write_hdf5):
    empty = {name: np.zeros((0, P)) for name in multimodal_universe._VECTORS}
    scalars = {name: np.zeros(0) for name in ("object_id", "ra", "dec", "Z", "Z_ERR", "ZWARNING")}
    path = write_hdf5(**empty, **scalars, CLASS=np.zeros(0, "S6"), SUBCLASS=np.zeros(0, "S6"))
    assert list(multimodal_universe.read(path)) == []
