"""Templates of stars, on stars along a curve that few straight templates follow."""

import numpy as np
import pandas as pd
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.outliers.misclassification import (
    AUTOENCODER,
    TEMPLATE_COLUMNS,
    misclassification,
)
from uraniborg.spectra.outliers.stellar_templates import (
    EXAMPLE_COLUMNS,
    balanced_rows,
    compared,
    example_star,
    example_table,
    linear_model,
    stellar_templates,
    template_table,
)
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, SpectraWriter

GRID = WavelengthGrid("log10", 3.6, 4e-4, 500)
_SNR = 30.0


@pytest.fixture(scope="module")
def galaxy():
    size = RedshiftTransform(GRID, 0.5, -0.01).restframe.size
    wavelength = torch.from_numpy(RedshiftTransform(GRID, 0.5, -0.01).restframe.wavelength)
    x = torch.log(wavelength / 5000).float()
    spectra = torch.stack([x, x**2, torch.exp(-0.5 * (x / 2e-3) ** 2)])
    return linear_model(Basis(torch.ones(size), spectra, torch.ones(3)), GRID, (-0.01, 0.5), 4)


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """Bands of absorption that saturate, over a continuum that bends."""

    random, number = np.random.default_rng(1), 240
    x = np.log(GRID.wavelength / 5000)
    cool = random.uniform(0, 1, number)[:, None]
    depth = sum(np.exp(-0.5 * ((x - centre) / 6e-3) ** 2) for centre in (-0.15, 0.07, 0.2))
    flux = np.exp(2 * cool * x) * np.exp(-(0.3 + 4 * cool**2) * depth)
    scalars = {column.name: np.zeros(number) for column in SPECTRUM_COLUMNS}
    scalars |= {
        "object_id": [f"star-{i}" for i in range(number)],
        "zwarning": np.zeros(number, np.int64),
        "spectype": ["STAR"] * number,
        "subclass": np.where(cool[:, 0] > 0.85, "M", np.where(cool[:, 0] > 0.4, "K", "G")),
        "snr": np.full(number, _SNR),
        "norm": np.ones(number),
    }
    path = tmp_path_factory.mktemp("stars") / "0000.arrow"
    with SpectraWriter(path, GRID) as writer:
        noisy = flux + random.standard_normal(flux.shape) / _SNR
        writer.write(scalars, flux=noisy, ivar=np.full(flux.shape, _SNR**2))
    return Spectra(path)


@pytest.fixture(scope="module")
def models(stars):
    models = stellar_templates(stars, np.arange(180), (1, 2, 6), iterations=8, seed=0)
    # Stands for the trained model.
    return models | {AUTOENCODER: models[6]}


@pytest.fixture(scope="module")
def table(galaxy, models, stars):
    return template_table(galaxy, models, stars, np.arange(180, 240))


def test_few_templates_mistake_stars(table):
    assert list(table) == [column.name for column in TEMPLATE_COLUMNS]
    rates = misclassification(table).set_index(["subclass", "components"])
    wrong = rates["fraction"].loc["all"]
    assert wrong[1] > 0.2
    assert wrong[6] == 0
    assert wrong[AUTOENCODER] == 0
    assert wrong[1] >= wrong[2] >= wrong[6]
    assert rates["n"].loc["all", 1] == 60
    assert (rates["error"] > 0).all()


def test_more_templates_fit_better(table):
    chi2 = table.pivot_table(index="object_id", columns="components", values="star_chi2")
    assert (chi2[1] > chi2[2] - 1e-6).mean() > 0.95
    assert chi2[6].median() / 500 == pytest.approx(1, abs=0.1)


def test_one_template_is_the_mean(models, stars):
    with torch.no_grad():
        decoded = models[1].decode(torch.randn(3, 1))
    assert torch.allclose(decoded, models[1].decoder.mean.expand(3, -1))


def test_galaxies_are_called_galaxies(galaxy, models, stars, tmp_path):
    z = torch.full((6,), 0.2, dtype=torch.float64)
    latent = torch.tensor([1.0, 0.5, 3.0]).expand(6, -1)
    with torch.no_grad():
        flux = galaxy.transform(galaxy.decode(latent), z).numpy()
    scalars = stars.scalars.iloc[:6].assign(spectype="GALAXY", z=0.2)
    with SpectraWriter(tmp_path / "0000.arrow", GRID) as writer:
        writer.write(scalars, flux=flux, ivar=np.full(flux.shape, 900.0))
    found = template_table(galaxy, models, Spectra(tmp_path / "0000.arrow"), np.arange(6))
    assert (misclassification(found)["fraction"] == 0).all()
    assert found["galaxy_z"].to_numpy() == pytest.approx(0.2, abs=1e-4)


def test_the_example_is_a_mistaken_star(galaxy, models, stars, table):
    name = example_star(table, 1, least_z=0)
    chosen = table[(table["object_id"] == name) & (table["components"] == 1)].iloc[0]
    assert chosen["galaxy_chi2"] < chosen["star_chi2"]
    assert example_star(table, 6, least_z=0) is None
    example = example_table(galaxy, models, stars, name, 1)
    assert list(example) == [column.name for column in EXAMPLE_COLUMNS]
    assert len(example) == GRID.size
    rms = {c: np.sqrt(((example["flux"] - example[c]) ** 2).mean())
           for c in ("star_templates", "galaxy_templates", "star_model")}  # fmt: skip
    assert rms["star_model"] < rms["galaxy_templates"] < rms["star_templates"]


def test_types_are_balanced(stars):
    rows = balanced_rows(stars, np.arange(240), 60)
    counts = pd.Series(stars.column("subclass")[rows]).value_counts()
    assert counts.sum() == 60
    assert counts.min() >= 18
    assert (np.diff(rows) > 0).all()
    assert len(balanced_rows(stars, np.arange(10), 60)) == 10


def test_templates_of_another_range_are_refused():
    basis = Basis(torch.ones(10), torch.ones(2, 10), torch.ones(2))
    with pytest.raises(UserError, match="z_min and z_max"):
        linear_model(basis, GRID, (-0.01, 0.5), 3)


@pytest.mark.parametrize("example", [1, 6])
def test_a_comparison_has_an_example_whether_or_not_a_star_is_beaten(
    galaxy, models, stars, table, example
):
    settings = {"components": 6, "iterations": 8, "seed": 0, "example": example}
    rows = np.arange(180, 240)
    samples = {
        "train": (stars, np.arange(180)),
        "stars": (stars, rows),
        "galaxies": (stars, rows[:2]),
    }
    found = compared(galaxy, models[6], samples, settings)
    assert len(found.table) == 7 * 62
    of_stars = found.table[found.table["object_id"].isin(table["object_id"])]
    assert set(of_stars["components"]) == {AUTOENCODER, *range(1, 7)}
    # At other redshifts than its own, no galaxy beats six templates.
    expected = example_star(found.table.drop_duplicates(["object_id", "components"]), example)
    expected = expected or found.table["object_id"].iloc[0]
    assert set(found.example["object_id"]) == {expected}
    assert set(found.example["components"]) == {example}
