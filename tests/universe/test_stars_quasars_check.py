import numpy as np
import pytest

from uraniborg.figures.objects import stars_quasars
from uraniborg.grids import WavelengthGrid
from uraniborg.universe import object_check as check
from uraniborg.universe.quasar_lines import Composite, read_composite
from uraniborg.universe.star_basis import StarBasis, predictors
from uraniborg.universe.star_fit import GRID, Templates, read_mastar


@pytest.fixture(scope="module")
def basis(root):
    return StarBasis.load(root / "resources" / "star_basis.safetensors")


@pytest.fixture(scope="module")
def lines(root):
    return root / "resources" / "quasar_lines.parquet"


def test_known_parameters_are_found(basis):
    truth = np.array([[5700.0, 4.4, -0.3], [9000.0, 4.0, 0.0]])
    log_flux = predictors(*truth.T) @ basis.coefficients @ basis.basis
    templates = Templates(["a", "b"], truth, log_flux, np.ones_like(log_flux), np.ones(2))
    table, _ = check.fit_templates(basis, templates)
    assert table["temperature"].to_numpy() == pytest.approx(truth[:, 0], rel=0.03)
    assert table["rms"].max() < 0.03


def test_residuals_do_not_depend_on_scale():
    wavelength = np.linspace(1300, 6500, 500)
    one = Composite(wavelength, wavelength**-1.5)
    assert check.residuals(one, Composite(wavelength, 7 * one.flux), 1300, 6500)["q90"] < 1e-12
    steeper = Composite(wavelength, wavelength**-2.0)
    assert check.residuals(one, steeper, 1300, 6500)["median"] > 0.1


def test_the_figure_is_drawn(lines):
    wavelength = np.linspace(3800, 9200, 200)
    star = [check.Curve("stars", "a", s, wavelength, wavelength**-2.0)
            for s in ("real", "simulated")]  # fmt: skip
    composite = Composite(np.linspace(1200, 6500, 200), np.linspace(3, 1, 200))
    curves = star + check.composites(composite, composite)
    curves += check.broad_absorption(lines, WavelengthGrid("log10", 3.01, 4e-4, 1300))
    assert len(stars_quasars(check.examples(curves)).axes) == 3


def test_real_stars_are_reproduced(basis, shared_data):
    paths = [*shared_data.glob("stellar_spectra/sdss__mangadap/MaStarHC_[45678]*.fits*")]
    templates = read_mastar(paths[::6], everything=True)
    table, models = check.fit_templates(basis, templates)
    assert models.shape == (len(table), GRID.size)
    assert table["rms"].median() < 0.04


def test_real_quasars_are_reproduced(lines, shared_data):
    (path,) = shared_data.glob("sdss_templates/*/spEigenQSO.fits*")
    grid = WavelengthGrid("log10", 3.0, 4e-4, 2200)
    simulated = check.simulated_composite(lines, grid, 512, seed=1)
    assert check.residuals(read_composite(path), simulated, 1300, 6500)["median"] < 0.08
    # Vanden Berk et al. (2001): -1.56 between 1350 and 4230 A.
    at = [np.interp(w, *simulated) for w in (1357.5, 4215.0)]
    assert np.log(at[1] / at[0]) / np.log(4215 / 1357.5) == pytest.approx(-1.56, abs=0.12)
