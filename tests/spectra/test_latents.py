import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.latents import (
    PARAMETERS,
    PROBE_COLUMNS,
    degrees_of_freedom,
    galaxy_parameters,
    linear_probe,
    noiseless_latents,
    participation_ratio,
    probe_numbers,
    probe_table,
    signal_modes,
)

SPREAD, NOISE = np.array([3.0, 1.0, 0.2]), np.array([0.1, 0.1, 0.1])


def sample(n=4000, seed=0):
    random = np.random.default_rng(seed)
    errors = random.normal(size=(n, 3)) * NOISE
    return random.normal(size=(n, 3)) * SPREAD + errors, errors


def test_modes_are_the_variances_in_units_of_the_noise():
    modes = signal_modes(*sample())
    np.testing.assert_allclose(modes.ratio, 1 + (SPREAD / NOISE) ** 2, rtol=0.1)
    # The first direction is the first latent.
    direction = np.abs(modes.directions[:, 0]) * NOISE[0]
    np.testing.assert_allclose(direction, [1, 0, 0], atol=0.05)


@given(st.integers(0, 100))
def test_modes_do_not_depend_on_how_latents_are_mixed(seed):
    latents, errors = sample(500)
    mixing = np.random.default_rng(seed).normal(size=(3, 3)) + 3 * np.eye(3)
    plain, mixed = signal_modes(latents, errors), signal_modes(latents @ mixing, errors @ mixing)
    np.testing.assert_allclose(mixed.ratio, plain.ratio, rtol=1e-4)
    projected = (errors @ mixing) @ mixed.directions
    np.testing.assert_allclose(projected.T @ projected / len(errors), np.eye(3), atol=1e-4)


def test_modes_need_more_galaxies_than_latents():
    with pytest.raises(ValueError, match="more galaxies"):
        signal_modes(np.zeros((3, 3)), np.zeros((3, 3)))


def test_participation_ratio_counts_what_is_independent():
    random = np.random.default_rng(0)
    independent = random.normal(size=(5000, 4)) * [1, 100, 0.01, 5]
    assert participation_ratio(independent) == pytest.approx(4, abs=0.02)
    copies = independent[:, :1] * [1, -2, 3, 0.1]
    assert participation_ratio(copies) == pytest.approx(1)


def test_what_is_all_noise_is_no_degree_of_freedom():
    latents, errors = sample()
    latents[:, 2] = errors[:, 2]
    numbers = degrees_of_freedom(latents, errors)
    assert numbers["latent_measured_directions"]["value"] == 2
    bits = np.log2(1 + (SPREAD[:2] / NOISE[:2]) ** 2).sum() / 2
    assert numbers["latent_information"]["value"] == pytest.approx(bits, abs=0.1)
    assert numbers["latent_information"]["uncertainty"] < 0.2


def test_probes_find_what_is_linear_and_nothing_else():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(1500, 5))
    noise = random.normal(size=1500)
    half = inputs @ [1, 1, 0, 0, 0] / np.sqrt(2) + noise
    unrelated = random.normal(size=1500)
    fit, test = slice(0, 500), slice(500, None)
    for target, expected in ((inputs[:, 0] * 3 + 7, 1), (half, 0.5), (unrelated, 0)):
        probe = linear_probe(inputs[fit], target[fit], inputs[test], target[test])
        assert probe.r2 == pytest.approx(expected, abs=0.06)
        assert probe.control == pytest.approx(0, abs=0.05)
        assert probe.error < 0.05


def test_contaminants_have_no_parameters():
    truth = pd.DataFrame(
        {
            "object_id": ["a", "b", "c"],
            "kind": ["galaxy", "galaxy", "star"],
            "anomaly": ["none", "pair", "star"],
            "stellar_mass": [10.0, 11.0, np.nan],
            "log_sfr": [0.5, 0.0, np.nan],
            "log_metallicity": 0.0,
            "A_V": 0.3,
            "age": 5.0,
            "velocity_dispersion": 100.0,
        }
    )
    parameters = galaxy_parameters(truth)
    assert parameters["object_id"].tolist() == ["a"]
    assert set(PARAMETERS) < set(parameters)
    assert parameters.loc[0, ["log_ssfr", "log_dispersion"]].tolist() == [-9.5, 2.0]


def test_brightness_tells_what_latents_do_not():
    random = np.random.default_rng(0)
    n = 900
    galaxies = pd.DataFrame({f"latent_{i}": random.normal(size=n) for i in range(2)})
    galaxies["latent_0_err"] = 0.1
    galaxies["norm"] = 10 ** random.normal(size=n)
    galaxies["z"] = random.random(n)
    galaxies["split"] = np.repeat(["train", "valid", "test"], n // 3)
    for name in PARAMETERS:
        galaxies[name] = galaxies["latent_0"]
    galaxies["log_stellar_mass"] = galaxies["latent_1"] + np.log10(galaxies["norm"])
    table = probe_table(galaxies)
    assert list(table) == [column.name for column in PROBE_COLUMNS]
    assert set(table["n"]) == {300}
    numbers = probe_numbers(table)
    assert numbers["probe_age"]["value"] == pytest.approx(1, abs=0.01)
    assert numbers["probe_log_stellar_mass"]["value"] == pytest.approx(0.5, abs=0.15)
    assert numbers["probe_log_stellar_mass_with_brightness"]["value"] > 0.99
    assert numbers["probe_shuffled_control"]["value"] < 0.1


def test_without_noise_nothing_changes_in_the_latents(toy):
    class Dataset:
        """Spectra that are their own truth, divided by two."""

        rows = np.arange(10)
        norm = np.full(10, 2.0, np.float32)

        def __len__(self):
            return 10

        def batch(self, rows):
            z = toy.batch.z[rows]
            return toy.batch._replace(flux=toy.truth[rows], ivar=toy.batch.ivar[rows], z=z)

    class Truth:
        def vectors(self, name, rows):
            return 2 * toy.truth[rows].numpy()

    architecture = {"encoder": "flux", "decoder": "low_rank", "latent_size": 3, "rank": 3}
    architecture |= {"z_min": -0.01, "z_max": 0.2, "oversampling": 1, "lsf": "none"}
    architecture |= {"amplitude": "best_fit", "weighted": True}
    model = SpectrumAutoencoder.build(architecture, toy.transform.observed).eval()
    clean = noiseless_latents(model, Dataset(), Truth(), batch_size=4)
    with torch.inference_mode():
        expected = model.encode(*Dataset().batch(np.arange(10)))
        noisy = model.encode(*(tensor[:10] for tensor in toy.batch))
    np.testing.assert_allclose(clean, expected, atol=1e-6)
    assert not np.allclose(clean, noisy, atol=1e-5)
