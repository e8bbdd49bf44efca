import numpy as np
import pytest

from uraniborg.errors import UserError
from uraniborg.universe.bagpipes import native_grids
from uraniborg.universe.comparison import (
    compare,
    compare_photometry,
    draw_photometry_galaxies,
    photometry_magnitudes,
    photometry_summary,
    summary,
)
from uraniborg.universe.photometry import UGRIZJHK_W1


@pytest.fixture(scope="module")
def comparison(root, ssp_grid):
    return compare(root / "resources" / "bagpipes_reference.parquet", ssp_grid)


def test_agrees_with_bagpipes(comparison):
    differences, _ = comparison
    assert len(differences) == 50
    assert differences["nebular"].sum() == 25
    # Every galaxy, not only the median one.
    assert (differences["spectrum"] < 0.01).all()
    assert (differences[list(UGRIZJHK_W1)].abs() < 0.02).all(axis=None)
    assert (differences["stellar_mass"].abs() < 0.002).all()
    values = summary(differences)
    assert values["bagpipes_spectrum"] < 0.004
    assert values["bagpipes_photometry"] < 0.006


def test_another_metallicity_does_not_agree(comparison):
    assert summary(comparison[0])["bagpipes_metallicity_control"] > 0.03


def test_examples_have_both_spectra(comparison):
    _, examples = comparison
    assert examples["galaxy"].nunique() == 4
    assert (examples[["ours", "bagpipes"]] > 0).all(axis=None)
    assert examples["wavelength"].between(3500, 9000).all()


@pytest.fixture(scope="module")
def resources(root):
    return root / "resources"


@pytest.fixture(scope="module")
def magnitudes(resources, ssp_grid):
    return compare_photometry(resources / "bagpipes_photometry.parquet", ssp_grid)


def test_dusty_galaxies_agree_with_bagpipes(magnitudes):
    assert magnitudes["galaxy"].nunique() == 100
    optical = magnitudes[magnitudes["band"].isin(list("ugrizJHK"))]
    # Every galaxy, not only the median one.
    assert (optical["difference"].abs() < 0.06).all()
    assert photometry_summary(magnitudes)["bagpipes_dusty_photometry"] < 0.003


def test_without_dust_they_do_not_agree(magnitudes):
    assert photometry_summary(magnitudes)["bagpipes_no_dust_control"] > 0.3


def test_dust_shines_in_the_infrared_as_in_bagpipes(resources, ssp_grid, magnitudes):
    glowing = compare_photometry(
        resources / "bagpipes_photometry.parquet",
        ssp_grid,
        resources / "dust_emission.safetensors",
    )
    infrared = glowing[glowing["band"].isin(["W1", "W2", "W3", "W4"])]
    medians = infrared.groupby("band")["difference"].median()
    assert (medians.abs() < 0.25).all()
    # Optical bands are as before.
    optical = glowing["band"].isin(list("ugriz"))
    assert np.allclose(glowing["difference"][optical], magnitudes["difference"][optical], atol=2e-3)


def test_reference_galaxies_avoid_the_unusable_corner_of_the_nebular_grid():
    galaxies = draw_photometry_galaxies(500, seed=3)
    assert (galaxies["log_u"][galaxies["log_metallicity"] > 0] <= -3).all()
    assert galaxies["z"].between(0.02, 0.6).all()
    assert galaxies.equals(draw_photometry_galaxies(500, seed=3))


def test_magnitudes_of_a_known_luminosity():
    # 1 L_sun/Angstrom of 3.826e33 erg/s in g at redshift 0.1, 476 Mpc away.
    magnitude = photometry_magnitudes(np.full((1, 12), 1e9), np.array([0.1]))[0, 1]
    flux = 1e9 * 3.826e33 / (4 * np.pi * (476.0 * 3.0857e24) ** 2 * 1.1)
    pivot = 4702.0
    expected = -2.5 * np.log10(flux * pivot**2 / 2.998e18) - 48.60
    assert magnitude == pytest.approx(expected, abs=0.02)


def test_a_missing_package_is_named(monkeypatch):
    # None in sys.modules makes the import fail whether or not the package is installed.
    monkeypatch.setitem(__import__("sys").modules, "bagpipes", None)
    with pytest.raises(UserError, match=r"uraniborg\[ssp\]"):
        native_grids()
