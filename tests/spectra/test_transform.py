import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.nets.weights import load_weights, save_model
from uraniborg.spectra.transform import RedshiftTransform

GRID = WavelengthGrid("log10", 3.578, 1e-4, 3921)
TRANSFORM = RedshiftTransform(GRID, z_max=0.5)
# Widths that rise from one and a half to two and a half pixels.
WIDTHS = torch.linspace(1.0, 1.8, GRID.size)
KINDS = {
    "plain": TRANSFORM,
    "fine": RedshiftTransform(GRID, z_max=0.5, oversampling=2),
    "finer": RedshiftTransform(GRID, z_max=0.5, oversampling=3),
    "gaussian": RedshiftTransform(GRID, z_max=0.5, lsf=1.2),
    "fine_gaussian": RedshiftTransform(GRID, z_max=0.5, oversampling=2, lsf=1.2),
    "instrument": RedshiftTransform(GRID, z_max=0.5, oversampling=2, lsf=WIDTHS),
    "learned": RedshiftTransform(GRID, z_max=0.5, oversampling=2, lsf="learned"),
}
redshifts = st.floats(-0.0099, 0.5)
kinds = st.sampled_from(sorted(KINDS))


def shift(z):
    return torch.tensor([z], dtype=torch.float64)


def line(transform, center, sigma):
    """A Gaussian line of a width in observed pixels on a continuum of zero, pixel by pixel."""
    grid = transform.restframe
    edges = torch.as_tensor(np.log10(grid.edges / center) / GRID.step / sigma)
    return torch.special.ndtr(edges).diff().float()[None] * transform.oversampling


def moments(spectrum):
    position = np.arange(len(spectrum))
    total = spectrum.sum()
    mean = (position * spectrum).sum() / total
    return total, mean, np.sqrt(((position - mean) ** 2 * spectrum).sum() / total)


@given(redshifts, kinds)
def test_line_lands_at_redshifted_wavelength(z, kind):
    transform = KINDS[kind]
    observed = transform(line(transform, 6000 / (1 + z), 3), shift(z))[0].detach().numpy()
    centroid = (GRID.wavelength * observed).sum() / observed.sum()
    assert centroid == pytest.approx(6000, abs=0.02)


@given(redshifts, kinds, st.floats(4500, 8500))
def test_flux_of_a_line_is_conserved(z, kind, center):
    transform = KINDS[kind]
    observed = transform(line(transform, center / (1 + z), 1.2), shift(z))[0].detach().numpy()
    assert observed.sum() == pytest.approx(1, rel=3e-3)


@given(redshifts, kinds)
def test_constant_stays_constant(z, kind):
    restframe = torch.ones(1, KINDS[kind].restframe.size)
    torch.testing.assert_close(KINDS[kind](restframe, shift(z)), torch.ones(1, GRID.size))


@given(redshifts, st.sampled_from(["plain", "fine", "finer"]))
def test_means_over_pixels_are_kept_to_a_part_in_ten_thousand(z, kind):
    def means(edges):
        return 1 + 0.5 * 15 * (np.cos(edges[:-1] / 15) - np.cos(edges[1:] / 15)) / np.diff(edges)

    transform = KINDS[kind]
    restframe = torch.from_numpy(means(transform.restframe.edges)).float()[None]
    observed = transform(restframe, shift(z))[0]
    np.testing.assert_allclose(observed, means(GRID.edges / (1 + z)), atol=1e-4)


@given(redshifts, kinds)
def test_adjoint_is_the_transpose(z, kind):
    transform = KINDS[kind]
    generator = torch.Generator().manual_seed(0)
    restframe = torch.randn(1, transform.restframe.size, generator=generator)
    observed = torch.randn(1, GRID.size, generator=generator)
    with torch.no_grad():
        forward = (transform(restframe, shift(z)).double() * observed).sum()
        backward = (restframe.double() * transform.adjoint(observed, shift(z))).sum()
    assert forward == pytest.approx(backward.item(), abs=2e-3)


@given(redshifts, kinds)
def test_gradient_is_the_adjoint(z, kind):
    transform = KINDS[kind]
    observed = torch.randn(1, GRID.size, generator=torch.Generator().manual_seed(0))
    restframe = torch.zeros(1, transform.restframe.size, requires_grad=True)
    (transform(restframe, shift(z)) * observed).sum().backward()
    torch.testing.assert_close(restframe.grad, transform.adjoint(observed, shift(z)).detach())


@settings(max_examples=20)
@given(redshifts, st.sampled_from([1, 2, 3]), st.floats(0.8, 2.0), st.floats(4500, 8500))
def test_line_spread_function_broadens_to_its_width(z, oversampling, sigma, center):
    transform = RedshiftTransform(GRID, z_max=0.5, oversampling=oversampling, lsf=sigma)
    observed = transform(line(transform, center / (1 + z), 1.5), shift(z))[0].numpy()
    # Widths add in quadrature; the mean over a pixel is part of the width of the instrument.
    total, _, width = moments(observed)
    assert total == pytest.approx(1, rel=1e-4)
    assert width == pytest.approx(np.hypot(1.5, sigma), rel=0.01)


def test_width_per_pixel_is_that_of_the_observed_pixel():
    transform = KINDS["instrument"]
    for z, pixel in ((0.0, 3000), (0.3, 3000), (0.3, 300)):
        center = GRID.wavelength[pixel] / (1 + z)
        observed = transform(line(transform, center, 0.8), shift(z))[0].numpy()
        assert moments(observed)[2] == pytest.approx(np.hypot(0.8, WIDTHS[pixel].item()), rel=0.01)


def test_instrument_is_the_one_of_the_simulation():
    sdss = spectrograph("sdss")
    transform = RedshiftTransform(sdss.grid, z_max=0.5, oversampling=2, lsf=sdss.lsf)
    z = torch.tensor([0.0, 0.1234, 0.2], dtype=torch.float64)
    lines = sum(line(transform, center, 1.0) for center in np.arange(3700, 6300, 41.7))
    restframe = 1 + lines.expand(3, -1)
    expected = sdss.view(restframe, transform.restframe, z)
    # The simulation takes fine pixels for constant, which broadens lines a little.
    inner = slice(10, -10)
    torch.testing.assert_close(
        transform(restframe, z)[:, inner], expected[:, inner], atol=0.01, rtol=0
    )


def test_a_model_loads_its_line_spread_function_without_the_instrument():
    architecture = {"z_min": -0.01, "z_max": 0.5, "oversampling": 2, "lsf": "instrument"}
    made = RedshiftTransform.of(architecture, GRID, WIDTHS)
    loaded = RedshiftTransform.of(architecture, GRID)
    assert loaded.restframe == made.restframe
    loaded.load_state_dict(made.state_dict())
    spectra = torch.randn(2, made.restframe.size, generator=torch.Generator().manual_seed(0))
    z = torch.tensor([0.1, 0.4])
    torch.testing.assert_close(loaded(spectra, z), made(spectra, z))
    torch.testing.assert_close(copy.deepcopy(loaded)(spectra, z), made(spectra, z))


def test_settings_without_line_spread_function():
    plain = RedshiftTransform.of({"z_min": -0.01, "z_max": 0.5, "lsf": "none"}, GRID)
    assert plain.restframe == TRANSFORM.restframe
    assert plain.state_dict() == {}
    number = RedshiftTransform.of({"z_min": -0.01, "z_max": 0.5, "lsf": 1.5}, GRID)
    _, _, width = moments(number(line(number, 5000, 1.5), torch.zeros(1))[0].numpy())
    assert width == pytest.approx(1.5 * np.sqrt(2), rel=0.01)


def test_gradient_of_the_kernel():
    transform = RedshiftTransform(GRID, z_max=0.5, lsf="learned").double()
    generator = torch.Generator().manual_seed(0)
    restframe = torch.randn(2, transform.restframe.size, generator=generator).double()
    observed = torch.randn(2, GRID.size, generator=generator).double()
    z = torch.tensor([0.1, 0.2])
    for scalar in (
        lambda: (transform(restframe, z) * observed).sum(),
        lambda: (transform.adjoint(observed, z) * restframe).sum(),
    ):
        transform.zero_grad()
        scalar().backward()
        gradient = transform.lsf_logits.grad.clone()
        with torch.no_grad():
            for i in range(5):
                ends = []
                for change in (1e-5, -2e-5):
                    transform.lsf_logits[i] += change
                    ends.append(scalar().item())
                transform.lsf_logits[i] += 1e-5
                assert gradient[i].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-3)


def test_kernel_is_learned():
    torch.manual_seed(0)
    truth = RedshiftTransform(GRID, z_max=0.1, oversampling=2, lsf=0.9)
    learner = RedshiftTransform(GRID, z_max=0.1, oversampling=2, lsf="learned")
    lines = sum(line(truth, center, 0.7) for center in np.linspace(4000, 8000, 40))
    crop = (truth.restframe.size - learner.restframe.size) // 2
    z = torch.linspace(0, 0.09, 8, dtype=torch.float64)
    target = truth(lines.expand(8, -1), z)
    lines = lines[:, crop : crop + learner.restframe.size].expand(8, -1)
    optimizer = torch.optim.LBFGS(learner.parameters(), max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = 1e3 * (learner(lines, z) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    kernel = learner.lsf_logits.detach().softmax(dim=0)
    offsets = torch.arange(-2.0, 3.0)
    assert (kernel @ offsets).item() == pytest.approx(0, abs=1e-3)
    assert (kernel @ offsets**2).item() == pytest.approx(0.9**2 - 1 / 12, rel=0.03)


@given(redshifts, st.sampled_from([1, 2]))
def test_sampling_the_observed_grid_is_the_transform(z, oversampling):
    transform = RedshiftTransform(GRID, z_max=0.5, oversampling=oversampling)
    restframe = 1 + sum(line(transform, c, 2.0) for c in (3800, 5000, 6000.0))
    wavelength = torch.from_numpy(GRID.wavelength[5:-5])
    sampled = transform.sample(restframe, shift(z), wavelength)
    observed = transform(restframe, shift(z))[:, 5:-5]
    torch.testing.assert_close(sampled, observed, atol=3e-3, rtol=0)


def test_sampling_conserves_flux_on_any_wavelengths():
    transform = KINDS["fine"]
    restframe = line(transform, 5000, 1.5).expand(2, -1)
    z = torch.tensor([0.1, 0.3], dtype=torch.float64)
    regular = torch.arange(5000.0, 7000.0, 0.7, dtype=torch.float64)
    irregular = torch.cumsum(torch.linspace(0.5, 3, 1500, dtype=torch.float64), 0) + 4800
    truth = restframe[0].double() @ torch.as_tensor(np.diff(transform.restframe.edges))
    for wavelength in (regular, irregular):
        sampled = transform.sample(restframe, z, wavelength)
        edges = torch.cat([wavelength[:1], wavelength]).diff()
        assert (sampled.double() @ edges).numpy() == pytest.approx(
            (truth * (1 + z)).numpy(), rel=3e-3
        )
    both = torch.stack([regular[:1000], regular[:1000] + 0.3])
    apart = transform.sample(restframe, z, both)
    torch.testing.assert_close(apart[1:], transform.sample(restframe[1:], z[1:], both[1]))


def test_sampling_beyond_the_grid_is_not_a_number():
    wavelength = torch.arange(3000.0, 12000.0, 1.0)
    sampled = TRANSFORM.sample(torch.ones(1, TRANSFORM.restframe.size), shift(0.2), wavelength)
    rest = wavelength / 1.2
    known = (rest > TRANSFORM.restframe.wavelength[3]) & (rest < TRANSFORM.restframe.wavelength[-4])
    torch.testing.assert_close(sampled[0, known], torch.ones(int(known.sum())))
    assert torch.isnan(sampled[0, rest < TRANSFORM.restframe.edges[0]]).all()
    assert torch.isnan(sampled[0, rest > TRANSFORM.restframe.edges[-1]]).all()


@pytest.mark.parametrize("z", [-0.05, 0.51])
@pytest.mark.parametrize("kind", ["plain", "fine", "instrument"])
def test_redshift_outside_the_range_is_an_error(z, kind):
    restframe = torch.ones(1, KINDS[kind].restframe.size)
    with pytest.raises(RuntimeError, match="out of bounds"):
        KINDS[kind](restframe, torch.tensor([z]))


def test_arguments_out_of_range_are_errors():
    with pytest.raises(ValueError, match="oversampling"):
        RedshiftTransform(GRID, z_max=0.5, oversampling=0)
    with pytest.raises(ValueError, match="shape"):
        RedshiftTransform(GRID, z_max=0.5, lsf=torch.ones(5))
    with pytest.raises(ValueError, match="reaches"):
        RedshiftTransform(GRID, z_max=0.5, lsf=torch.full((GRID.size,), 3.0))
    with pytest.raises(ValueError, match="log10"):
        RedshiftTransform(WavelengthGrid("linear", 3600, 0.8, 7781), z_max=0.5)


@pytest.mark.parametrize("lsf", [WIDTHS, "learned"])
def test_a_model_that_holds_a_transform_twice_can_be_saved(lsf, tmp_path):
    transform = RedshiftTransform(GRID, z_max=0.5, lsf=lsf)
    twice = torch.nn.ModuleList([transform, transform])
    save_model(tmp_path / "m.safetensors", tmp_path / "m.json", twice, {})
    other = RedshiftTransform(
        GRID, z_max=0.5, lsf="learned" if isinstance(lsf, str) else WIDTHS + 0.2
    )
    load_weights(tmp_path / "m.safetensors", torch.nn.ModuleList([other, other]))
    spectra = torch.randn(1, transform.restframe.size)
    torch.testing.assert_close(other(spectra, shift(0.1)), transform(spectra, shift(0.1)))
