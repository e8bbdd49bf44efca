import numpy as np
import pytest
import torch

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.latent_dimension import (
    DIMENSION_COLUMNS,
    dimension_numbers,
    excess_chi2,
    fits_by_dimension,
    summary,
)


class Dataset:
    """The toy sky in units of a norm of 5."""

    def __init__(self, toy):
        self.toy, self.rows, self.spectra = toy, np.arange(200), self
        self.norm = np.full(200, 5.0, np.float32)

    def __len__(self):
        return 200

    def column(self, name):
        return np.array([f"toy-{i}" for i in range(600)], dtype=object)

    def batch(self, rows):
        return Batch(*(tensor[rows] for tensor in self.toy.batch))

    def vectors(self, name, rows):
        return 5 * self.toy.truth[rows].numpy()


@pytest.fixture(scope="module")
def bases(toy):
    return {size: fit_basis([toy.batch], toy.transform, size, iterations=10) for size in (1, 3)}


def model(toy, bases, size):
    """The model before training: as many components as latents."""

    architecture = {"encoder": "restframe", "decoder": "low_rank", "latent_size": size}
    architecture |= {"z_min": -0.01, "z_max": 0.2, "oversampling": 1, "lsf": "none"}
    architecture |= {"amplitude": "best_fit", "weighted": True, "rank": 3}
    torch.manual_seed(0)
    return SpectrumAutoencoder.build(architecture, toy.transform.observed, bases[3]).eval()


@pytest.fixture(scope="module")
def fits(toy, bases):
    models = {"latent_01": model(toy, bases, 1), "default": model(toy, bases, 3)}
    dataset = Dataset(toy)
    return fits_by_dimension(models, bases, dataset, dataset, batch_size=64)


def test_truth_has_no_excess_and_models_have_less_with_more_latents(fits):
    table = summary(fits).set_index(["method", "latents"])
    assert list(summary(fits)) == [column.name for column in DIMENSION_COLUMNS]
    assert table.loc[("truth", 0), "excess_chi2"] == pytest.approx(0, abs=1e-6)
    assert table.loc[("truth", 0), "reduced_chi2"] == pytest.approx(1, abs=0.05)
    for method in ("model", "components"):
        one, three = (table.loc[(method, size)] for size in (1, 3))
        assert three["excess_chi2"] < 0.3 * one["excess_chi2"]
        assert three["reduced_chi2"] == pytest.approx(1, abs=0.05)
    assert (table["n"] == 200).all()


def test_numbers_say_how_many_latents_reach_the_noise(fits):
    numbers = dimension_numbers(fits, "default")
    assert numbers["dimension_to_noise"] == {"value": 3, "n": 200}
    poor = fits[fits["variant"] != "default"]
    assert "dimension_to_noise" not in dimension_numbers(poor, "latent_01")


def test_real_data_have_no_excess(toy, bases):
    fits = fits_by_dimension({"default": model(toy, bases, 3)}, bases, Dataset(toy))
    table = summary(fits)
    assert table["excess_chi2"].isna().all()
    assert table.set_index("method").loc[["model", "components"], "reduced_chi2"].notna().all()
    numbers = dimension_numbers(fits, "default")
    assert numbers == {"dimension_excess_over_components": {}}


def test_masked_pixels_have_no_excess():
    ivar = torch.tensor([[1.0, 0.0, 4.0]])
    assert excess_chi2(ivar, torch.ones(1, 3), torch.zeros(1, 3)).item() == pytest.approx(2.5)
