"""Simulated photometric surveys: the universe as photometers see it."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.instruments.photometer import Photometer
from uraniborg.progress import Progress
from uraniborg.surveys.point_sources import PointSourceFluxes
from uraniborg.surveys.population import (
    FORMATION_COLUMNS,
    REDSHIFT_ERROR,
    galaxy_population,
    kinds,
    objects_of,
)
from uraniborg.surveys.readers.catalogue import OBJECT_COLUMNS, table_columns
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column, TableWriter
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.galaxy_population import galaxy_columns
from uraniborg.universe.photometry import read_filter
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
        ssp_grid: The file of the rule `ssp_grid`.
        hyperparameters: The file of the rule `population_fit`.
        dust_emission: The file of the rule `dust_emission`.
        star_basis: The file of the rule `star_basis`, for a survey with stars.
        quasar_lines: The file of the rule `quasar_lines`, for a survey with quasars.

    Example:
        >>> sky = PhotometricSky(survey, photometer("sdss"), ssp_grid, hyperparameters, dust)
        >>> seen, true = sky.observe(0, 1000)
    """

    def __init__(
        self,
        survey: Survey,
        photometer: Photometer,
        ssp_grid: str | Path,
        hyperparameters: str | Path,
        dust_emission: str | Path,
        star_basis: str | Path = "",
        quasar_lines: str | Path = "",
    ) -> None:
        self.survey, self.photometer = survey, photometer
        self.population = galaxy_population(survey, ssp_grid, hyperparameters)
        filters = [read_filter(band.filter) for band in photometer.bands]
        grid = band_grid(filters, self.population.z_max)
        infrared = grid.edges[-1] > _INFRARED
        if infrared:
            grid = band_grid(filters, self.population.z_max, low=LYMAN_LIMIT)
        emission = dust_emission if infrared else None
        self.options = {"velocities": False, "dust_emission": emission}
        self.model = self.population.model(grid, **self.options)
        self.bands = BandFluxes(filters, grid)
        others = {"star": ("stars", star_basis), "quasar": ("quasars", quasar_lines)}
        self.point_sources = {
            kind: PointSourceFluxes(kind, survey, filters, resource)
            for kind, (share, resource) in others.items()
            if survey.universe.get(share)
        }

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
            flux[rows], drawn = source.observe(block, rows)
            parameters["z"][rows] = drawn["z"]
            parameters["angular_radius"][rows] = _POINT_RADIUS
            for column in source.columns:
                values = np.full(BLOCK_SIZE, np.nan)
                values[rows] = drawn[column.name.removeprefix(f"{name}_")]
                of_others[column.name] = values
        ebv = _EBV_MEDIAN * np.exp(_EBV_WIDTH * random.standard_normal(BLOCK_SIZE))
        number = np.arange(first, first + BLOCK_SIZE)
        object_id = np.array([f"{self.survey.name}-{i:08d}" for i in number], object)
        seen = {
            "object_id": object_id,
            "ra": random.uniform(0, 360, BLOCK_SIZE),
            "dec": np.degrees(np.arcsin(random.uniform(-1, 1, BLOCK_SIZE))),
            "z": parameters["z"] + REDSHIFT_ERROR * random.standard_normal(BLOCK_SIZE),
            "z_err": np.full(BLOCK_SIZE, REDSHIFT_ERROR),
            "ebv": ebv,
        }
        measured = self.photometer.observe(flux, ebv, random, parameters["angular_radius"])
        history = parameters.pop("history").T
        names = [column.name for column in self.population.history.columns]
        bands = self.photometer.bands
        of_galaxies = {**parameters, **dict(zip(names, history, strict=True)), **formation}
        other = kind != "galaxy"
        if other.any():
            for name in of_galaxies.keys() - {"z"}:
                empty = None if name == "quiescent" else np.nan
                values = of_galaxies[name].astype(object if empty is None else float)
                of_galaxies[name] = np.where(other, empty, values)
        true = {
            "object_id": object_id,
            "kind": kind,
            **of_galaxies,
            **of_others,
            **{f"{band.name}_flux": flux[:, i] for i, band in enumerate(bands)},
        }
        return pd.DataFrame({**seen, **measured.table(bands)}), pd.DataFrame(true)


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
