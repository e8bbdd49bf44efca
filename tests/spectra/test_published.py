"""Weights of SPENDER's authors give the same latents and reconstructions here as in their code."""

import importlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.nets.weights import load_weights, save_model
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.interpolation import InterpolationTransform
from uraniborg.spectra.published import (
    load_published,
    published_architecture,
    published_parts,
    published_state,
)

GRID = WavelengthGrid("log10", 3.6, 2e-3, 160)
# The same arithmetic in another order; the requirement is 1e-4.
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture
def reference(root):
    """What spender 0.3 makes of three spectra: tests/spectra/spender_reference.md."""

    tensors = load_file(root / "tests/spectra/spender_reference.safetensors")
    names = ("flux", "z", "latent", "restframe", "observed", "covered")
    values = {name: tensors.pop(name) for name in names}
    return tensors, values


def imported(state, grid=GRID, **kwargs):
    architecture = published_architecture(state, grid)
    parts = published_parts(architecture, grid)
    load_published(state, parts, **kwargs)
    return SpectrumAutoencoder(*parts, amplitude=architecture["amplitude"]).eval(), architecture


def check(model, values):
    with torch.inference_mode():
        made = model(*_batch(values))
    torch.testing.assert_close(made.latent, values["latent"], **CLOSE)
    torch.testing.assert_close(made.restframe, values["restframe"], **CLOSE)
    torch.testing.assert_close(made.observed, values["observed"], **CLOSE)
    torch.testing.assert_close(model.transform.covered(values["z"]), values["covered"].bool())


def test_the_stored_reference_is_reproduced(reference):
    state, values = reference
    model, architecture = imported(state)
    check(model, values)
    assert model.latent_size == architecture["latent_size"] == 3
    # The reference has what could go wrong: an LSF, and pixels out of range.
    assert architecture["published"]["lsf_size"] == 5
    assert 0 < values["covered"].sum() < values["covered"].numel()


def test_a_saved_model_is_the_imported_one(reference, tmp_path):
    state, values = reference
    model, architecture = imported(state)
    save_model(tmp_path / "w.safetensors", tmp_path / "c.json", model, {})
    again = SpectrumAutoencoder(*published_parts(architecture, GRID), architecture["amplitude"])
    load_weights(tmp_path / "w.safetensors", again)
    check(again.eval(), values)


@pytest.mark.parametrize("layout", ["state", "model", "list", "halves", "legacy"])
def test_every_layout_of_files_is_read(reference, tmp_path, layout):
    state, values = reference
    path = tmp_path / "model.pt"
    if layout == "halves":
        for half in ("encoder", "decoder"):
            part = {k.removeprefix(f"{half}."): v for k, v in state.items() if k.startswith(half)}
            torch.save(part, tmp_path / half)
        read = published_state(encoder=tmp_path / "encoder", decoder=tmp_path / "decoder")
    else:
        if layout == "legacy":
            # The redshift was the encoder's last input, and perceptrons were nested.
            state = {k.replace(".mlp.", ".mlp.mlp."): v for k, v in state.items()}
            first = "encoder.mlp.mlp.0.weight"
            state[first] = torch.cat([state[first], torch.ones(len(state[first]), 1)], dim=1)
        contents = {
            "state": state,
            "legacy": state,
            "model": {"model": state, "losses": torch.zeros(2)},
            "list": {"model": [state, {}]},
        }
        torch.save(contents[layout], path)
        read = published_state(path)
    check(imported(read)[0], values)


def test_leaky_rectifiers_are_recognised(reference):
    state = {k: v for k, v in reference[0].items() if not k.endswith((".beta", ".gamma"))}
    model, architecture = imported(state)
    assert architecture["published"]["activation"] == "leaky_relu"
    latent = reference[1]["latent"]
    x = latent
    for layer in (0, 3, 6, 9):
        x = x @ state[f"decoder.mlp.{layer}.weight"].T + state[f"decoder.mlp.{layer}.bias"]
        x = torch.where(x > 0, x, 0.01 * x)
    torch.testing.assert_close(model.decode(latent), x, **CLOSE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoder.conv2.0.bias"), "lacks encoder.conv2.0.bias"),
        (lambda s: s.pop("decoder.mlp.4.gamma"), "lacks decoder.mlp.4.gamma"),
        (lambda s: s.update({"decoder.norm.weight": torch.ones(2)}), "decoder.norm.weight"),
        (lambda s: s.update({"decoder.mlp.3.bias": torch.ones(2)}), "decoder.mlp.3.bias has shape"),
        (lambda s: s.update({"decoder.mlp.0.weight": torch.ones(8, 2)}), "3 latents"),
        (lambda s: s.update({"encoder.instrument.wave_obs": torch.ones(5)}), "5 observed pixels"),
        (
            lambda s: s.update(
                {"encoder.instrument.wave_obs": torch.from_numpy(GRID.wavelength) + 9}
            ),
            "differ from the instrument's",
        ),
        (lambda s: s.pop("decoder.wave_rest"), "import: restframe"),
    ],
)
def test_what_does_not_fit_is_named(reference, change, message):
    state = dict(reference[0])
    change(state)
    with pytest.raises(UserError, match=message):
        imported(state)


def test_a_restframe_grid_that_is_missing_can_be_given(reference):
    state, values = reference
    rest = state.pop("decoder.wave_rest")
    model, _ = imported(state, restframe=(rest[0].item(), rest[-1].item()))
    check(model, values)


def test_files_that_are_no_tensors_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(UserError, match="no such file"):
        published_state(path)
    torch.save({"model": torch.nn.Linear(2, 2)}, path)
    with pytest.raises(UserError, match="holds more than tensors"):
        published_state(path)
    torch.save({"model": {"a": 1.0}}, path)
    with pytest.raises(UserError, match="no state dict"):
        published_state(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="no file of torch"):
        published_state(path)
    with pytest.raises(UserError, match="encoder"):
        published_state(encoder=path)


def test_wavelengths_keep_their_precision(reference):
    state, values = reference
    key = "encoder.instrument.wave_obs"
    state[key] = torch.from_numpy(GRID.wavelength)
    model, architecture = imported(state)
    assert architecture["published"]["observed_dtype"] == "float64"
    assert torch.equal(model.transform.observed_wavelength, state[key])
    again = SpectrumAutoencoder(*published_parts(architecture, GRID), architecture["amplitude"])
    again.load_state_dict(model.state_dict())
    assert again.transform.observed_wavelength.dtype == torch.float64
    check(again.eval(), values | {"observed": model(*_batch(values)).observed.detach()})


def _batch(values):
    return values["flux"], torch.ones_like(values["flux"]), values["z"]


def test_interpolation_is_linear_and_zero_out_of_range():
    rest = torch.tensor([2000.0, 2100.0, 2150.0, 2400.0])
    transform = InterpolationTransform(torch.linspace(1900, 3000, 23), rest)
    z = torch.tensor([0.0, 0.2], dtype=torch.float64)
    observed = transform((3 * rest - 1).expand(2, -1), z)
    wavelength = torch.linspace(1900, 3000, 23).double() / (1 + z[:, None])
    inside = (wavelength > 2000) & (wavelength < 2400)
    expected = torch.where(inside, 3 * wavelength - 1, 0).float()
    torch.testing.assert_close(observed, expected, rtol=1e-5, atol=0)
    assert (transform.restframe.size, transform.observed.size) == (4, 23)
    np.testing.assert_allclose([transform.z_min, transform.z_max], [0.25, -0.05], atol=1e-6)


@pytest.mark.parametrize(
    ("instrument", "activation"),
    [("sdss", "gated"), ("sdss", "leaky_relu"), ("desi", "leaky_relu")],
)
def test_the_authors_own_code_agrees(instrument, activation, tmp_path):
    spender = pytest.importorskip("spender", reason="the package spender 0.3 is not installed")
    theirs = getattr(importlib.import_module(f"spender.data.{instrument}"), instrument.upper())
    torch.manual_seed(3)
    kernel = torch.tensor([0.05, 0.2, 0.8, 0.3, 0.1]) if activation == "gated" else None
    lsf = None if kernel is None else spender.LSF(kernel)
    act = None if activation == "gated" else [torch.nn.LeakyReLU()] * 4
    restframe = torch.linspace(2000, 9824.5, 7000)
    peer = spender.SpectrumAutoencoder(theirs(lsf=lsf), restframe, n_latent=6, act=act)
    wavelength = peer.wave_obs.float()
    slope, line = torch.rand(4, 1), torch.rand(4, 1)
    flux = 1 + slope * (wavelength / 5500 - 1) + line * torch.exp(-((wavelength - 6700) ** 2) / 50)
    flux = flux + 0.05 * torch.randn(flux.shape)
    z = torch.linspace(0.001, 0.55, 4)
    optimizer = torch.optim.Adam(peer.parameters(), 1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        peer.loss(flux, torch.full_like(flux, 400), z=z).backward()
        optimizer.step()
    peer.eval()
    torch.save({"model": [peer.state_dict()], "losses": torch.zeros(2)}, tmp_path / "model.pt")
    state = published_state(tmp_path / "model.pt")
    with torch.no_grad():
        latent, restframe, observed, valid = peer._forward(flux, z=z)
    values = {"flux": flux, "z": z, "latent": latent, "restframe": restframe}
    values |= {"observed": observed, "covered": valid}
    check(imported(state, observed_grid(instrument))[0], values)
