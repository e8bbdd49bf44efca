import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.augmentation import augmented
from uraniborg.spectra.dataset import Batch

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
WAVELENGTH = torch.from_numpy(GRID.wavelength)
LINE = 4861.0
CLEAN = {"noisy": 0.0, "masked": 0.0}


def emission_lines(number: int = 40) -> Batch:
    """Spectra with one line each, masked at the ends, at redshifts to 0.3."""

    torch.manual_seed(5)
    z = torch.linspace(0, 0.3, number, dtype=torch.float64)
    flux = 1 + 5 * torch.exp(-0.5 * ((WAVELENGTH / (LINE * (1 + z[:, None])) - 1) / 6e-4) ** 2)
    ivar = torch.full((number, GRID.size), 100.0)
    ivar[:, :30] = 0
    return Batch(flux.float(), ivar, z)


def test_a_line_stays_at_its_restframe_wavelength():
    batch = emission_lines()
    copy = augmented(batch, GRID.step, **CLEAN)
    rest = WAVELENGTH / (1 + copy.z[:, None])
    line = (copy.flux - 1).clamp_min(0) * ((rest > LINE - 30) & (rest < LINE + 30))
    seen = ((copy.ivar > 0) & ((rest - LINE).abs() < 20)).sum(dim=1) > 35
    assert seen.sum() > 20
    centre = (line * rest).sum(dim=1) / line.sum(dim=1)
    assert (centre[seen] - LINE).abs().max() < 0.02
    assert (copy.z - batch.z).abs().mean() > 0.1


def test_the_copy_is_the_original_shifted():
    batch = emission_lines(5)
    copy = augmented(batch, GRID.step, **CLEAN)
    shift = (torch.log10((1 + copy.z) / (1 + batch.z)) / GRID.step).round().long()
    for i, k in enumerate(shift.tolist()):
        new, old = slice(max(k, 0), GRID.size + min(k, 0)), slice(max(-k, 0), GRID.size - max(k, 0))
        good = batch.ivar[i, old] > 0
        assert torch.equal(copy.flux[i, new][good], batch.flux[i, old][good])
        assert torch.equal(copy.ivar[i, new], batch.ivar[i, old])
        assert (copy.ivar[i] > 0).sum() == good.sum()


def test_redshifts_span_the_range_evenly():
    batch = emission_lines(1000)
    z = augmented(batch, GRID.step, z_range=(0.1, 0.3), **CLEAN).z
    half_pixel = 1.3 * (10 ** (GRID.step / 2) - 1)
    assert z.min() > 0.1 - half_pixel
    assert z.max() < 0.3 + half_pixel
    counts = torch.histc(z.float(), 4, 0.1, 0.3)
    assert ((counts - 250).abs() < 60).all()


def test_noise_has_the_scatter_that_its_ivar_says():
    batch = emission_lines(200)
    z_range = (float(batch.z[0]), float(batch.z[0]))
    batch = batch._replace(z=batch.z[:1].expand(200), flux=batch.flux[:1].repeat(200, 1))
    clean = batch.flux
    copy = augmented(batch, GRID.step, z_range, noisy=0.05, masked=0.0)
    changed = (copy.flux != clean) & (copy.ivar > 0)
    assert 0.04 < changed.float().mean() < 0.055
    pull = (copy.flux - clean)[changed] / (1 / copy.ivar[changed] - 0.01).sqrt()
    assert abs(pull.std() - 1) < 0.02
    assert torch.equal(copy.ivar[~changed], batch.ivar[~changed])


def test_one_block_is_masked_in_each():
    batch = emission_lines()
    batch = batch._replace(ivar=torch.ones_like(batch.ivar), z=torch.zeros_like(batch.z))
    copy = augmented(batch, GRID.step, (0.0, 0.0), noisy=0.0, masked=0.05)
    masked = copy.ivar == 0
    assert (masked.sum(dim=1) == round(0.05 * GRID.size)).all()
    edges = masked.int().diff(dim=1).abs().sum(dim=1)
    assert (edges <= 2).all()
    assert (copy.flux[masked] == 0).all()
    assert len(masked.int().argmax(dim=1).unique()) > 20


def test_what_is_masked_never_comes_back():
    batch = emission_lines()
    hidden = batch._replace(flux=torch.where(batch.ivar > 0, batch.flux, 1e9))
    torch.manual_seed(0)
    one = augmented(batch, GRID.step)
    torch.manual_seed(0)
    other = augmented(hidden, GRID.step)
    assert torch.equal(one.flux, other.flux)
    assert torch.equal(one.ivar, other.ivar)
    assert torch.equal(one.z, other.z)


def test_the_detectors_noise_stays_where_the_detector_is():
    flux = torch.zeros(400, GRID.size)
    ivar = torch.full_like(flux, 4.0)
    ivar[:, 1000:1400] = 1.0
    ivar[:, 2000:2100] = 0
    flux = flux + torch.where(ivar > 0, ivar.rsqrt(), 0) * torch.randn_like(flux)
    batch = Batch(flux, ivar, torch.zeros(400))
    shift = 500
    z = 10 ** (shift * GRID.step) - 1
    copy = augmented(batch, GRID.step, (z, z), noise=0.0, detector_noise=True, **CLEAN)
    # What came to the noisy pixels is as noisy as they are, and what was noisy stays so.
    expected = torch.full((GRID.size,), 4.0)
    expected[1000:1400] = expected[1500:1900] = 1.0
    expected[:shift] = expected[2000:2100] = expected[2500:2600] = 0
    torch.testing.assert_close(copy.ivar, expected.expand(400, -1))
    chi2 = (copy.ivar * copy.flux**2).mean(dim=0)[expected > 0]
    assert abs(chi2.mean() - 1) < 0.01
    assert (chi2 - 1).abs().max() < 0.5
