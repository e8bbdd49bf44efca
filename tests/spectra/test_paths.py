import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.generation import decoded, latents_of
from uraniborg.spectra.paths import PATH_COLUMNS, nearest, path_distances, path_table

REST = WavelengthGrid("log10", 3.56, 4e-4, 750)
OBSERVED = WavelengthGrid("log10", 3.56, 4e-4, 800)
N = 60


class Model(nn.Module):
    """Spectra that curve and slope as the latents say."""

    def __init__(self):
        super().__init__()
        self.transform = type("Transform", (), {"restframe": REST})

    def decode(self, latent):
        x = torch.linspace(-1, 1, REST.size)
        return 2 + latent[:, :1] * x + latent[:, 1:] * torch.sin(9 * x)


class Survey:
    """Noiseless spectra of the model at redshift, 7 times as bright; one pixel is masked."""

    grid = OBSERVED

    def __init__(self, objects):
        self.objects = objects

    def column(self, name):
        return self.objects[name].to_numpy()

    def vectors(self, name, rows):
        if name == "ivar":
            ivar = np.ones((len(rows), OBSERVED.size))
            ivar[:, 400] = 0
            return ivar
        latents = latents_of(self.objects)[rows]
        restframe = Model().decode(torch.from_numpy(latents.astype(np.float32))).numpy()
        z = self.objects["z"].to_numpy()[rows]
        rest = OBSERVED.wavelength / (1 + z[:, None])
        pairs = zip(rest, restframe, strict=True)
        return 7 * np.stack([np.interp(x, REST.wavelength, flux) for x, flux in pairs])


@pytest.fixture
def objects():
    random = np.random.default_rng(0)
    latents = random.uniform(-0.5, 0.5, (N, 2))
    return pd.DataFrame(
        {
            "object_id": [f"g{i}" for i in range(N)],
            "z": random.uniform(0, 0.05, N),
            "d4000": latents[:, 0],
            "latent_0": latents[:, 0],
            "latent_1": latents[:, 1],
        }
    )


def test_the_nearest_galaxy_is_that_with_the_same_spectrum(objects):
    spectra = decoded(Model(), latents_of(objects))
    nothing = np.zeros((N, N), bool)
    rows, distance = nearest(REST.wavelength, spectra, spectra, nothing)
    np.testing.assert_array_equal(rows, np.arange(N))
    np.testing.assert_allclose(distance, 0, atol=2e-3)
    rows, distance = nearest(REST.wavelength, spectra, spectra, np.eye(N, dtype=bool))
    assert (rows != np.arange(N)).all()
    inside = (REST.wavelength >= 3800) & (REST.wavelength <= 7000)
    difference = (spectra - spectra[rows])[:, inside]
    np.testing.assert_allclose(distance, np.sqrt(np.square(difference).mean(axis=1)), atol=2e-3)


def test_a_path_goes_from_one_galaxy_to_the_other_past_others(objects):
    survey = Survey(objects)
    table = path_table(Model(), objects, ("g3", "g8"), 5, survey, survey)
    assert list(table) == [column.name for column in PATH_COLUMNS]
    spectra = decoded(Model(), latents_of(objects))
    inside = (REST.wavelength >= 3800) & (REST.wavelength <= 7000)
    for step, row in ((0, 3), (4, 8)):
        path = table.loc[table["step"] == step, "path"]
        np.testing.assert_allclose(path, spectra[row, inside], rtol=1e-4)
    assert not set(table["object_id"]) & {"g3", "g8"}
    # The neighbours' own spectra are drawn, at rest and in the same units.
    row = int(table["object_id"].iloc[0][1:])
    first = table[table["step"] == 0]
    np.testing.assert_allclose(first["neighbour_truth"], spectra[row, inside], atol=0.01)
    assert first["neighbour"].isna().any()
    difference = np.sqrt(np.square(first["path"] - first["neighbour_truth"]).mean())
    assert difference == pytest.approx(first["difference"].iloc[0], abs=0.01)


def test_real_data_have_no_truth(objects):
    table = path_table(Model(), objects, ("g3", "g8"), 3, Survey(objects))
    assert table["neighbour_truth"].isna().all()
    assert table.groupby("step")["neighbour"].mean().to_numpy() == pytest.approx(1, abs=1e-6)


def test_paths_stay_among_galaxies_and_what_is_beyond_does_not(objects):
    numbers = path_distances(Model(), objects)
    assert numbers["interpolation_distance"]["value"] < 2
    assert numbers["extrapolation_control"]["value"] > 4
    assert numbers["interpolation_distance"]["n"] == N // 3
