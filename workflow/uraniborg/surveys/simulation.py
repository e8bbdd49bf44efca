"""Simulated surveys of spectra: galaxies, stars, quasars and contaminants through a spectrograph.

Objects are drawn and observed in fixed blocks with random numbers of their own, so that object i is
the same however the survey is cut into shards, and memory does not grow with the survey. Galaxies
that contaminants spare are the same to the last bit as in a survey without contaminants.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.rebinning import resample_spectra
from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.progress import Progress
from uraniborg.surveys.contamination import ANOMALY_COLUMNS, Contaminants, extent
from uraniborg.surveys.population import (
    FORMATION_COLUMNS,
    Resources,
    galaxies_only,
    kinds,
    objects_of,
    point_source_limit,
    redshift_errors,
)
from uraniborg.surveys.preparation import Observations, prepare, quarantine_table
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.sources import (
    Galaxies,
    PointSources,
    quasar_view,
    quasars,
    star_view,
    stars,
)
from uraniborg.tables import QUARANTINE_COLUMNS, Column, SpectraWriter, write_table
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.contaminants import NONE
from uraniborg.universe.galaxy_population import galaxy_columns

__all__ = ["Block", "SpectroscopicSky", "simulate"]

# Temperatures in K between the spectral classes M, K, G, F, A, B and O.
_CLASSES, _CLASS_EDGES = "MKGFABO", (3800.0, 5200.0, 6000.0, 7500.0, 10000.0, 30000.0)
_DEGENERATE = 6.0


class Block(NamedTuple):
    """A block of objects: what is seen of them, and the truth.

    Args:
        observations: As a survey delivers them.
        truth: Scalar columns of the truth table but for `object_id`, each of shape (BLOCK_SIZE,).
        flux: Noiseless flux with the flux-calibration error, so that what remains of the observed
            flux is noise alone, shape (BLOCK_SIZE, M).
        anomaly_flux: What anomalies contribute to it, of the same shape.
    """

    observations: Observations
    truth: dict[str, np.ndarray]
    flux: np.ndarray
    anomaly_flux: np.ndarray


class SpectroscopicSky:
    """Objects of a simulated survey as its spectrograph sees them.

    Args:
        survey: Its section `universe` says which objects.
        spectrograph: What observes them.
        resources: What the universe is made from.

    Raises:
        UserError: The fractions of stars and quasars, or the rates of contaminants, exceed one.

    Example:
        >>> sky = SpectroscopicSky(survey, spectrograph("sdss"), resources)
        >>> sky.block(0).observations.flux.shape
        (256, 3921)
    """

    def __init__(self, survey: Survey, spectrograph: Spectrograph, resources: Resources) -> None:
        self.survey, self.spectrograph, self.resources = survey, spectrograph, resources
        self.galaxies = Galaxies(survey, spectrograph, resources)
        self.contaminants = Contaminants(survey, spectrograph, self.galaxies, resources)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Scalar columns of the truth shards, in order."""

        return (
            Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
            *ANOMALY_COLUMNS,
            *galaxy_columns(self.galaxies.population.history),
            *FORMATION_COLUMNS,
            *self._source_columns,
        )

    @property
    def vectors(self) -> tuple[str, ...]:
        """Vector columns of the truth shards."""

        return ("flux", "anomaly_flux") if self.contaminants.rates else ("flux",)

    @cached_property
    def _source_columns(self) -> tuple[Column, ...]:
        """Of stars and quasars in the survey, be it as contaminants."""

        columns = [column for source in self._sources.values() for column in source.columns]
        columns += self.contaminants.columns
        return tuple({column.name: column for column in columns}.values())

    @cached_property
    def _sources(self) -> dict[str, PointSources]:
        """The stars and quasars that the survey consists of, if there are any."""

        universe, files, sources = self.survey.universe, self.resources, {}
        limit, seed = point_source_limit(self.survey), self.survey.seed
        if universe["stars"] > 0:
            view = star_view(self.spectrograph)
            sources["star"] = stars(files.star_basis, view, limit, seed)
        if universe["quasars"] > 0:
            view = quasar_view(self.spectrograph)
            sources["quasar"] = quasars(files.quasar_lines, view, limit, seed)
        return sources

    def block(self, block: int) -> Block:
        """The objects of one block.

        Args:
            block: Its number.
        """

        seed = self.survey.seed
        random = generator(seed, block, "observation")
        noise = torch.Generator().manual_seed(int(random.integers(2**63)))
        ra = random.uniform(0, 360, BLOCK_SIZE)
        dec = np.degrees(np.arcsin(random.uniform(-1, 1, BLOCK_SIZE)))
        redshift_error = random.standard_normal(BLOCK_SIZE)

        galaxies = self.galaxies.sample(block, seed)
        catalogued = kinds(self.survey, block)
        anomaly = np.where(catalogued == "galaxy", self.contaminants.kinds(block), NONE)
        truth = {name: values.copy() for name, values in galaxies.items()}
        truth |= {column.name: np.full(BLOCK_SIZE, np.nan) for column in self._source_columns}
        truth |= {
            "kind": catalogued.copy(),
            "anomaly": anomaly,
            "anomaly_strength": np.full(BLOCK_SIZE, np.nan),
        }
        with torch.inference_mode():
            clean, covered = self._look(block, galaxies, truth)
            z = truth["z"].copy()
            before = clean.clone()
            for kind in np.unique(anomaly[anomaly != NONE]):
                rows = np.flatnonzero(anomaly == kind)
                self._change(kind, block, rows, galaxies, clean, z, truth)
            flux, ivar, noiseless = (
                array.numpy() for array in self.spectrograph.expose(clean, covered, noise)
            )
            changed = {name: truth[name] for name in galaxies} | {"z": galaxies["z"]}
            truth |= self.galaxies.model.formation(changed)
        anomaly_flux = self._anomaly(block, before, clean, flux, noiseless, truth)
        struck = np.flatnonzero(anomaly != NONE)
        found = extent(self.spectrograph.grid.wavelength, anomaly_flux[struck], ivar[struck])
        for name, values in zip(found._fields, found, strict=True):
            column = np.full(BLOCK_SIZE, 0.0 if name == "significance" else np.nan)
            column[struck] = values
            truth[f"anomaly_{name}"] = column

        number = np.arange(BLOCK_SIZE * block, BLOCK_SIZE * (block + 1))
        z_err = redshift_errors(catalogued)
        scalars = {
            "object_id": np.array([f"{self.survey.name}-{i:08d}" for i in number], object),
            "ra": ra,
            "dec": dec,
            "z": z + z_err * redshift_error,
            "z_err": z_err,
            "zwarning": np.zeros(BLOCK_SIZE, np.int64),
            **_classification(catalogued, galaxies["quiescent"], truth),
        }
        wavelength = np.broadcast_to(self.spectrograph.grid.wavelength, flux.shape)
        bad = np.zeros(flux.shape, bool)
        observations = Observations(scalars, wavelength, flux, ivar, bad)
        return Block(observations, self._table(truth, galaxies), noiseless, anomaly_flux)

    def _look(
        self, block: int, galaxies: Mapping[str, np.ndarray], truth: dict[str, np.ndarray]
    ) -> tuple[Tensor, Tensor]:
        """Noiseless flux in observed pixels and whether it is known, both (BLOCK_SIZE, M).

        Fills the truth about stars and quasars in.
        """

        size = self.spectrograph.grid.size
        clean, covered = torch.zeros(BLOCK_SIZE, size), torch.ones(BLOCK_SIZE, size).bool()
        for kind in np.unique(truth["kind"]):
            rows = np.flatnonzero(truth["kind"] == kind)
            if kind == "galaxy":
                parameters = {name: values[rows] for name, values in galaxies.items()}
                clean[rows] = self.galaxies.view(parameters)
                covered[rows] = self.galaxies.covered(parameters["z"])
            else:
                # Grids of stars and quasars reach beyond the spectrograph's at all redshifts.
                source = self._sources[kind]
                parameters = source.sample(block, rows)
                clean[rows] = source.view(parameters)
                _set(truth, rows, {"z": parameters["z"], **source.truth(parameters)})
        return clean, covered

    def _change(
        self,
        kind: str,
        block: int,
        rows: np.ndarray,
        galaxies: Mapping[str, np.ndarray],
        clean: Tensor,
        z: np.ndarray,
        truth: dict[str, np.ndarray],
    ) -> None:
        """Lets what happens on the sky happen: to the flux, catalogued redshifts and the truth."""

        here = {name: values[rows] for name, values in galaxies.items()}
        change = self.contaminants.on_the_sky(kind, block, rows, here, clean[rows])
        if change is None:
            return
        clean[rows] = change.clean
        if change.z_catalogue is not None:
            z[rows] = change.z_catalogue
        strength = {"anomaly_strength": change.strength}
        _set(truth, rows, {"kind": change.kind, **strength, **change.truth})

    def _anomaly(
        self,
        block: int,
        before: Tensor,
        clean: Tensor,
        flux: np.ndarray,
        noiseless: np.ndarray,
        truth: dict[str, np.ndarray],
    ) -> np.ndarray:
        """What anomalies contribute, (BLOCK_SIZE, M); those in the instrument happen here."""

        anomaly_flux = np.zeros(flux.shape, np.float32)
        for kind in np.unique(truth["anomaly"][truth["anomaly"] != NONE]):
            rows = np.flatnonzero(truth["anomaly"] == kind)
            happened = self.contaminants.in_the_instrument(kind, block, rows, noiseless[rows])
            if happened is None:
                # Light on the sky is miscalibrated like all light.
                observed = clean[rows].numpy()
                error = np.divide(
                    noiseless[rows], observed, out=np.ones_like(observed), where=observed != 0
                )
                anomaly_flux[rows] = (observed - before[rows].numpy()) * error
            else:
                strength, added = happened
                _set(truth, rows, {"anomaly_strength": strength})
                anomaly_flux[rows] = added
                flux[rows] += anomaly_flux[rows]
                noiseless[rows] += anomaly_flux[rows]
        return anomaly_flux

    def _table(
        self, truth: Mapping[str, np.ndarray], galaxies: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The truth by the names of `columns`; galaxies' parameters are NaN for what is none."""

        history = self.galaxies.population.history
        table = dict(truth)
        names = [column.name for column in history.columns]
        table |= dict(zip(names, table.pop("history").T, strict=True))
        formation = (column.name for column in FORMATION_COLUMNS)
        of_galaxies = {*galaxies, *names, *formation} - {"history"}
        return galaxies_only(table, of_galaxies, truth["kind"])


def simulate(
    survey: Survey,
    shard: int,
    resources: Resources,
    spectrograph: Spectrograph,
    spectra: str | Path,
    truth: str | Path,
    quarantine: str | Path,
) -> None:
    """Writes one shard of a simulated survey.

    Args:
        survey: Says how many objects, from which population, and what to select.
        shard: Number of the shard.
        resources: What the universe is made from.
        spectrograph: What observes the objects.
        spectra: Arrow file to write, `uraniborg.tables.SPECTRUM_COLUMNS`, flux and ivar.
        truth: Arrow file to write, row by row those of `spectra`: see `SpectroscopicSky.columns`.
        quarantine: Parquet file to write: objects that the selection leaves out.
    """

    sky, grid = SpectroscopicSky(survey, spectrograph, resources), survey.grid
    start, stop = objects_of(survey, shard)
    seen: set[str] = set()
    left_out: list[dict[str, str]] = []
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    with (
        SpectraWriter(spectra, grid, metadata=metadata) as spectra_writer,
        SpectraWriter(truth, grid, sky.columns, sky.vectors, metadata) as truth_writer,
        Progress(stop - start, f"simulating {survey.name} {shard:04d}", "objects") as progress,
    ):
        for number, part in blocks(start, stop):
            block = sky.block(number)
            here = _rows(block.observations, part)
            scalars, flux, ivar = prepare(here, survey.name, survey, grid, seen, left_out)
            kept = part.start + np.flatnonzero(
                np.isin(here.scalars["object_id"], scalars["object_id"])
            )
            spectra_writer.write(scalars, flux=flux, ivar=ivar)
            truth_scalars = {name: values[kept] for name, values in block.truth.items()}
            truth_scalars["object_id"] = scalars["object_id"]
            vectors = {
                name: _on(grid, spectrograph.grid, getattr(block, name)[kept])
                for name in sky.vectors
            }
            truth_writer.write(truth_scalars, **vectors)
            progress.advance(part.stop - part.start)
    write_table(quarantine, quarantine_table(left_out), QUARANTINE_COLUMNS, metadata)


def _on(grid: WavelengthGrid, native: WavelengthGrid, flux: np.ndarray) -> np.ndarray:
    """Noiseless flux (N, native.size) on the survey's grid."""

    if grid == native:
        return flux
    known = torch.from_numpy(flux)
    return resample_spectra(
        known, torch.ones_like(known), torch.from_numpy(native.wavelength), grid
    ).flux.numpy()


def _set(
    truth: dict[str, np.ndarray], rows: np.ndarray, values: Mapping[str, np.ndarray | str]
) -> None:
    for name, new in values.items():
        truth[name][rows] = new


def _classification(
    catalogued: np.ndarray, quiescent: np.ndarray, truth: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Class and subclass as the catalogue has them."""

    spectype, subclass = np.full((2, BLOCK_SIZE), "", object)
    for name, kind in (("GALAXY", "galaxy"), ("STAR", "star"), ("QSO", "quasar")):
        spectype[catalogued == kind] = name
    subclass[:] = np.where(quiescent, "QUIESCENT", "STARFORMING")
    subclass[catalogued == "quasar"] = "BROADLINE"
    rows = np.flatnonzero(catalogued == "star")
    if len(rows):
        letters = np.array(list(_CLASSES), object)
        classes = letters[np.searchsorted(_CLASS_EDGES, truth["star_temperature"][rows])]
        subclass[rows] = np.where(truth["star_log_g"][rows] > _DEGENERATE, "WD", classes)
    return {"spectype": spectype, "subclass": subclass}


def _rows(observations: Observations, part: slice) -> Observations:
    scalars = {name: values[part] for name, values in observations.scalars.items()}
    arrays = (observations.wavelength, observations.flux, observations.ivar, observations.bad)
    return Observations(scalars, *(array[part] for array in arrays))
