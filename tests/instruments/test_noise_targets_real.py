"""Simulated noise against real targets of BOSS (held out) and DESI (all that there are)."""

import dataclasses

import pytest

from uraniborg.instruments.noise_check import compare_targets, summary
from uraniborg.instruments.noise_fit_targets import read_boss_targets, read_desi_targets
from uraniborg.instruments.spectrograph import spectrograph

RATIOS = {"sigma_ratio": 0.05, "std_ratio": 0.05, "q99.7_ratio": 0.08}
# One band of sky lines of few pixels decides DESI's worst third.
WORST = {"boss": 0.08, "desi": 0.12}
BOSS = (
    "sdss_qso/**/spec-3655-*.fits*",
    "sdss_spectra/**/spec-10000-*.fits*",
    "sdss_spectra/**/spec-4055-*.fits*",
    "sdss_spectra/**/spec-6055-*.fits*",
    "sdss_spectra/**/Iras23060*.fits*",
    "sdss_spectra/**/spec-7102-*.fits*",
    "sdss_spectra/**/spec-4238-*.fits*",
    "sdss_spectra/**/spec-4500-*.fits*",
    "sdss_spectra/**/spec-5290-*.fits*",
    "sdss_spectra/**/sample_spectrum.fits*",
)
DESI = ("desi_spectra/**/coadd-5-169-*", "desi_spectra/**/coadd-sv3-*", "desi_spectra/igm*/coadd*")


@pytest.fixture(scope="module", params=["boss", "desi"])
def pair(request, shared_data):
    instrument = spectrograph(request.param)
    patterns, read = (
        (BOSS, read_boss_targets) if request.param == "boss" else (DESI, read_desi_targets)
    )
    files = sorted(path for pattern in patterns for path in shared_data.glob(pattern))
    # The fit of BOSS took every other file, from the first.
    return instrument, read(files[1::2] if request.param == "boss" else files, instrument.grid)


def disagreements(numbers, name):
    """The summary's numbers that lie outside the tolerances."""

    found = [key for key, limit in RATIOS.items() if abs(numbers[key] - 1) > limit]
    return found + ["std_worst"] * (numbers["std_worst"] > WORST[name])


def test_simulated_noise_resembles_that_of_targets(pair):
    instrument, real = pair
    assert len(real.flux) >= 10
    numbers = summary(compare_targets(instrument, real, copies=4, seed=1, bootstraps=2))
    assert not disagreements(numbers, instrument.name), numbers


def test_noise_that_is_a_third_too_strong_is_noticed(pair):
    instrument, real = pair
    noise = instrument.noise
    strong = dataclasses.replace(instrument)
    curves = noise.curves.assign(scatter=1.3 * noise.curves["scatter"])
    strong.__dict__["noise"] = dataclasses.replace(noise, curves=curves)
    numbers = summary(compare_targets(strong, real, copies=2, seed=1, bootstraps=2))
    assert "std_ratio" in disagreements(numbers, instrument.name)
