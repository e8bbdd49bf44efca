import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.refraction import air_to_vacuum, vacuum_to_air


@pytest.mark.parametrize(
    ("air", "vacuum"), [(4861.325, 4862.683), (5006.843, 5008.240), (6562.80, 6564.61)]
)
def test_known_lines(air, vacuum):
    # NIST and the SDSS list of lines.
    assert air_to_vacuum(np.array([air]))[0] == pytest.approx(vacuum, abs=0.006)


@given(st.floats(2001, 100_000))
def test_inverse(wavelength):
    there = vacuum_to_air(air_to_vacuum(np.array([wavelength])))
    assert there[0] == pytest.approx(wavelength, abs=1e-8)


def test_ultraviolet_is_left_in_vacuum():
    far = np.array([912.0, 1215.67, 1999.9])
    assert np.array_equal(air_to_vacuum(far), far)
    assert np.array_equal(vacuum_to_air(far), far)
