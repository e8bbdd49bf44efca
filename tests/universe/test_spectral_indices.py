import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.refraction import air_to_vacuum
from uraniborg.universe.spectral_indices import break_4000, emission_line, h_delta

WAVELENGTH = 10 ** np.arange(np.log10(3700), np.log10(7000), 1e-4)


def spectrum(values):
    flux = np.broadcast_to(values, (1, len(WAVELENGTH))).astype(float)
    return WAVELENGTH, flux, np.ones_like(flux)


def test_constant_per_frequency_has_no_break():
    assert break_4000(*spectrum(WAVELENGTH**-2.0)).value[0] == pytest.approx(1, abs=1e-6)


@given(step=st.floats(0.5, 3), scale=st.floats(1e-3, 1e3))
def test_a_step_is_the_break_whatever_the_scale(step, scale):
    flux = scale * WAVELENGTH**-2.0 * np.where(air_to_vacuum(3975.0) < WAVELENGTH, step, 1)
    assert break_4000(*spectrum(flux)).value[0] == pytest.approx(step, rel=1e-6)


def test_power_law_break_is_analytic():
    # Flux per frequency falls as wavelength^-1: the ratio of its means over two equal windows.
    (a, b), (c, d) = (np.log(air_to_vacuum(np.array(w))) for w in ((3850, 3950), (4000, 4100)))
    width = [np.diff(air_to_vacuum(np.array(w)))[0] for w in ((3850.0, 3950.0), (4000.0, 4100.0))]
    expected = (d - c) / (b - a) * width[0] / width[1]
    value = break_4000(*spectrum(WAVELENGTH**-3.0)).value[0]
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("slope", [0.0, 1e-4, -1e-4])
def test_a_straight_continuum_has_no_absorption(slope):
    flux = 1 + slope * (WAVELENGTH - 4100)
    assert h_delta(*spectrum(flux)).value[0] == pytest.approx(0, abs=1e-4)


def test_h_delta_is_the_equivalent_width_of_what_is_missing():
    centre, sigma, width = 4102.9, 4.0, 3.0
    profile = np.exp(-0.5 * ((WAVELENGTH - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    value = h_delta(*spectrum(7 * (1 - width * profile))).value[0]
    assert value == pytest.approx(width, rel=1e-3)


def test_flux_and_width_of_an_emission_line():
    centre, sigma, total, level = 5008.2, 2.5, 40.0, 3.0
    profile = np.exp(-0.5 * ((WAVELENGTH - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    flux, width = emission_line(*spectrum(level + total * profile), centre, half_width=500)
    assert flux.value[0] == pytest.approx(total, rel=2e-3)
    assert width.value[0] == pytest.approx(total / level, rel=2e-3)


def test_errors_are_the_scatter_of_noisy_measurements():
    random = np.random.default_rng(1)
    sigma = 0.05 * (1 + 0.5 * np.sin(WAVELENGTH / 30))
    flux = 1 + 0.3 * (WAVELENGTH > 3990) + sigma * random.standard_normal((2000, len(WAVELENGTH)))
    ivar = np.broadcast_to(sigma**-2.0, flux.shape)
    line = emission_line(WAVELENGTH, flux, ivar, 5008.2)
    for measured in (break_4000(WAVELENGTH, flux, ivar), h_delta(WAVELENGTH, flux, ivar), *line):
        assert np.std(measured.value) == pytest.approx(np.median(measured.error), rel=0.06)


def test_masked_pixels_do_not_count_and_too_many_give_nan():
    wavelength, flux, ivar = spectrum(np.ones(len(WAVELENGTH)))
    hit = (wavelength > 4050) & (wavelength < 4055)
    flux, ivar = np.where(hit, 1e6, flux), np.where(hit, 0.0, ivar)
    assert h_delta(wavelength, flux, ivar).value[0] == pytest.approx(0, abs=1e-6)
    ivar = np.where((wavelength > 4000) & (wavelength < 4075), 0.0, ivar)
    assert np.isnan(h_delta(wavelength, flux, ivar).value[0])
    assert np.isnan(
        break_4000(
            wavelength[wavelength > 3900],
            *(values[:, wavelength > 3900] for values in (flux, ivar)),
        ).value[0]
    )
