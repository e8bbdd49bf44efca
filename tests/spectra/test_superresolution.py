import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from uraniborg.figures.superresolution import superresolution
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.doublet import OII
from uraniborg.spectra.superresolution import (
    CURVE_COLUMNS,
    DOUBLET_COLUMNS,
    curve_table,
    doublet_numbers,
    doublet_table,
    grid_within,
    narrow_lines,
)
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Column, Spectra, SpectraWriter

GRID = WavelengthGrid("log10", 3.578, 1e-4, 800)
COUNT = 24
LIGHT = 299792.458


def lines(grid, dispersion):
    sigma = np.asarray(dispersion)[:, None] / LIGHT * OII[0]
    x = grid.wavelength
    return sum(
        share * np.exp(-0.5 * ((x - centre) / sigma) ** 2) * 1.2 / sigma
        for share, centre in zip((0.75, 1.0), OII, strict=True)
    )


class Perfect(nn.Module):
    """Encodes nothing and decodes the truth of the spectra in order, at a resolution in km/s."""

    latent_size = 1

    def __init__(self, grid, dispersion, resolution):
        super().__init__()
        self.restframe = torch.as_tensor(1 + lines(grid, np.hypot(dispersion, resolution))).float()

    def forward(self, flux, *rest):
        return self.restframe[: len(flux)] if rest == () else torch.zeros(len(flux), 1)


def perfect(transform, dispersion, resolution):
    part = Perfect(transform.restframe, dispersion, resolution)
    return SpectrumAutoencoder(part, part, transform)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Spectra and truth of galaxies with narrow and broad lines, one of them a star."""
    folder = tmp_path_factory.mktemp("survey")
    dispersion = np.linspace(40, 160, COUNT)
    transform = RedshiftTransform(GRID, z_max=0.12, oversampling=2, lsf=1.2)
    z = np.linspace(0.05, 0.1, COUNT)
    restframe = torch.as_tensor(1 + lines(transform.restframe, dispersion)).float()
    flux = transform(restframe, torch.as_tensor(z)).numpy()
    flux = flux + 0.02 * np.random.default_rng(1).standard_normal(flux.shape)
    names = [f"toy-{i}" for i in range(COUNT)]
    text = [Column(n, pa.string(), "", n) for n in ("object_id", "kind", "anomaly")]
    number = [Column(n, pa.float64(), "", n) for n in ("z", "norm", "gas_dispersion")]
    kind = ["galaxy"] * (COUNT - 1) + ["star"]
    scalars = {
        "object_id": names, "kind": kind, "anomaly": ["none"] * COUNT, "z": z,
        "norm": np.ones(COUNT), "gas_dispersion": dispersion,
    }  # fmt: skip
    with SpectraWriter(folder / "s.arrow", GRID, text[:1] + number[:2]) as writer:
        columns = {name: scalars[name] for name in ("object_id", "z", "norm")}
        writer.write(columns, flux=flux, ivar=np.full(flux.shape, 2500.0))
    with SpectraWriter(folder / "t.arrow", GRID, text + number, ("flux",)) as writer:
        writer.write(scalars, flux=flux)
    return Spectra(folder / "s.arrow"), Spectra(folder / "t.arrow"), dispersion


@pytest.fixture(scope="module")
def measured(survey):
    spectra, truth, dispersion = survey
    galaxies = narrow_lines(spectra, truth, np.arange(COUNT), 10)
    fine = RedshiftTransform(GRID, z_max=0.12, oversampling=2, lsf=1.2)
    model = perfect(fine, dispersion, 5.0)
    default = perfect(RedshiftTransform(GRID, z_max=0.12), dispersion, 84.0)
    grid = grid_within(fine.restframe)

    def intrinsic(table):
        return torch.as_tensor(1 + lines(grid, table["gas_dispersion"]))

    return doublet_table(model, default, spectra, galaxies, intrinsic), model, default, galaxies


def test_part_of_a_grid_keeps_its_pixels():
    grid = WavelengthGrid("log10", 3.55, 1e-4, 600)
    part = grid_within(grid)
    inside = (grid.wavelength > 3685) & (grid.wavelength < 3775)
    np.testing.assert_allclose(part.wavelength, grid.wavelength[inside])
    np.testing.assert_allclose(grid_within(grid, 4).edges[::4], part.edges)


def test_galaxies_with_the_line_are_chosen(survey):
    spectra, truth, dispersion = survey
    chosen = narrow_lines(spectra, truth, np.arange(5, COUNT), 10)
    np.testing.assert_allclose(chosen["gas_dispersion"], dispersion[5 : COUNT - 1])
    assert narrow_lines(spectra, truth, np.arange(COUNT), 1e9).empty


def test_measures_tell_sharp_from_blurred(measured):
    table = measured[0]
    assert {column.name for column in DOUBLET_COLUMNS} == set(table)
    numbers = doublet_numbers(table)
    assert numbers["oii_resolved"]["value"] == 1
    assert numbers["oii_two_peaks"]["value"] == numbers["oii_width"]["value"] == 1
    assert numbers["oii_two_peaks_control"]["value"] == numbers["oii_width_control"]["value"] == 0
    assert numbers["oii_swapped_control"]["value"] == 0
    assert 80 < numbers["oii_widest_with_two_peaks"]["value"] < 115
    assert json.loads(json.dumps(numbers)) == numbers


def test_wrong_ratios_are_seen(measured):
    table = measured[0].assign(model_ratio=measured[0]["truth_ratio"] * 1.3)
    assert doublet_numbers(table)["oii_resolved"]["value"] == 0
    missing = measured[0].assign(model_separation=np.nan)
    assert doublet_numbers(missing)["oii_resolved"]["value"] == 0


def test_no_galaxies_give_no_numbers(survey, measured):
    _, model, default, galaxies = measured
    empty = doublet_table(model, default, survey[0], galaxies.iloc[:0], None)
    assert list(empty) == [column.name for column in DOUBLET_COLUMNS]
    assert doublet_numbers(empty) == {}
    curves = curve_table(model, default, survey[0], galaxies.iloc[:0], None, GRID)
    assert list(curves) == [column.name for column in CURVE_COLUMNS]
    assert superresolution(empty, curves).subfigs


def test_curves_are_over_their_continuum(survey, measured):
    table, model, default, galaxies = measured
    grid = grid_within(model.transform.restframe, 4)

    def intrinsic(some):
        return torch.as_tensor(5 + 5 * lines(grid, some["gas_dispersion"]))

    shown = galaxies.iloc[:3]
    curves = curve_table(model, default, survey[0], shown, intrinsic, grid)
    assert set(curves["curve"]) == {"observed", "truth", "model", "default"}
    beside = curves.query("wavelength < 3710")
    assert beside.groupby("curve")["flux"].median().to_numpy() == pytest.approx(1, abs=0.02)
    assert (curves.query("curve == 'observed'")["error"] > 0).all()
    peak = curves.groupby(["object_id", "curve"])["flux"].max().unstack()
    assert (peak["default"] < 0.8 * peak["truth"]).all()
    figure = superresolution(table, curves)
    assert sum(len(part.axes) for part in figure.subfigs) == 6
