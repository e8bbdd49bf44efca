"""The fit of noise models to targets, on targets whose noise is known."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

from uraniborg.errors import UserError
from uraniborg.instruments.noise_check import compare_targets, summary
from uraniborg.instruments.noise_fit_targets import (
    TargetSpectra,
    detrended,
    fit_target_noise,
    read_boss_targets,
    read_desi_targets,
    smooth_flux,
)
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.wavelengths import observed_grid


@pytest.fixture(scope="module", params=["boss", "desi"])
def instrument(request):
    return spectrograph(request.param)


def targets(instrument, seed, count=24):
    """Faint and bright spectra with broad emission lines as an instrument sees them."""

    perfect = dataclasses.replace(instrument, calibration=(0.0,))
    x = torch.linspace(-1, 1, instrument.grid.size)
    places = torch.linspace(-0.9, 0.9, count)[:, None]
    lines = 2 * torch.exp(-(((x - places) / 0.05) ** 2))
    brightness = torch.linspace(0.1, 4, count)[torch.arange(count) * 7 % count][:, None] ** 2
    flux = brightness * (1 + lines) * torch.exp(-places.flip(0) * x)
    covered = torch.full(flux.shape, True)
    seen, ivar, _ = perfect.expose(flux, covered, torch.Generator().manual_seed(seed))
    beyond = ((seen == 0) & (ivar == 0)).numpy()
    curves = instrument.noise.curves
    lsf, sky = (np.tile(curves[name].to_numpy(float), (count, 1)) for name in ("lsf", "sky"))
    line = curves["line"].to_numpy(float)
    known = instrument.name == "boss"
    return TargetSpectra(
        np.where(beyond, np.nan, seen.double().numpy()),
        ivar.double().numpy(),
        lsf,
        np.where(known, sky + line, np.nan),
        quiet=np.full(flux.shape, True),
        floor=np.full(count, instrument.noise.floor),
        pointing=np.arange(count) % 4,
        depth=np.ones(count),
    )


@pytest.fixture(scope="module")
def refitted(instrument):
    noise = fit_target_noise(targets(instrument, 1), instrument.grid, instrument.noise.sky_errors)
    return instrument.noise, noise


def test_the_fit_recovers_the_curves(refitted):
    old, new = refitted
    inner = slice(100, -400)
    ratio = (new.curves / old.curves)[["sigma", "scatter", "lsf"]][inner]
    assert (ratio.median() - 1).abs().max() < 0.04
    # Level differences of two dozen spectra and brightness are hard to tell apart.
    assert (new.curves["photon"] / old.curves["photon"])[inner].median() == pytest.approx(
        1, abs=0.2
    )
    lag = (new.curves["lag_1"] - old.curves["lag_1"])[inner]
    assert lag.abs().mean() < 0.04
    assert new.curves["line"].corr(old.curves["line"]) > 0.95
    assert [family.name for family in new.families] == [family.name for family in old.families]


def test_the_fit_recovers_the_scatter_between_spectra(refitted):
    old, new = refitted
    assert new.level == pytest.approx(old.level, rel=0.6)
    assert new.spread == pytest.approx(old.spread, rel=0.5)
    assert new.tails == pytest.approx(old.tails, rel=0.3)
    assert new.floor == pytest.approx(old.floor)
    assert new.sky_errors == old.sky_errors


def test_the_comparison_of_like_with_like_is_even(instrument):
    table = compare_targets(instrument, targets(instrument, 2), copies=2, seed=3, bootstraps=2)
    numbers = summary(table)
    for name in ("sigma_ratio", "std_ratio", "q99.7_ratio"):
        assert numbers[name] == pytest.approx(1, abs=0.05)
    assert numbers["lag1_worst"] < 0.1


def test_shipped_tables_are_small_and_name_their_source(root, instrument):
    path = root / "resources" / f"{instrument.name}_noise.parquet"
    assert path.stat().st_size <= 300_000
    assert path.with_suffix(".md").is_file()
    assert np.isfinite(instrument.noise.curves.to_numpy(float)).all()


def test_smooth_spectra_follow_broad_features_and_bridge_gaps():
    x = np.linspace(0, 1, 2000)
    truth = 1 + x**2 + np.exp(-(((x - 0.5) / 0.1) ** 2))
    noise = 0.1 * np.random.default_rng(0).standard_normal(2000)
    flux = truth + noise
    flux[900:920] = np.nan
    assert np.abs(smooth_flux(flux) - truth).max() < 0.1
    ivar = np.where(np.isfinite(flux), 100.0, 0)
    quiet = x < 0.9
    rest = detrended(flux[None], ivar[None], quiet[None])[0]
    assert np.isnan(rest[900:920]).all()
    assert np.isnan(rest[~quiet]).all()
    assert np.nanstd(rest) == pytest.approx(0.1, rel=0.05)


def test_desi_cameras_are_merged_by_inverse_variance(tmp_path):
    path = tmp_path / "coadd-made-up.fits"
    _write_coadd(path)
    spectra = read_desi_targets([path], observed_grid("desi"))
    # The flagged fibre and the one without light are left out.
    assert spectra.flux.shape == (1, 7781)
    flux, ivar, wavelength = spectra.flux[0], spectra.ivar[0], observed_grid("desi").wavelength
    overlap = (wavelength > 5765) & (wavelength < 5795)
    np.testing.assert_allclose(flux[overlap], (1 * 1 + 3 * 2) / 4)
    np.testing.assert_allclose(ivar[overlap], 4)
    np.testing.assert_allclose(flux[(wavelength < 5755) & (ivar > 0)], 1)
    np.testing.assert_allclose(ivar[wavelength > 7625], 5)
    assert ivar[500] == 0
    np.testing.assert_allclose(spectra.lsf[0][wavelength < 5755], 0.9, rtol=1e-3)
    assert spectra.depth == pytest.approx(12.15 * 100 / 180)


def _write_coadd(path):
    offset = np.arange(-5, 6)[:, None]
    profile = np.exp(-(offset**2) / (2 * 0.9**2))
    hdus = [fits.PrimaryHDU()]
    cameras = {"B": (3600, 2751, 1, 1), "R": (5760, 2326, 2, 3), "Z": (7520, 2881, 4, 5)}
    for camera, (start, size, flux, ivar) in cameras.items():
        shape = np.array([1, 1, 0])[:, None] * np.ones(size)
        mask = np.zeros((3, size), np.int32)
        if camera == "B":
            mask[:, 500] = 1
        resolution = np.tile(profile / profile.sum(), (3, 1, size))
        for name, data in {
            "WAVELENGTH": start + 0.8 * np.arange(size),
            "FLUX": flux * shape,
            "IVAR": ivar * shape,
            "MASK": mask,
            "RESOLUTION": resolution,
        }.items():
            hdus.append(fits.ImageHDU(data, name=f"{camera}_{name}"))
    fibres = Table(
        {
            "COADD_FIBERSTATUS": [0, 4, 0],
            "MEAN_PSF_TO_FIBER_SPECFLUX": [0.8, 0.8, 0.8],
        }
    )
    hdus.append(fits.BinTableHDU(fibres, name="FIBERMAP"))
    hdus.append(fits.BinTableHDU(Table({"TSNR2_LRG": [100.0] * 3}), name="SCORES"))
    fits.HDUList(hdus).writeto(path)


@pytest.mark.parametrize("read", [read_boss_targets, read_desi_targets])
def test_files_without_a_spectrum_are_refused(read, tmp_path):
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]).writeto(path)
    with pytest.raises(UserError, match=r"image\.fits"):
        read([path], observed_grid("boss"))
