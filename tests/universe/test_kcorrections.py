import numpy as np
import pandas as pd
import pytest

from uraniborg.errors import UserError
from uraniborg.universe import kcorrections
from uraniborg.universe.kcorrections import (
    BAND_SHIFTS,
    compare,
    exact,
    fit,
    measured_fluxes,
    summary,
)


@pytest.fixture(scope="module")
def reference(root):
    return root / "resources" / "kcorrections.parquet"


@pytest.fixture(scope="module")
def corrections(reference, ssp_grid):
    return compare(reference, ssp_grid)


def galaxy(**changes):
    parameters = {
        "z": 0.1,
        "stellar_mass": 10.5,
        "log_metallicity": 0.0,
        "log_u": -3.0,
        "A_V": 0.5,
        "birth_cloud_ratio": 1.0,
        "dust_slope": 0.0,
        **changes,
    }
    parameters = {name: np.array([value]) for name, value in parameters.items()}
    history = np.array([[0.0005, 0.001, 0.0035, 0.01, 0.045, 0.2, 0.3, 0.44]])
    return {**parameters, "history": history}


def test_agree_with_kcorrect(corrections):
    assert corrections["galaxy"].nunique() == 500
    values = summary(corrections)
    assert values["kcorrect_scatter"] < 0.05
    assert values["kcorrect_standard_deviation"] < 0.05
    assert values["kcorrect_offset"] < 0.05


def test_shuffled_redshifts_do_not_agree(corrections):
    assert summary(corrections)["kcorrect_shuffled_control"] > 0.05


def test_corrections_to_shifted_bands_agree_too(corrections):
    shifted = corrections[corrections["band_shift"] == 0.1]
    difference = (shifted["exact"] - shifted["kcorrect"]).groupby(shifted["band"])
    assert (difference.median().abs() < 0.03).all()


def test_no_correction_at_redshift_zero(ssp_grid):
    _, correction = exact(galaxy(z=1e-6), ssp_grid)
    assert correction == pytest.approx(np.zeros((1, 5)), abs=1e-4)


def test_shifted_bands_at_their_own_redshift_need_the_stretch_alone(ssp_grid):
    # Whatever the spectrum (Blanton & Roweis 2007).
    _, correction = exact(galaxy(z=0.1), ssp_grid, band_shift=0.1)
    assert correction == pytest.approx(np.full((1, 5), -2.5 * np.log10(1.1)), abs=1e-4)


def test_redder_galaxies_have_larger_corrections(ssp_grid):
    _, blue = exact(galaxy(A_V=0.0), ssp_grid)
    _, red = exact(galaxy(A_V=2.0), ssp_grid)
    assert (red[0, :2] > blue[0, :2]).all()


def test_measured_fluxes_scatter_by_their_errors():
    truth = np.full((5000, 5), 1000.0)
    flux, error = measured_fluxes(truth, seed=1)
    assert np.std((flux - truth) / error, axis=0) == pytest.approx(np.ones(5), abs=0.04)
    assert error[0, 2] / 1000 == pytest.approx(0.02, rel=0.2)
    assert np.array_equal(flux, measured_fluxes(truth, seed=1)[0])


def test_the_summary_measures_scatter_and_offset():
    random = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "band": np.repeat(list("gri"), 4000),
            "band_shift": 0.0,
            "kcorrect": 0.0,
            "exact": random.normal(0.1, 0.03, 12000),
            "shuffled": random.normal(0.0, 0.2, 12000),
        }
    )
    values = summary(table)
    assert values["kcorrect_scatter"] == pytest.approx(0.03, rel=0.08)
    assert values["kcorrect_standard_deviation"] == pytest.approx(0.03, rel=0.08)
    assert values["kcorrect_offset"] == pytest.approx(0.1, rel=0.05)
    assert values["kcorrect_shuffled_control"] == pytest.approx(0.2, rel=0.08)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kcorrect.kcorrect", None)
    with pytest.raises(UserError, match=r"uraniborg\[peers\]"):
        fit(np.ones((1, 5)), np.ones((1, 5)), np.array([0.1]))


def test_another_version_is_refused(monkeypatch):
    pytest.importorskip("kcorrect")
    monkeypatch.setattr(kcorrections, "_VERSION", "0")
    with pytest.raises(UserError, match="kcorrect=="):
        fit(np.ones((1, 5)), np.ones((1, 5)), np.array([0.1]))


def test_kcorrect_itself_recovers_a_correction(ssp_grid):
    pytest.importorskip("kcorrect")
    parameters = galaxy()
    flux, truth = exact(parameters, ssp_grid)
    theirs = fit(flux, 0.02 * flux, parameters["z"])
    assert set(theirs) == set(BAND_SHIFTS)
    assert theirs[0.0][0, 1:4] == pytest.approx(truth[0, 1:4], abs=0.1)
