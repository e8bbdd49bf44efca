"""Simulated photometric surveys: the universe as photometers see it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.instruments.photometer import Photometer
from uraniborg.progress import Progress
from uraniborg.surveys.population import (
    FORMATION_COLUMNS,
    Resources,
    galaxies_only,
    galaxy_population,
    kinds,
    objects_of,
    point_source_limit,
    redshift_errors,
)
from uraniborg.surveys.readers.catalogue import OBJECT_COLUMNS, table_columns
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.sources import QUASAR_Z, STAR_Z, PointSources, View, quasars, stars
from uraniborg.tables import Column, TableWriter
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.galaxy_population import galaxy_columns
from uraniborg.universe.photometry import FilterCurve, read_filter
from uraniborg.universe.ssp_grid import LYMAN_LIMIT

__all__ = [
    "PhotometricSky",
    "simulate_photometry",
]

# Galactic E(B-V) of SDSS main-sample galaxies: log-normal, median and width as in the catalogue
# of 10,000 galaxies that kcorrect tests with (16, 50 and 84%: 0.013, 0.026, 0.049).
_EBV_MEDIAN, _EBV_WIDTH = 0.026, 0.66
# Rest wavelength in Angstrom beyond which dust emits visibly.
_INFRARED = 25000.0
# Half-light radius in arcsec of the image of a point source of SDSS.
_POINT_RADIUS = 0.7
# Objects that are written together.
_CHUNK = 16 * BLOCK_SIZE


class PhotometricSky:
    """Galaxies, stars and quasars of a simulated survey as its photometer sees them.

    Args:
        survey: Says which population.
        photometer: What observes the galaxies.
        resources: What the universe is made from.

    Raises:
        UserError: The fractions of stars and quasars exceed one, or there are contaminants.

    Example:
        >>> sky = PhotometricSky(survey, photometer("sdss"), resources)
        >>> seen, true = sky.observe(0, 1000)
    """

    def __init__(self, survey: Survey, photometer: Photometer, resources: Resources) -> None:
        self.survey, self.photometer = survey, photometer
        self.population = galaxy_population(survey, resources)
        filters = [read_filter(band.filter) for band in photometer.bands]
        grid = band_grid(filters, self.population.z_max)
        infrared = grid.edges[-1] > _INFRARED
        if infrared:
            grid = band_grid(filters, self.population.z_max, low=LYMAN_LIMIT)
        emission = resources.dust_emission if infrared else None
        self.options = {"velocities": False, "dust_emission": emission}
        self.model = self.population.model(grid, **self.options)
        self.bands = BandFluxes(filters, grid)
        self.point_sources = _point_sources(survey, filters, resources)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the catalogue."""

        return table_columns(self.photometer.bands)

    @property
    def truth_columns(self) -> tuple[Column, ...]:
        """Parameters, and noiseless fluxes without Galactic extinction."""

        return (
            OBJECT_COLUMNS[0],
            Column("kind", pa.string(), "", "What it is: galaxy, star or quasar"),
            *galaxy_columns(self.population.history),
            *FORMATION_COLUMNS,
            *(column for source in self.point_sources.values() for column in source.columns),
            *(
                Column(f"{band.name}_flux", pa.float64(), "nmgy", f"Noiseless flux in {band.name}")
                for band in self.photometer.bands
            ),
        )

    def with_values(self, values: Mapping[str, float]) -> Self:
        """The same with other hyperparameters."""

        other = copy.copy(self)
        other.population = replace(
            self.population, values={**self.population.hyperparameters, **values}
        )
        other.model = other.population.model(self.model.grid, **self.options)
        return other

    def observe(self, start: int, stop: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Objects `start` to `stop`: the catalogue and the truth, row by row."""

        seen, true = [], []
        for block, part in blocks(start, stop):
            both = self._block(block)
            seen.append(both[0][part])
            true.append(both[1][part])
        return pd.concat(seen, ignore_index=True), pd.concat(true, ignore_index=True)

    def _block(self, block: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        first = block * BLOCK_SIZE
        seed = self.survey.seed
        parameters = self.population.sample(first, first + BLOCK_SIZE, seed)
        random = generator(seed, block, "photometry")
        with torch.inference_mode():
            flux = self.bands(self.model.flux(parameters), torch.as_tensor(parameters["z"]))
            formation = self.model.formation(parameters)
        flux = flux.double().numpy()
        kind, of_others = kinds(self.survey, block), {}
        for name, source in self.point_sources.items():
            rows = np.flatnonzero(kind == name)
            drawn = source.sample(block, rows)
            flux[rows] = source.view(drawn).double().numpy()
            parameters["z"][rows] = drawn["z"]
            parameters["angular_radius"][rows] = _POINT_RADIUS
            for column, values in source.truth(drawn).items():
                of_others[column] = np.full(BLOCK_SIZE, np.nan)
                of_others[column][rows] = values
        ebv = _EBV_MEDIAN * np.exp(_EBV_WIDTH * random.standard_normal(BLOCK_SIZE))
        z_err = redshift_errors(kind)
        number = np.arange(first, first + BLOCK_SIZE)
        object_id = np.array([f"{self.survey.name}-{i:08d}" for i in number], object)
        seen = {
            "object_id": object_id,
            "ra": random.uniform(0, 360, BLOCK_SIZE),
            "dec": np.degrees(np.arcsin(random.uniform(-1, 1, BLOCK_SIZE))),
            "z": parameters["z"] + z_err * random.standard_normal(BLOCK_SIZE),
            "z_err": z_err,
            "ebv": ebv,
        }
        measured = self.photometer.observe(flux, ebv, random, parameters["angular_radius"])
        history = parameters.pop("history").T
        names = [column.name for column in self.population.history.columns]
        bands = self.photometer.bands
        of_galaxies = {**parameters, **dict(zip(names, history, strict=True)), **formation}
        true = {
            "object_id": object_id,
            "kind": kind,
            **galaxies_only(of_galaxies, of_galaxies, kind),
            **of_others,
            **{f"{band.name}_flux": flux[:, i] for i, band in enumerate(bands)},
        }
        return pd.DataFrame({**seen, **measured.table(bands)}), pd.DataFrame(true)


def _point_sources(
    survey: Survey, filters: Sequence[FilterCurve], resources: Resources
) -> dict[str, PointSources]:
    """The stars and quasars of a survey, if there are any."""

    universe, limit, sources = survey.universe, point_source_limit(survey), {}
    if universe.get("stars"):
        view = _view(filters, *STAR_Z)
        sources["star"] = stars(resources.star_basis, view, limit, survey.seed)
    if universe.get("quasars"):
        view = _view(filters, *QUASAR_Z)
        sources["quasar"] = quasars(resources.quasar_lines, view, limit, survey.seed)
    return sources


def _view(filters: Sequence[FilterCurve], z_min: float, z_max: float) -> View:
    grid = band_grid(filters, z_max, z_min)
    return View(grid, BandFluxes(filters, grid))


def simulate_photometry(
    sky: PhotometricSky, shard: int, catalogue: str | Path, truth: str | Path
) -> None:
    """Writes one shard of a simulated photometric survey.

    Args:
        sky: The survey.
        shard: Number of the shard.
        catalogue: Parquet file to write, `PhotometricSky.columns`.
        truth: Parquet file to write, `PhotometricSky.truth_columns`, row by row.
    """

    survey = sky.survey
    start, stop = objects_of(survey, shard)
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    with (
        TableWriter(catalogue, sky.columns, metadata) as seen_writer,
        TableWriter(truth, sky.truth_columns, metadata) as truth_writer,
        Progress(stop - start, f"simulating {survey.name} {shard:04d}", "galaxies") as progress,
    ):
        for first in range(start, stop, _CHUNK):
            last = min(first + _CHUNK, stop)
            seen, true = sky.observe(first, last)
            seen_writer.write(seen)
            truth_writer.write(true)
            progress.advance(last - first)
