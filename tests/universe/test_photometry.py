import numpy as np
import pytest
from sedpy.observate import Filter, getSED

from uraniborg.errors import UserError
from uraniborg.universe.photometry import UGRIZJHK_W1, ab_magnitude, band_mean, read_filter

WAVELENGTH = np.geomspace(2500, 60000, 60000)


def test_magnitudes_agree_with_sedpy():
    spectrum = 1e-16 * (WAVELENGTH / 5000) ** -1.3 * (1 + 0.3 * np.sin(WAVELENGTH / 200))
    filters = [read_filter(name) for name in UGRIZJHK_W1.values()]
    ours = ab_magnitude(band_mean(WAVELENGTH, spectrum[None], filters), filters)[0]
    theirs = getSED(WAVELENGTH, spectrum, [Filter(name) for name in UGRIZJHK_W1.values()])
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_a_flat_f_nu_spectrum_of_3631_jansky_has_magnitude_zero():
    spectrum = 3.631e-20 * 2.99792458e18 / WAVELENGTH**2
    filters = [read_filter(name) for name in UGRIZJHK_W1.values()]
    magnitudes = ab_magnitude(band_mean(WAVELENGTH, spectrum[None], filters), filters)
    assert magnitudes == pytest.approx(0, abs=1e-3)


def test_a_constant_density_is_its_own_mean():
    filters = [read_filter("sdss_g0"), read_filter("wise_w1")]
    assert band_mean(WAVELENGTH, np.full((1, 60000), 7.0), filters) == pytest.approx(7)


def test_faults_are_named():
    with pytest.raises(UserError, match="no_such_filter"):
        read_filter("no_such_filter")
    with pytest.raises(ValueError, match="beyond"):
        band_mean(WAVELENGTH[:100], np.ones((1, 100)), [read_filter("sdss_r0")])
