"""Displacement with redshift, on encoders of which it is known."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.displacement import (
    Displacements,
    displacements,
    estimated_redshift_displacements,
    moved,
    tenth_neighbour,
    wrong_redshift_displacements,
)
from uraniborg.spectra.outliers.estimated_redshift import EstimatedRedshiftEncoder
from uraniborg.spectra.outliers.invariance_check import (
    TABLE_COLUMNS,
    HeldOut,
    InvarianceSettings,
    check_invariance,
    latent_positions,
    redshift_probes,
    untrained,
)
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter, write_table

GRID = WavelengthGrid("log10", 3.6, 4e-4, 700)
Z_MAX = 0.3
REDSHIFTS = np.linspace(0, Z_MAX, 5)


def architecture(encoder):
    return {
        "encoder": encoder, "weighted": True, "decoder": "low_rank", "latent_size": 3, "rank": 3,
        "z_min": -0.01, "z_max": Z_MAX, "amplitude": "best_fit",
    }  # fmt: skip


def build(encoder):
    """A continuum and two groups of emission lines; latents are their coefficients."""

    torch.manual_seed(1)
    transform = SpectrumAutoencoder.build(architecture("restframe"), GRID).transform
    wavelength = torch.from_numpy(transform.restframe.wavelength).float()
    groups = ((3728, 4862, 6564), (4960, 5008))
    lines = [
        sum(torch.exp(-0.5 * ((wavelength / line - 1) / 1e-3) ** 2) for line in group)
        for group in groups
    ]
    spectra = torch.stack([wavelength / 5000 - 1, *lines])
    basis = Basis(torch.ones(len(wavelength)), spectra, torch.tensor([0.25, 1.0, 1.0]))
    return SpectrumAutoencoder.build(architecture(encoder), GRID, basis).eval()


@pytest.fixture(scope="module")
def model():
    return build("restframe")


@pytest.fixture(scope="module")
def batch(model):
    """Galaxies of this model with noise, a gap, and redshifts that fall on pixels."""

    generator = torch.Generator().manual_seed(3)
    number = 60
    shift = torch.randint(30, 200, (number,), generator=generator)
    z = 10 ** (shift * GRID.step) - 1
    latent = torch.rand(number, 3, generator=generator) * torch.tensor([0.4, 2.0, 2.0])
    with torch.inference_mode():
        flux = model.transform(model.encoder.mean + latent @ model.encoder.basis, z)
    flux = flux + 0.02 * torch.randn(flux.shape, generator=generator)
    ivar = torch.full_like(flux, 2500.0)
    ivar[:, 300:310] = 0
    return Batch(flux * (ivar > 0), ivar, z)


def restframe_pixels(flux, ivar, z):
    """The flux at three rest wavelengths that no move takes out of the range."""

    rest = torch.tensor([3.70, 3.71, 3.72])
    position = (rest + torch.log10(1 + z)[:, None] - GRID.start) / GRID.step
    return flux.gather(1, position.round().long())


def redshift_itself(flux, ivar, z):
    return z[:, None]


def constant(flux, ivar, z):
    return torch.ones(len(z), 2)


def test_exact_invariance_is_zero(batch):
    found = displacements(restframe_pixels, batch, GRID.step, REDSHIFTS)
    assert found.distance.shape == (len(REDSHIFTS), len(batch.z))
    assert found.distance.max() == 0
    assert (found.tenth > 0).all()
    assert found.number() == {"value": 0.0, "uncertainty": 0.0, "n": len(batch.z)}


def test_known_displacement(batch):
    found = displacements(redshift_itself, batch, GRID.step, REDSHIFTS)
    z = batch.z.double().numpy()
    difference = np.abs(z[:, None] - z)
    tenth = np.sort(difference, axis=1)[:, 10]
    np.testing.assert_allclose(found.tenth, tenth, atol=1e-6)
    # Moves are by whole pixels.
    pixel = np.log(10) * GRID.step * (1 + Z_MAX)
    np.testing.assert_allclose(found.distance, np.abs(REDSHIFTS[:, None] - z), atol=pixel)
    assert found.value == pytest.approx(np.median(found.distance) / np.median(tenth), rel=1e-6)
    table = found.table()
    expected = np.median(found.distance, axis=1) / np.median(tenth)
    np.testing.assert_allclose(table["median"], expected, rtol=1e-6)
    assert (table["low"] <= table["median"]).all()
    assert (table["median"] <= table["high"]).all()
    assert found.number()["uncertainty"] > 0


def test_neighbours_of_few_objects():
    assert tenth_neighbour(torch.arange(3.0)[:, None]).tolist() == [2, 1, 2]


def test_collapsed_latents_are_not_invariant(batch):
    found = displacements(constant, batch, GRID.step, REDSHIFTS)
    assert found.number()["value"] == np.inf


@given(st.permutations(range(12)))
def test_order_of_objects_does_not_matter(order):
    generator = torch.Generator().manual_seed(0)
    flux = torch.rand(12, GRID.size, generator=generator)
    batch = Batch(flux, torch.ones_like(flux), torch.linspace(0.05, 0.25, 12))
    other = Batch(*(column[list(order)] for column in batch))

    def encode(flux, ivar, z):
        return torch.stack([flux.mean(dim=1), ivar.mean(dim=1)], dim=1)

    one, two = (displacements(encode, each, GRID.step, REDSHIFTS) for each in (batch, other))
    np.testing.assert_allclose(one.distance[:, list(order)], two.distance, atol=1e-6)
    assert one.value == pytest.approx(two.value, rel=1e-4)


def test_pixels_are_lost_and_not_invented(batch):
    there = moved(batch, GRID.step, Z_MAX)
    assert there.z.numpy() == pytest.approx(Z_MAX, abs=2e-3)
    assert ((there.ivar > 0).sum(dim=1) < (batch.ivar > 0).sum(dim=1)).all()
    assert torch.isfinite(there.flux).all()
    assert (there.flux[there.ivar == 0] == 0).all()
    again = moved(batch, GRID.step, Z_MAX)
    assert all(torch.equal(*pair) for pair in zip(there, again, strict=True))


def test_noise_of_the_detector_stays_where_it_is(batch):
    """An encoder that looks at nothing but the noise is fooled by data that are moved."""

    pattern = batch.ivar * (1 + torch.arange(GRID.size) / GRID.size)
    batch = batch._replace(ivar=pattern * (1 + batch.z[:, None]))

    def sky(flux, ivar, z):
        return ivar[:, [350, 400, 450]]

    anew = displacements(sky, batch, GRID.step, REDSHIFTS, noiseless=batch.flux)
    assert displacements(sky, batch, GRID.step, REDSHIFTS).value > anew.value
    # What is lost at the largest redshift is beyond the first of these pixels at most.
    assert np.isfinite(anew.distance).all()
    assert anew.value == 0


def test_noiseless_spectra_move_as_data_do(batch):
    """With a flat noise level it does not matter whether it moves along."""

    flat = batch._replace(ivar=torch.ones_like(batch.ivar))
    found = [
        displacements(restframe_pixels, flat, GRID.step, REDSHIFTS, noiseless=noiseless)
        for noiseless in (None, flat.flux)
    ]
    np.testing.assert_array_equal(found[0].distance, found[1].distance)


@pytest.mark.parametrize("encoder", ["restframe", "flux"])
def test_lost_pixels_are_not_nan(batch, encoder):
    found = displacements(build(encoder).encode, batch, GRID.step, REDSHIFTS)
    assert np.isfinite(found.distance).all()


def test_an_encoder_that_knows_redshifts_moves_little(model, batch):
    found = displacements(model.encode, batch, GRID.step, REDSHIFTS)
    control = displacements(model.encode, batch, GRID.step, REDSHIFTS, shuffle=1)
    assert found.value < 0.2
    assert control.value > 10 * found.value


def test_an_untrained_network_moves_far(batch):
    fresh = untrained(build("flux"), seed=1)
    assert displacements(fresh.encode, batch, GRID.step, REDSHIFTS).value > 1


def test_untrained_weights_are_new_and_reproducible(model):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, two, three = (untrained(model, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    weights = [each.encoder.network.linear.weight for each in (one, two, three, model)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])


def test_fewer_objects_are_spread_evenly(batch):
    found = displacements(redshift_itself, batch, GRID.step, [0.0], objects=3)
    np.testing.assert_allclose(found.distance[0], batch.z[[0, 29, 59]].numpy(), atol=2e-3)
    assert len(found.tenth) == len(batch.z)


def test_wrong_redshifts_move_latents_more_and_more(model, batch):
    found = wrong_redshift_displacements(model, batch, [1e-5, 1e-3, 1e-2])
    assert found.distance.shape == (3, 2, len(batch.z))
    medians = found.table()["median"].to_numpy()
    assert medians[0] < 0.2 * medians[1]
    assert medians[2] > 1
    limit = found.reach()
    assert 1e-5 < limit["value"] < 1e-2
    assert limit["n"] == len(batch.z)


def test_wrong_redshifts_out_of_range_are_left_out(model, batch):
    found = wrong_redshift_displacements(model, batch, [0.1])
    wrong = batch.z + 0.1 * torch.tensor([[-1], [1]]) * (1 + batch.z)
    inside = (wrong >= model.transform.z_min) & (wrong <= model.transform.z_max)
    np.testing.assert_array_equal(np.isfinite(found.distance[0]), inside.numpy())
    assert found.table()["n"].item() == inside.any(dim=0).sum()


def test_where_a_limit_is_reached():
    distance = np.array([0.1, 1.0, 10.0])[:, None] * np.ones(20)
    found = Displacements(np.array([1e-3, 1e-2, 1e-1]), distance, np.ones(30))
    assert found.reach(np.sqrt(10))["value"] == pytest.approx(10**-1.5)
    assert np.isnan(found.reach(100)["value"])
    assert np.isnan(found.reach(0.01)["value"])


def test_estimated_redshifts_bring_latents_home(model, batch):
    found, errors = estimated_redshift_displacements(model, batch, GRID.step, [0.1, 0.25], 20)
    assert errors.shape == found.distance.shape == (2, 20)
    assert np.median(np.abs(errors)) < 1e-4
    assert found.value < 0.3
    encoder = EstimatedRedshiftEncoder(model)
    given = encoder(batch.flux, batch.ivar, torch.zeros(len(batch.z)))
    latent, z = encoder.with_redshift(batch.flux, batch.ivar)
    assert torch.equal(given, latent)
    assert torch.equal(model.encode(batch.flux, batch.ivar, z), latent)
    assert encoder.latent_size == 3


def test_estimated_redshifts_of_noise_are_wrong(model, batch):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(batch.flux.shape, generator=generator) * 0.02
    _, errors = estimated_redshift_displacements(
        model, batch._replace(flux=noise), GRID.step, [0.1], 20
    )
    assert (np.abs(errors) > 0.01).mean() > 0.5


def test_estimates_need_a_basis():
    with pytest.raises(UserError, match="restframe"):
        EstimatedRedshiftEncoder(build("flux"))


def test_probes_find_what_is_there():
    random = np.random.default_rng(0)
    z = random.uniform(0, 0.5, 600)
    noise = random.normal(size=(600, 3))
    folded = np.column_stack([np.abs(z - 0.25), noise[:, 0]])
    mixed = np.column_stack([noise[:, 0], noise[:, 0] + 1e-2 * z])
    nothing, hidden, linear = (
        redshift_probes(each, z).set_index("regression")["r2"] for each in (noise, mixed, folded)
    )
    assert nothing.max() < 0.02
    # A direction counts however little latents differ along it.
    assert hidden["linear"] > 0.99
    assert linear["linear"] < 0.05
    curve = np.column_stack([np.cos(8 * z), np.sin(8 * z)])
    found = redshift_probes(curve, z).set_index("regression")
    assert found.loc["neighbours", "r2"] > 0.99
    assert (found["error"] < 0.05).all()


def test_probes_of_collapsed_latents():
    z = np.linspace(0, 0.5, 100)
    latent = np.column_stack([np.sin(40 * z), np.ones(100)])
    assert np.isfinite(redshift_probes(latent, z)["r2"]).all()


def test_positions_of_objects_and_tracks(batch):
    names = [f"g{i}" for i in range(len(batch.z))]
    samples = {"observed": batch, "moved": moved(batch, GRID.step, 0.2)}
    found = latent_positions(restframe_pixels, samples, names, GRID.step, [4, 7], REDSHIFTS)
    assert found["sample"].value_counts().to_dict() == {"observed": 60, "moved": 60, "track": 10}
    axes = ["axis_0", "axis_1"]
    home = found[found["sample"] == "observed"].set_index("object_id")
    there = found[found["sample"] == "moved"].set_index("object_id")
    np.testing.assert_allclose(home[axes], there[axes], atol=1e-5)
    covariance = np.cov(home[axes].T)
    assert abs(covariance[0, 1]) < 1e-4 * covariance[0, 0]
    assert covariance[0, 0] > covariance[1, 1]
    track = found[(found["sample"] == "track") & (found["object_id"] == "g7")]
    np.testing.assert_allclose(track[axes], np.tile(home.loc["g7", axes], (5, 1)).astype(float),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(track["z"], REDSHIFTS, atol=2e-3)


@pytest.fixture(scope="module")
def checked(model, batch):
    models = {"flux_fidelity": build("flux"), "flux": untrained(build("flux"), 3), "default": model}
    settings = InvarianceSettings(
        "flux_fidelity", "flux", redshifts=4, objects=30, wrong_objects=10, estimated_objects=8,
        estimated_redshifts=2, tracks=2,
    )  # fmt: skip
    names = np.array([f"g{i}" for i in range(len(batch.z))], dtype=object)
    held_out = HeldOut(batch, names, batch.flux)
    return models, settings, held_out, check_invariance(models, held_out, settings)


def test_whole_check_writes_declared_tables(checked, tmp_path):
    models, _, _, found = checked
    for name, columns in TABLE_COLUMNS.items():
        write_table(tmp_path / f"{name}.parquet", getattr(found, name), columns)
    assert set(found.wrong_redshifts["variant"]) == {"default"}
    cases = set(zip(found.displacements["variant"], found.displacements["case"], strict=True))
    assert cases == {
        *((name, case) for name in models for case in ("trained", "reobserved")),
        ("default", "estimated"),
        ("flux", "untrained"),
        ("flux", "shuffled"),
    }
    assert set(found.positions["variant"]) == {"flux_fidelity", "flux"}
    tracks = found.positions[found.positions["sample"] == "track"]
    assert tracks.groupby("variant")["object_id"].nunique().tolist() == [2, 2]


def test_whole_check_gives_numbers(checked):
    models, _, _, found = checked
    numbers = json.loads(json.dumps(found.numbers, allow_nan=False))
    for name in models:
        assert numbers[f"redshift_displacement_{name}"]["n"] == 30
        assert numbers[f"reobserved_displacement_{name}"]["n"] == 30
        assert numbers[f"redshift_r2_{name}"]["n"] == 60
    ratio = [
        numbers[f"redshift_displacement_{name}"]["value"] for name in ("flux_fidelity", "flux")
    ]
    assert numbers["redshift_displacement_gain"]["value"] == pytest.approx(ratio[0] / ratio[1])
    assert numbers["estimated_redshift_failures_default"]["n"] == 8
    # An encoder that knows z keeps its place, untrained ones do not.
    assert numbers["redshift_displacement_default"]["value"] < 0.2
    assert numbers["redshift_displacement_untrained_control"]["value"] > 1
    assert numbers["redshift_displacement_shuffled_control"]["value"] > 1


def test_whole_check_is_deterministic(checked):
    models, settings, held_out, found = checked
    torch.manual_seed(99)
    again = check_invariance(models, held_out, settings)
    assert again.numbers == found.numbers
    assert all(again[i].equals(found[i]) for i in range(4))


def test_variants_have_to_exist_and_to_agree(checked):
    models, settings, held_out, _ = checked
    with pytest.raises(UserError, match="flux_fidelity"):
        check_invariance({"flux": models["flux"]}, held_out, settings)
    other = SpectrumAutoencoder.build(architecture("flux") | {"z_max": 0.2}, GRID).eval()
    with pytest.raises(UserError, match="z_max"):
        check_invariance({**models, "other": other}, held_out, settings)


def test_contaminants_are_not_held_out(batch, tmp_path):
    number = len(batch.z)
    scalars = {column.name: np.zeros(number) for column in SPECTRUM_COLUMNS}
    scalars |= {name: [""] * number for name in ("spectype", "subclass")}
    scalars |= {"object_id": [f"g{i}" for i in range(number)], "z": batch.z.double().numpy()}
    scalars |= {"norm": np.full(number, 2.0), "zwarning": np.zeros(number, int)}
    with SpectraWriter(tmp_path / "spectra.arrow", GRID) as writer:
        writer.write(scalars, flux=2 * batch.flux.numpy(), ivar=batch.ivar.numpy() / 4)
    kinds = np.where(np.arange(number) % 3 == 0, "spike", "none")
    columns = (Column("anomaly", pa.string(), "", "Kind"),)
    with SpectraWriter(tmp_path / "truth.arrow", GRID, columns, vectors=("flux",)) as writer:
        writer.write({"anomaly": kinds}, flux=2 * batch.flux.numpy() + 2)
    spectra, truth = Spectra(tmp_path / "spectra.arrow"), Spectra(tmp_path / "truth.arrow")
    found = HeldOut.of(spectra, np.arange(3, number), 4, truth)
    assert list(found.object_ids) == ["g4", "g5", "g7", "g8"]
    torch.testing.assert_close(found.batch.flux, batch.flux[[4, 5, 7, 8]])
    torch.testing.assert_close(found.noiseless, found.batch.flux + 1)
    real = HeldOut.of(spectra, np.arange(3, number), 4, None)
    assert list(real.object_ids) == ["g3", "g4", "g5", "g6"]
    assert real.noiseless is None
