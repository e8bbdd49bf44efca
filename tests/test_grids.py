"""Wavelength grids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid

SDSS = WavelengthGrid("log10", 3.578, 1e-4, 3921)


def test_the_sdss_grid_spans_3784_to_9332_angstrom():
    assert SDSS.wavelength.shape == (3921,)
    np.testing.assert_allclose(SDSS.wavelength[[0, -1]], [3784.43, 9332.54], atol=0.01)


@pytest.mark.parametrize("grid", [SDSS, WavelengthGrid("linear", 3600, 0.8, 7781)])
def test_every_pixel_lies_between_its_edges(grid):
    assert grid.edges.shape == (grid.size + 1,)
    assert np.all(grid.edges[:-1] < grid.wavelength)
    assert np.all(grid.wavelength < grid.edges[1:])


@given(z_min=st.floats(-0.02, 0.1), width=st.floats(0, 1))
def test_the_restframe_grid_covers_the_observed_one_from_every_redshift(z_min, width):
    z_max = z_min + width
    rest = SDSS.restframe(z_max, z_min)
    for z in (z_min, z_max):
        assert rest.wavelength[0] * (1 + z) < SDSS.wavelength[0]
        assert rest.wavelength[-1] * (1 + z) > SDSS.wavelength[-1]


def test_the_restframe_grid_has_the_same_pixels():
    rest = SDSS.restframe(0.5)
    shift = (np.log10(SDSS.wavelength[0]) - rest.start) / rest.step
    assert shift == pytest.approx(round(shift), abs=1e-6)
    assert rest.size == SDSS.size + SDSS.pixels_of_redshift(0.5) + 4


def test_a_linear_grid_has_no_restframe_of_constant_shift():
    with pytest.raises(ValueError, match="log10"):
        WavelengthGrid("linear", 3600, 0.8, 100).restframe(0.5)


@pytest.mark.parametrize(
    "arguments", [("log", 3.5, 1e-4, 10), ("log10", 3.5, 0, 10), ("log10", 3.5, 1e-4, 1)]
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match=r"kind|positive step"):
        WavelengthGrid(*arguments)


@given(st.floats(3, 4), st.floats(1e-6, 1e-2), st.integers(2, 10000))
def test_json_gives_back_the_same_grid(start, step, size):
    grid = WavelengthGrid("log10", start, step, size)
    assert WavelengthGrid.from_json(grid.to_json()) == grid
