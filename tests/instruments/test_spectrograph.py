"""Observations: noise as stated, calibration errors, missing pixels, determinism."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.instruments.noise import write_noise
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.wavelengths import GRIDS, logarithmic, observed_grid, source_grid

COUNT = 192


@pytest.fixture(scope="module")
def sdss():
    return spectrograph("sdss")


@pytest.fixture(scope="module")
def source(sdss):
    """A rest-frame grid with room at both ends."""

    return sdss.grid.restframe(0.4)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(source, level, count=COUNT):
    return torch.full((count, source.size), float(level)), torch.full((count,), 0.1)


def chi(observation):
    good = observation.ivar > 0
    residual = (observation.flux - observation.truth) * observation.ivar.sqrt()
    return residual[good].double()


def test_shapes_and_types(sdss, source):
    observation = sdss.observe(*_arguments(source, 10, 4))
    for tensor in observation:
        assert tensor.shape == (4, sdss.grid.size)
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()
    assert (observation.ivar >= 0).all()


def _arguments(source, level, count=COUNT, seed=0):
    flux, z = flat(source, level, count)
    return flux, source, z, seeded(seed)


@pytest.mark.parametrize("level", [0, 10, 100])
def test_calibrated_errors_describe_the_noise(sdss, source, level):
    calibrated = dataclasses.replace(sdss, errors="calibrated")
    observation = calibrated.observe(*_arguments(source, level))
    third = sdss.grid.size // 3
    for part in range(3):
        pixels = slice(part * third, (part + 1) * third)
        values = chi(type(observation)(*(tensor[:, pixels] for tensor in observation)))
        assert values.std().item() == pytest.approx(1, abs=0.04)
        assert abs(values.mean().item()) < 0.05


def test_reported_errors_are_as_wrong_as_the_noise_table_says(sdss, source):
    observation = sdss.observe(*_arguments(source, 0))
    scatter = sdss.noise.curves["scatter"].to_numpy()
    off_line = torch.as_tensor(sdss.noise.curves["family"].to_numpy() < 0)
    good = (observation.ivar > 0) & off_line
    values = ((observation.flux - observation.truth) * observation.ivar.sqrt())[good]
    expected = np.sqrt(np.mean(scatter[off_line.numpy()] ** 2))
    # The errors of the sky continuum come on top.
    assert expected < values.std().item() < 1.07 * expected


def test_noise_grows_with_flux_as_photons_do(sdss, source):
    variance = []
    for level in (0, 50, 100):
        observation = sdss.observe(*_arguments(source, level))
        variance.append((observation.flux - observation.truth)[:, 2000:2600].double().var())
    first, second = variance[1] - variance[0], variance[2] - variance[0]
    assert (second / first).item() == pytest.approx(2, rel=0.05)


def test_neighbouring_pixels_are_correlated_as_stated(sdss, source):
    residual = (
        sdss.observe(*_arguments(source, 1000)).flux - sdss.observe(*_arguments(source, 1000)).truth
    )
    values = residual[:, 2250:2450].double()
    measured = (values[:, 1:] * values[:, :-1]).mean() / (values**2).mean()
    stated = sdss.noise.curves["lag_1"][2250:2450].mean()
    assert stated > 0.1
    assert measured.item() == pytest.approx(stated, abs=0.015)


@pytest.mark.parametrize(("factor", "shared"), [(1, True), (0, False)])
def test_sky_line_residuals_are_common_to_a_family(sdss, source, tmp_path, factor, shared):
    """Far-apart pixels of one family share an error, which the noise table can switch off."""

    families = tuple(
        dataclasses.replace(member, scale=factor * member.scale, width=factor * member.width)
        for member in sdss.noise.families
    )
    noise = dataclasses.replace(sdss.noise, families=families, sky_errors=(0.0,))
    write_noise(tmp_path / "noise.parquet", noise, "varied")
    instrument = dataclasses.replace(sdss, noise_table=tmp_path / "noise.parquet")

    observation = instrument.observe(*_arguments(source, 0, count=512))
    residual = (observation.flux - observation.truth).double()
    number = [member.name for member in families].index("OH 8800")
    curves = sdss.noise.curves
    line = torch.as_tensor((curves["line"] * (curves["family"] == number)).to_numpy(float))
    one, other = _halves(line)
    correlation = torch.corrcoef(torch.stack([residual @ one, residual @ other]))[0, 1]
    assert (correlation > 0.15) == shared


def _halves(weights):
    pixels = torch.nonzero(weights).flatten()
    middle = pixels[len(pixels) // 2]
    index = torch.arange(len(weights))
    return weights * (index < middle - 10), weights * (index > middle + 10)


def test_truth_is_the_view_times_a_smooth_error(sdss, source):
    flux, z = flat(source, 10)
    truth = sdss.observe(flux, source, z, seeded()).truth
    error = torch.log(truth / sdss.view(flux, source, z)).double().numpy()
    x = np.linspace(-1, 1, sdss.grid.size)
    coefficients = np.polynomial.legendre.legfit(x, error.T, len(sdss.calibration) - 1)
    np.testing.assert_allclose(np.polynomial.legendre.legval(x, coefficients), error, atol=1e-5)
    np.testing.assert_allclose(coefficients.std(1), sdss.calibration, rtol=0.2)


def test_without_calibration_error_truth_is_the_view(sdss, source):
    perfect = dataclasses.replace(sdss, calibration=(0.0,))
    flux, z = flat(source, 10, 2)
    torch.testing.assert_close(
        perfect.observe(flux, source, z, seeded()).truth, perfect.view(flux, source, z)
    )


def test_missing_pixels_have_no_weight(sdss):
    short = sdss.grid.restframe(0.1)
    flux, z = torch.full((COUNT, short.size), 10.0), torch.full((COUNT,), 0.3)
    observation = sdss.observe(flux, short, z, seeded())
    # The redshifted source begins in the middle of the observed range.
    begin = short.edges[0] * 1.3
    missing = torch.as_tensor(sdss.grid.edges[:-1] < begin)
    assert 0 < missing.sum() < sdss.grid.size
    assert not observation.ivar[:, missing].any()
    assert not observation.flux[:, missing].any()
    assert (observation.ivar[:, ~missing] > 0).float().mean() > 0.95


def test_the_ends_differ_and_some_pixels_are_bad(sdss, source):
    ivar = sdss.observe(*_arguments(source, 10)).ivar
    good = (ivar > 0).numpy()
    first = sdss.grid.wavelength[good.argmax(1)]
    assert 10**3.578 < first.min() < first.max() < 10**3.5835
    assert len(np.unique(first)) > 10
    inner = good[:, 100:3800]
    assert 0.0003 < 1 - inner.mean() < 0.01
    assert 0.05 < (~inner).any(1).mean() < 0.6


def test_the_generator_decides_everything(sdss, source):
    one, same = (sdss.observe(*_arguments(source, 10, 8, seed=5)) for _ in range(2))
    other = sdss.observe(*_arguments(source, 10, 8, seed=6))
    for a, b, c in zip(one, same, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_the_view_is_differentiable(sdss):
    source = sdss.grid.restframe(0.1)
    flux = torch.rand(1, source.size, requires_grad=True)
    sdss.view(flux, source, torch.tensor([0.05])).sum().backward()
    inner = flux.grad[0, 500:-500]
    # Every input pixel is one observed pixel wide and is seen once.
    torch.testing.assert_close(inner, torch.ones_like(inner), rtol=1e-2, atol=0)


@pytest.fixture(scope="module", params=GRIDS)
def instrument(request):
    return spectrograph(request.param)


def test_observing_is_viewing_and_exposing(instrument):
    source = source_grid(instrument.grid, 0.2)
    flux, z = torch.rand(4, source.size), torch.tensor([0.0, 0.05, 0.1, 0.2])
    clean, covered = instrument.view(flux, source, z), instrument.covered(source, z)
    assert covered.all()
    observed = instrument.observe(flux, source, z, seeded())
    for one, other in zip(observed, instrument.expose(clean, covered, seeded()), strict=True):
        assert torch.equal(one, other)


def test_components_of_different_redshift_are_added_before_the_noise(instrument):
    """A blend whose terms have grids of their own; missing pixels of either are missing."""

    perfect = dataclasses.replace(instrument, calibration=(0.0,))
    grids = source_grid(instrument.grid, 0.3), source_grid(instrument.grid, 0.0, -0.001)
    redshifts = torch.full((3,), 0.45), torch.zeros(3)
    views, covers = [], []
    for level, (grid, z) in enumerate(zip(grids, redshifts, strict=True), start=1):
        views.append(perfect.view(torch.full((3, grid.size), float(level)), grid, z))
        covers.append(perfect.covered(grid, z))
    covered = covers[0] & covers[1]
    assert covers[1].all()
    assert not covered.all()
    flux, ivar, truth = perfect.expose(sum(views), covered, seeded())
    torch.testing.assert_close(truth[covered], torch.full_like(truth[covered], 3.0))
    assert not ivar[~covered].any()
    assert not flux[~covered].any()


@pytest.mark.parametrize("level", [0, 10])
def test_calibrated_errors_of_all_instruments(instrument, level):
    calibrated = dataclasses.replace(instrument, errors="calibrated")
    clean = torch.full((128, instrument.grid.size), float(level))
    observation = calibrated.expose(clean, torch.full(clean.shape, True), seeded())
    assert chi(observation).std().item() == pytest.approx(1, abs=0.05)
    assert 0.9 < (observation.ivar > 0).float().mean() <= 1


@pytest.mark.parametrize("wavelength", [4000.0, 5000.0, 7000.0, 9000.0])
def test_unresolved_lines_are_as_wide_as_the_table_says(instrument, wavelength):
    grid, source = instrument.grid, source_grid(instrument.grid, 0.0)
    # Neighbouring lines, at all places within a pixel.
    pixels = np.abs(source.wavelength - wavelength).argmin() + np.arange(41)
    flux = torch.nn.functional.one_hot(torch.as_tensor(pixels), source.size).double()
    seen = instrument.view(flux, source, torch.zeros(41, dtype=torch.float64)).numpy()
    index = np.arange(grid.size)
    place = np.interp(source.wavelength[pixels], grid.wavelength, index)
    width = np.sqrt((seen * (index - place[:, None]) ** 2).sum() / seen.sum())
    stated = instrument.lsf[np.abs(grid.wavelength - wavelength).argmin()].item()
    # Places are those of the middle of the source's pixels, whose own width is small.
    assert stated * 0.97 < width < stated * 1.04


def test_resolving_powers_are_those_of_the_instruments():
    """Within the published ranges, or 15% of them where the pipeline's widths are larger."""

    published = {
        # Smee et al. 2013: ends of the blue and the red camera.
        "boss": [(3700, 1560, 1560), (5900, 2270, 2270), (9000, 2650, 2650)],
        # DESI Collaboration 2016 (arXiv:1611.00037): 2000 to 5500 from end to end.
        "desi": [(3600, 2000, 3200), (5500, 2000, 4100), (7400, 3200, 5100), (9800, 4100, 5500)],
    }
    for name, ranges in published.items():
        instrument = spectrograph(name)
        grid = instrument.grid
        fwhm = 2.3548 * instrument.lsf.numpy() * np.diff(grid.edges)
        for wavelength, low, high in ranges:
            pixel = np.abs(grid.wavelength - wavelength).argmin()
            assert 0.84 * low < wavelength / fwhm[pixel] < 1.05 * high


def test_arms_of_desi_are_merged():
    desi = spectrograph("desi")
    covered = torch.full((4, desi.grid.size), True)
    observation = desi.expose(torch.ones(4, desi.grid.size), covered, seeded())
    # No end differs, and the overlaps have data of both arms.
    assert (observation.ivar[:, [0, -1]] > 0).float().mean() > 0.7
    wavelength, sigma = desi.grid.wavelength, desi.noise.curves["sigma"].to_numpy()

    def typical(low, high):
        return np.median(sigma[(wavelength > low) & (wavelength < high)])

    assert typical(5765, 5795) < typical(5735, 5755)
    assert spectrograph("sdss").fibre_diameter == 3
    assert desi.fibre_diameter == 1.5


def test_the_noise_table_is_read_when_needed(tmp_path):
    absent = tmp_path / "absent.parquet"
    instrument = spectrograph("sdss", absent)
    assert instrument.grid.size == 3921
    with pytest.raises(UserError, match=r"absent\.parquet"):
        _ = instrument.noise


@pytest.mark.parametrize("lookup", [spectrograph, observed_grid])
def test_unknown_names_are_refused_with_the_known_ones(lookup):
    with pytest.raises(UserError, match=r"'hubble'.*sdss"):
        lookup("hubble")


def test_unknown_kinds_of_errors_are_refused():
    with pytest.raises(ValueError, match="guessed"):
        spectrograph("sdss", Path("x"), errors="guessed")


def test_the_line_spread_function_on_another_grid_is_as_wide_in_angstrom():
    instrument = spectrograph("desi")
    grid = logarithmic(instrument.grid, 5e-5)
    assert grid.edges[0] >= instrument.grid.edges[0] - 1e-6
    assert grid.edges[-1] <= instrument.grid.edges[-1] + 1e-6
    assert grid.edges[-1] > instrument.grid.edges[-1] * 10**-5e-5
    native = instrument.lsf.numpy() * np.diff(instrument.grid.edges)
    other = instrument.lsf_on(grid).numpy() * np.diff(grid.edges)
    expected = np.interp(grid.wavelength, instrument.grid.wavelength, native)
    np.testing.assert_allclose(other, expected, rtol=1e-5)
    assert instrument.lsf_on(instrument.grid) is instrument.lsf
