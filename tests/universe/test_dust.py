import pytest
import torch

from uraniborg.universe.dust import attenuation_curve, transmission


def test_curve_is_normalised_at_v_and_falls_with_wavelength():
    wavelength = torch.linspace(900, 50000, 500, dtype=torch.float64)
    curve = attenuation_curve(wavelength)
    assert attenuation_curve(torch.tensor([5500.0]))[0].item() == pytest.approx(1, abs=0.02)
    assert (curve > 0).all()
    optical = (wavelength > 3000) & (wavelength < 8000)
    assert (curve[optical].diff() < 0).all()


def test_reddening_of_the_balmer_decrement():
    # Cardelli et al. (1989) have 1.164 - 0.818 at R_V = 3.1.
    beta, alpha = attenuation_curve(torch.tensor([4862.68, 6564.61])).tolist()
    assert beta - alpha == pytest.approx(0.346, abs=0.05)


def test_screens_multiply():
    curve = attenuation_curve(torch.linspace(2000, 9000, 50))
    one, two = torch.tensor([0.3, 1.0]), torch.tensor([0.5, 0.0])
    together = transmission(curve, one + two)
    assert torch.allclose(together, transmission(curve, one) * transmission(curve, two))
    assert torch.equal(transmission(curve, torch.zeros(1)), torch.ones(1, 50))
