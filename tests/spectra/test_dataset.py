"""Batches of spectra: what is masked, and which redshifts count."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.spectra.dataset import Batch, in_range, masked

FLUX = st.sampled_from([-2.0, 0.0, 1.5, math.nan, math.inf, -math.inf])
IVAR = st.sampled_from([-1.0, 0.0, 0.5, 3e38, math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(FLUX, IVAR), min_size=1, max_size=8))
def test_what_is_not_finite_or_without_weight_is_masked(pixels):
    flux, ivar = torch.tensor(pixels).T[:, None]
    before = Batch(flux.clone(), ivar.clone(), torch.zeros(1))
    found = masked(before)
    for i, (value, weight) in enumerate(pixels):
        good = math.isfinite(value) and math.isfinite(weight) and weight > 0
        assert found.flux[0, i] == (flux[0, i] if good else 0)
        assert found.ivar[0, i] == (ivar[0, i] if good else 0)
    assert all(torch.equal(*pair) for pair in zip(masked(found), found, strict=True))
    torch.testing.assert_close(before.flux, flux, equal_nan=True)


def test_a_missing_redshift_is_in_no_range():
    z = torch.tensor([0.0, 0.1, 0.3, 0.31, -0.01, math.nan, math.inf], dtype=torch.float64)
    expected = [True, True, True, False, False, False, False]
    assert in_range(z, (0.0, 0.3)).tolist() == expected
    assert not in_range(z, (-math.inf, math.inf))[5]
