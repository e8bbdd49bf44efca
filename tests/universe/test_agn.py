import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.agn import AGN_PARAMETERS, NarrowLines, draw_agn


@pytest.fixture(scope="module")
def lines(nebular):
    return NarrowLines(nebular.names)


@pytest.fixture(scope="module")
def ratios(lines, nebular):
    """log10 of line ratios along the sequence at the metallicity that they belong to."""

    ionisation = torch.linspace(0, 1, 5)
    light = lines.luminosities(torch.full((5,), 7.0), ionisation, torch.full((5,), 0.25)).numpy()
    part = {
        name: light[:, [nebular.index(line) for line in members]].sum(1)
        for name, members in {
            "Ha": ["H 1 6562.80A"],
            "Hb": ["H 1 4861.32A"],
            "O3": ["O 3 5006.84A"],
            "N2": ["N 2 6583.45A"],
            "S2": ["S 2 6716.44A", "S 2 6730.82A"],
            "O1": ["O 1 6300.30A"],
        }.items()
    }
    return {
        "O3": np.log10(part["O3"] / part["Hb"]),
        **{name: np.log10(part[name] / part["Ha"]) for name in ("N2", "S2", "O1")},
    }


@given(luminosity=st.floats(3, 9.5), ionisation=st.floats(0, 1), metallicity=st.floats(-1.5, 0.5))
def test_the_luminosity_is_that_of_oxygen(lines, nebular, luminosity, ionisation, metallicity):
    values = (torch.tensor([v], dtype=torch.float64) for v in (luminosity, ionisation, metallicity))
    light = lines.luminosities(*values)[0]
    assert light.shape == (len(nebular.names),)
    assert (light >= 0).all()
    oxygen = light[nebular.index("O 3 5006.84A")].item()
    assert oxygen == pytest.approx(10**luminosity, rel=1e-9)


def test_all_agn_are_above_the_maximum_starburst(ratios):
    # Kewley et al. (2001), as Kewley et al. (2006) give them.
    for name, numerator, asymptote, level in (
        ("N2", 0.61, 0.47, 1.19),
        ("S2", 0.72, 0.32, 1.30),
        ("O1", 0.73, -0.59, 1.33),
    ):
        limit = numerator / (ratios[name] - asymptote) + level
        assert ((ratios["O3"] > limit) | (ratios[name] > asymptote)).all()


def test_the_sequence_begins_as_liner_and_ends_as_seyfert(ratios):
    # Seyferts are above these lines (Kewley et al. 2006).
    for name, slope, level in (("S2", 1.89, 0.76), ("O1", 1.18, 1.30)):
        above = ratios["O3"] - (slope * ratios[name] + level)
        assert above[0] < 0 < above[-1]
        assert (np.diff(above) > 0).all()


def test_metal_poor_agn_lack_nitrogen(lines, nebular):
    light = lines.luminosities(torch.zeros(2), torch.ones(2), torch.tensor([-0.2, 0.25]))
    nitrogen = light[:, nebular.index("N 2 6583.45A")]
    assert nitrogen[0] < 0.5 * nitrogen[1]


def test_no_agn_no_light_and_finite_gradients(lines):
    luminosity = torch.tensor([-torch.inf, 6.0])
    ionisation = torch.tensor([0.3, 0.3], requires_grad=True)
    light = lines.luminosities(luminosity, ionisation, torch.zeros(2))
    assert (light[0] == 0).all()
    light.sum().backward()
    assert torch.isfinite(ionisation.grad).all()


def test_agn_are_in_massive_galaxies_and_brighter_where_stars_form():
    random = np.random.default_rng(1)
    mass = np.repeat([9.0, 10.5, 11.3], 4000)
    quiescent = np.tile([False, True], len(mass) // 2)
    drawn = draw_agn(mass, quiescent, random)
    assert set(drawn) == {parameter.name for parameter in AGN_PARAMETERS}
    active = np.isfinite(drawn["agn_luminosity"])
    fractions = [active[mass == value].mean() for value in (9.0, 10.5, 11.3)]
    assert fractions[0] < 0.001
    assert 0.02 < fractions[1] < fractions[2] < 0.5
    luminosity = drawn["agn_luminosity"]
    assert np.median(luminosity[active & ~quiescent]) > np.median(luminosity[active & quiescent])
    # Seyferts accrete fast, LINERs slowly.
    assert np.median(drawn["agn_ionisation"][active & ~quiescent]) > 0.7
    assert np.median(drawn["agn_ionisation"][active & quiescent]) < 0.3
