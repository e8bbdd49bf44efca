import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.wavelengths import source_grid
from uraniborg.surveys.intrinsic import IntrinsicSpectra
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import load_surveys
from uraniborg.surveys.simulation import SpectroscopicSky


@pytest.fixture(scope="module")
def resources(root):
    folder = root / "resources"
    return Resources(
        folder / "ssp_grid.safetensors",
        folder / "galaxy_population.json",
        folder / "star_basis.safetensors",
        folder / "quasar_lines.parquet",
        history_basis=folder / "history_basis.parquet",
    )


@pytest.fixture(scope="module")
def survey(root):
    sdss = load_surveys(root / "config/surveys")["sdss_simulated"]
    universe = {**sdss.universe, "z_max": 0.3, "contaminants": {}}
    return dataclasses.replace(sdss, seed=3, universe=universe)


@pytest.fixture(scope="module")
def block(survey, resources):
    sdss = dataclasses.replace(spectrograph("sdss"), calibration=(0.0,))
    return SpectroscopicSky(survey, sdss, resources).block(0)


def rows(block, count):
    return pd.DataFrame({name: values[:count] for name, values in block.truth.items()})


def test_what_was_observed_is_recreated(survey, resources, block):
    sdss = spectrograph("sdss")
    grid, truth = source_grid(sdss.grid, 0.3), rows(block, 6)
    flux = IntrinsicSpectra(survey, sdss, resources, grid)(truth)
    observed = sdss.view(flux, grid, torch.as_tensor(truth["z"].to_numpy().copy()))
    inside = slice(20, -20)
    expected = torch.as_tensor(block.flux[:6])
    torch.testing.assert_close(observed[:, inside], expected[:, inside], rtol=2e-3, atol=1e-3)


def test_another_sampling_holds_the_same_flux(survey, resources, block):
    coarse = WavelengthGrid("log10", np.log10(3690), 0.5e-4, 200)
    # Each pixel in five, with the same edges.
    fine = WavelengthGrid("log10", coarse.start - 2e-5, 1e-5, 1000)
    both = [
        IntrinsicSpectra(survey, spectrograph("sdss"), resources, grid)(rows(block, 20))
        for grid in (coarse, fine)
    ]
    # Sharper lines, the same flux.
    assert (both[1].amax(1) >= 0.99 * both[0].amax(1)).all()
    totals = [
        flux.double() @ torch.as_tensor(np.diff(grid.edges))
        for flux, grid in zip(both, (coarse, fine), strict=True)
    ]
    torch.testing.assert_close(*totals, rtol=1e-3, atol=0)
