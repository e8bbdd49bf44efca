"""Surprises against known distributions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from uraniborg.errors import UserError
from uraniborg.spectra.outliers.surprise import TailCalibration


def exponential(number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(number, 1).exponential_(generator=generator)


def flat(number):
    return torch.zeros(number)


def test_new_objects_have_uniform_probabilities():
    generator = torch.Generator().manual_seed(1)
    values, log_snr = (torch.randn(20_000, n, generator=generator) for n in (2, 1))
    log_snr = log_snr[:, 0]
    values += (2 + log_snr - 0.5 * log_snr**2)[:, None]
    calibration = TailCalibration.of(values[:10_000], log_snr[:10_000])
    p = (-calibration.surprise(values[10_000:], log_snr[10_000:])).exp()
    for column in p.T.numpy():
        # The upper tail of a normal is not quite exponential.
        assert kstest(column, "uniform").statistic < 0.02


def test_without_the_trend_faint_objects_would_be_called_outliers():
    generator = torch.Generator().manual_seed(1)
    log_snr = torch.randn(5_000, generator=generator)
    values = (torch.randn(5_000, generator=generator) - 3 * log_snr)[:, None]
    for detrend, least, most in ((True, -0.05, 0.05), (False, -1, -0.5)):
        calibration = TailCalibration.of(values, log_snr, detrend)
        surprise = calibration.surprise(values, log_snr)[:, 0]
        both = torch.stack([surprise, log_snr.double()])
        assert least < both.corrcoef()[0, 1] < most


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_tail_of_an_exponential_is_its_own(scale):
    calibration = TailCalibration.of(scale * exponential(20_000), flat(20_000), detrend=False)
    surprise = calibration.surprise(scale * torch.tensor([[0.0], [1.0], [5.0], [40.0]]), flat(4))
    assert surprise[:, 0].tolist() == pytest.approx([0, 1, 5, 40], rel=0.06, abs=0.01)


@pytest.mark.parametrize("far", [10.0, 1e3, 1e30])
def test_one_outlier_in_a_hundred_does_not_set_the_scale(far):
    values = exponential(10_000)
    values[::100] = far
    calibration = TailCalibration.of(values, flat(10_000), detrend=False)
    assert 1 < calibration.scale.item() < 1.3
    assert calibration.surprise(torch.tensor([[far]]), flat(1)).item() > far / 1.5


def test_outliers_do_not_set_the_trend():
    generator = torch.Generator().manual_seed(1)
    log_snr = torch.randn(5_000, generator=generator)
    values = (torch.randn(5_000, generator=generator) + log_snr)[:, None]
    clean = TailCalibration.of(values, log_snr).trend
    values[log_snr > 2] += 100
    torch.testing.assert_close(TailCalibration.of(values, log_snr).trend, clean, atol=0.4, rtol=0)


CALIBRATION = TailCalibration.of(exponential(500), torch.linspace(-1, 1, 500))
numbers = st.floats(-1e6, 1e6, width=32)


@given(st.lists(numbers, min_size=2, max_size=20), numbers)
def test_larger_values_are_no_less_surprising(values, log_snr):
    ordered = torch.tensor(values).sort().values[:, None]
    surprise = CALIBRATION.surprise(ordered, torch.full((len(values),), log_snr))[:, 0]
    assert (surprise.diff() >= 0).all()
    assert (surprise >= 0).all()
    assert surprise.isfinite().all()


@given(st.sampled_from([math.nan, math.inf, -math.inf]), numbers)
def test_what_is_not_finite_is_not_a_number_and_alone(bad, value):
    values = torch.tensor([[value], [bad], [value]])
    surprise = CALIBRATION.surprise(values, torch.zeros(3))[:, 0]
    assert surprise[1].isnan()
    assert surprise[0] == surprise[2] == CALIBRATION.surprise(values[:1], torch.zeros(1))[0, 0]


def test_beyond_the_range_of_snr_its_edge_holds():
    log_snr = torch.tensor([-1.0, -50.0, math.nan, -math.inf, math.inf])
    surprise = CALIBRATION.surprise(torch.full((5, 1), 2.0), log_snr)
    assert (surprise == surprise[0]).all()


def test_objects_that_are_not_finite_take_no_part():
    values, log_snr = exponential(1_000), torch.linspace(-1, 1, 1_000)
    clean = TailCalibration.of(values, log_snr)
    spoilt = torch.cat([values, torch.tensor([[math.nan], [math.inf]])])
    again = TailCalibration.of(spoilt, torch.cat([log_snr, torch.zeros(2)]))
    assert torch.equal(again.quantiles, clean.quantiles)


def test_too_few_and_constant_values_are_errors():
    with pytest.raises(UserError, match="only 99 of 99"):
        TailCalibration.of(exponential(99), flat(99))
    with pytest.raises(UserError, match="same value"):
        TailCalibration.of(torch.ones(200, 1), flat(200))
