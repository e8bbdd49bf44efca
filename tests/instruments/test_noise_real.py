"""Simulated noise against real sky fibres of SDSS that the noise model was not fitted to."""

import pytest

from uraniborg.instruments.noise_check import compare_noise, observe_empty_sky, summary
from uraniborg.instruments.noise_fit import read_fibres
from uraniborg.instruments.spectrograph import spectrograph

TOLERANCES = {"sigma_ratio": 0.05, "std_ratio": 0.05, "q99.7_ratio": 0.08}
DIFFERENCES = {"std_worst": 0.08, "lag1_worst": 0.06}


def disagreements(numbers):
    """The summary's numbers that lie outside the tolerances."""

    ratios = [name for name, limit in TOLERANCES.items() if abs(numbers[name] - 1) > limit]
    return ratios + [name for name, limit in DIFFERENCES.items() if numbers[name] > limit]


@pytest.fixture(scope="module")
def instrument():
    return spectrograph("sdss")


@pytest.fixture(scope="module")
def real(shared_data, instrument):
    files = sorted((shared_data / "sdss_sky").rglob("spec-*.fits.gz"))
    # Plate 548 holds a galaxy and a quasar. The fit took every other file, from the first.
    files = [path for path in files if "spec-0548-" not in path.name][1::2]
    assert len(files) >= 20
    fibres = read_fibres(files, instrument.grid)
    return fibres.flux, fibres.ivar


def compare(real, simulated, instrument):
    on_line = instrument.noise.curves["family"].to_numpy() >= 0
    return summary(compare_noise(real, simulated, on_line, bootstraps=2))


def test_simulated_sky_resembles_real_sky(real, instrument):
    simulated = observe_empty_sky(instrument, 256, seed=0)
    numbers = compare(real, simulated, instrument)
    assert not disagreements(numbers), numbers
    # The errors of the survey's pipeline are too large: chi is below one.
    assert 0.88 < numbers["chi_rms_real"] < 0.96


def test_noise_that_is_a_third_too_strong_is_noticed(real, instrument):
    flux, ivar = observe_empty_sky(instrument, 64, seed=0)
    found = disagreements(compare(real, (1.3 * flux, ivar), instrument))
    assert "std_ratio" in found
    assert "std_worst" in found


def test_errors_that_are_a_third_too_large_are_noticed(real, instrument):
    flux, ivar = observe_empty_sky(instrument, 64, seed=0)
    found = disagreements(compare(real, (1.3 * flux, ivar / 1.3**2), instrument))
    assert found == ["sigma_ratio"]
