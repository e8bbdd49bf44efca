import pytest

from uraniborg.errors import UserError
from uraniborg.universe.bagpipes import native_grids
from uraniborg.universe.comparison import compare, summary
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


def test_a_missing_package_is_named(monkeypatch):
    # None in sys.modules makes the import fail whether or not the package is installed.
    monkeypatch.setitem(__import__("sys").modules, "bagpipes", None)
    with pytest.raises(UserError, match=r"uraniborg\[ssp\]"):
        native_grids()
