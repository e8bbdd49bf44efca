"""The noise model: files, and the fit on spectra whose noise is known."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from astropy.io import fits

from uraniborg.errors import UserError
from uraniborg.instruments.noise import read_noise, write_noise
from uraniborg.instruments.noise_check import (
    CHECK_COLUMNS,
    compare_noise,
    noise_statistics,
    observe_empty_sky,
    summary,
)
from uraniborg.instruments.noise_fit import FibreSpectra, fit_noise, read_fibres
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.tables import Column, write_table


@pytest.fixture(scope="module")
def sdss():
    return spectrograph("sdss")


@pytest.fixture(scope="module")
def refitted(sdss):
    """The model that a fit to observations through the shipped model finds."""

    night = (sdss.noise.curves["sky"] + sdss.noise.curves["line"]).to_numpy(float)
    flux, ivar = observe_empty_sky(sdss, 40, seed=1)
    sky = _fibres(sdss, flux, ivar, night)
    source = sdss.grid.restframe(0.1)
    bright = torch.full((12, source.size), 30.0)
    generator = torch.Generator().manual_seed(2)
    observation = sdss.observe(bright, source, torch.zeros(12), generator)
    galaxies = _fibres(sdss, observation.flux.numpy(), observation.ivar.numpy(), night)
    return fit_noise(sky, galaxies, sdss.grid)


def _fibres(sdss, flux, ivar, night):
    covered = (flux != 0) | (ivar > 0)
    lsf = sdss.noise.curves["lsf"].to_numpy(float)
    count = len(flux)
    flux, lsf, night = (np.where(covered, row, np.nan).astype(float) for row in (flux, lsf, night))
    return FibreSpectra(
        flux, ivar.astype(float), lsf, night, np.full(count, 2520.0), np.full(count, 3.0)
    )


def test_the_fit_recovers_the_curves(sdss, refitted):
    old, new = sdss.noise.curves, refitted.curves
    inner = slice(100, 3750)
    ratio = (new / old)[["sigma", "scatter", "sky", "lsf"]][inner]
    # Between objects: a few per cent from level differences of 40 fibres.
    assert (ratio.median() - 1).abs().max() < 0.03
    assert (new["photon"] / old["photon"])[inner].median() == pytest.approx(1, abs=0.1)
    for lag in ("lag_1", "lag_2", "lag_3"):
        assert (new[lag] - old[lag])[inner].abs().mean() < 0.02
    bright = old["line"] > 5
    assert (new["line"] / old["line"])[bright].median() == pytest.approx(1, abs=0.05)


def test_the_fit_recovers_the_scatter_between_spectra(sdss, refitted):
    old, new = sdss.noise, refitted
    assert new.level == pytest.approx(old.level, rel=0.5)
    assert new.spread == pytest.approx(old.spread, rel=0.35)
    assert new.tails == pytest.approx(old.tails, rel=0.15)
    assert new.floor == pytest.approx(old.floor)
    np.testing.assert_allclose(new.sky_errors, old.sky_errors, rtol=0.5)
    fitted = {family.name: family for family in new.families}
    for family in old.families:
        if family.name.startswith("OH"):
            assert fitted[family.name].shift == pytest.approx(family.shift, rel=0.4)
    assert new.bad_singles == pytest.approx(old.bad_singles, abs=0.25)


def test_a_model_survives_its_file(sdss, tmp_path):
    path = tmp_path / "noise.parquet"
    write_noise(path, sdss.noise, "copied")
    copy = read_noise(path)
    pd.testing.assert_frame_equal(copy.curves, sdss.noise.curves)
    for field in dataclasses.fields(copy):
        if field.name != "curves":
            assert getattr(copy, field.name) == getattr(sdss.noise, field.name)


def test_the_shipped_table_is_small_and_names_its_source(root):
    path = root / "resources" / "sdss_noise.parquet"
    assert path.stat().st_size <= 200_000
    assert (root / "resources" / "sdss_noise.md").is_file()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.parquet"
    with pytest.raises(UserError, match=r"other\.parquet"):
        read_noise(path)
    write_table(path, {"x": [1.0]}, [Column("x", pa.float64(), "", "Something else")])
    with pytest.raises(UserError, match="no column"):
        read_noise(path)


def test_files_without_a_spectrum_are_refused(sdss, tmp_path):
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]).writeto(path)
    with pytest.raises(UserError, match=r"image\.fits"):
        read_fibres([path], sdss.grid)


def test_statistics_of_white_noise_are_known():
    generator = np.random.default_rng(0)
    flux = 2 * generator.standard_normal((200, 1000))
    statistics = noise_statistics(flux, np.full(flux.shape, 0.25), np.full(1000, True))
    assert statistics["sigma"] == 2
    for name, value in {"std": 1, "q68": 1, "q95": 1.96, "q99.7": 2.97}.items():
        assert statistics[name] == pytest.approx(value, rel=0.01)
    for name in ("kurtosis", "lag1", "lag2", "lag3"):
        assert statistics[name] == pytest.approx(0, abs=0.04)


def test_the_comparison_of_like_with_like_is_even(sdss):
    on_line = sdss.noise.curves["family"].to_numpy() >= 0
    one, other = (observe_empty_sky(sdss, 96, seed) for seed in (0, 1))
    table = compare_noise(one, other, on_line, bootstraps=3)
    assert list(table.columns) == [column.name for column in CHECK_COLUMNS]
    assert len(table) == 4 * 3 * 9
    assert not table.isna().any().any()
    numbers = summary(table)
    for name in ("sigma_ratio", "std_ratio", "q99.7_ratio"):
        assert numbers[name] == pytest.approx(1, abs=0.04)
    assert numbers["lag1_worst"] < 0.03
