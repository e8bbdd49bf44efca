import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.dust import attenuation, attenuation_curve, transmission

WAVELENGTH = torch.linspace(900, 50000, 5000, dtype=torch.float64)
CURVE = attenuation_curve(WAVELENGTH)


def at(wavelength, slope):
    curve = attenuation_curve(torch.tensor(wavelength))
    return attenuation(curve, torch.tensor([float(slope)]))[0].tolist()


def test_slope_zero_without_bump_is_calzetti():
    # Calzetti et al. (2000), eq. 4, evaluated by hand at three wavelengths.
    for micron, expected in [
        (0.15, 2.659 * (-2.156 + 1.509 / 0.15 - 0.198 / 0.15**2 + 0.011 / 0.15**3)),
        (0.5, 2.659 * (-2.156 + 1.509 / 0.5 - 0.198 / 0.25 + 0.011 / 0.125)),
        (1.6, 2.659 * (-1.857 + 1.040 / 1.6)),
    ]:
        curve = attenuation_curve(torch.tensor([1e4 * micron]))
        assert curve.smooth.item() == pytest.approx((expected + 4.05) / 4.05, rel=1e-5)


@given(st.floats(-1.2, 0.4))
def test_attenuation_is_one_at_v_and_never_negative(slope):
    curve = attenuation(CURVE, torch.tensor([slope]))[0]
    # The formula itself is 0.998 at V, and the wing of the bump adds a little.
    assert at([5500.0], slope)[0] == pytest.approx(1, abs=0.03)
    assert (curve >= 0).all()
    # But for the far wing of the bump.
    assert (curve[WAVELENGTH > 31000] < 1e-3).all()


@given(st.floats(-1.2, 0.3))
def test_steeper_curves_redden_more(slope):
    blue, shallower = at([3500.0], slope)[0], at([3500.0], slope + 0.1)[0]
    assert blue > shallower


def test_the_bump_follows_the_slope():
    peak, side = torch.tensor([2175.0]), torch.tensor([1700.0, 2700.0])

    def excess(slope):
        curve, sides = (
            attenuation(attenuation_curve(w), torch.tensor([slope]))[0] for w in (peak, side)
        )
        smooth = np.interp(2175, side, sides)
        return curve.item() - smooth

    assert excess(-0.5) > excess(0.0) > excess(0.4)
    # Kriek & Conroy (2013), eq. 3: no bump left at this slope.
    assert attenuation_curve(peak).bump.item() == pytest.approx(1)
    assert at([2175.0], 0.85 / 1.9)[0] == pytest.approx(
        attenuation_curve(peak).smooth.item() * (2175 / 5500) ** (0.85 / 1.9), rel=1e-5
    )


def test_screens_multiply():
    curve = attenuation_curve(torch.linspace(2000, 9000, 50))
    one, two, slope = torch.tensor([0.3, 1.0]), torch.tensor([0.5, 0.0]), torch.tensor([-0.3, 0.2])
    together = transmission(curve, one + two, slope)
    each = transmission(curve, one, slope) * transmission(curve, two, slope)
    assert torch.allclose(together, each)
    assert torch.equal(transmission(curve, torch.zeros(1), slope[:1]), torch.ones(1, 50))
