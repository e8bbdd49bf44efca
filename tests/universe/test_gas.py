import gzip

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.gas import (
    gas_metallicity,
    line_factors,
    log_ionisation,
    nitrogen_to_oxygen,
)


def test_gas_is_richer_in_massive_galaxies_and_never_beyond_the_grid():
    metallicity = gas_metallicity(np.linspace(7, 12.5, 100))
    assert (np.diff(metallicity) >= 0).all()
    assert metallicity[-1] < 0.39
    # Tremonti et al. (2004) have 12 + log O/H = 8.95 at 10^10 M_sun.
    assert gas_metallicity(np.array(10.0)) == pytest.approx(8.95 - 8.71 - 0.12, abs=0.01)


@given(metallicity=st.floats(-2, 0.4))
def test_nitrogen_is_primary_when_poor_and_secondary_when_rich(metallicity):
    value = nitrogen_to_oxygen(torch.tensor(metallicity, dtype=torch.float64)).item()
    assert value > -1.732
    poor, rich = nitrogen_to_oxygen(torch.tensor([-2.0, 0.4], dtype=torch.float64)).tolist()
    assert poor == pytest.approx(-1.7, abs=0.04)
    assert rich == pytest.approx(-0.66, abs=0.04)


def test_only_lines_of_corrected_elements_change(nebular):
    factors = line_factors(nebular.names, torch.linspace(-1.5, 0.39, 20))
    assert factors.shape == (20, len(nebular.names))
    for index, name in enumerate(nebular.names):
        corrected = name[:3] in ("N 1", "N 2", "N 3", "S 2", "O 1")
        assert bool((factors[:, index] != 1).any()) == corrected
    assert ((factors > 0.2) & (factors < 1.2)).all()


def test_line_ratios_are_those_of_real_galaxies(populations, nebular, shared_data):
    path = shared_data / "photometry/mugdhapolimera__SDSS_spectra/RESOLVE_bpt1_filter.fits.gz"
    with gzip.open(path) as file:
        real = fits.open(file)[1].data
        flux = {
            key: np.array(real[f"{key}_flux"], float)
            for key in ("h_alpha", "h_beta", "nii_6584", "oiii_5007", "sii_6717", "sii_6731")
        }
        mass = np.array(real["logmstar"], float)
    edges = populations.age_edges.clamp(max=1e8)
    weights = edges.diff()[None].float()
    sulphur = flux["sii_6717"] + flux["sii_6731"]
    observed = {
        "N2": np.log10(flux["nii_6584"] / flux["h_alpha"]),
        "O3": np.log10(flux["oiii_5007"] / flux["h_beta"]),
        "S2": np.log10(np.maximum(sulphur, 1e-9) / flux["h_alpha"]),
    }
    for low in (8.0, 8.5, 9.0, 9.5, 10.0):
        here = (mass > low) & (mass < low + 0.5)
        metallicity = torch.as_tensor(gas_metallicity(np.median(mass[here]))).float()[None]
        log_u = torch.as_tensor(log_ionisation(metallicity.numpy()))
        lines = nebular.lines(nebular.absorbed(weights, metallicity, log_u))
        light = (lines * line_factors(nebular.names, metallicity))[0].numpy()

        def line(name, light=light):
            return light[nebular.index(name)]

        h_alpha = line("H 1 6562.80A")
        model = {
            "N2": line("N 2 6583.45A") / h_alpha,
            "O3": line("O 3 5006.84A") / line("H 1 4861.32A"),
            "S2": (line("S 2 6716.44A") + line("S 2 6730.82A")) / h_alpha,
        }
        for ratio, value in model.items():
            difference = np.log10(value) - np.median(observed[ratio][here])
            assert abs(difference) < 0.15, (low, ratio, difference)
