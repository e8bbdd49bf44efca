"""Simulated surveys: galaxies of the universe as a spectrograph sees them.

Objects are drawn and observed in fixed blocks with random numbers of their own, so that object i is
the same however the survey is cut into shards, and memory does not grow with the survey.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.progress import Progress
from uraniborg.surveys.preparation import Observations, prepare, quarantine_table
from uraniborg.surveys.registry import Survey
from uraniborg.tables import QUARANTINE_COLUMNS, Column, SpectraWriter, write_table
from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import GalaxyPopulation, galaxy_columns

__all__ = ["REDSHIFT_ERROR", "TRUTH_COLUMNS", "objects_of", "rest_grid", "simulate"]

REDSHIFT_ERROR = 1e-5
"""Standard error of redshifts, typical of bright SDSS galaxies (column Z_ERR of their spectra)."""

TRUTH_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    *galaxy_columns(),
)
"""Scalar columns of the truth shards; their vector column is the noiseless `flux`."""


def simulate(
    survey: Survey,
    shard: int,
    ssp_grid: str | Path,
    spectrograph: Spectrograph,
    spectra: str | Path,
    truth: str | Path,
    quarantine: str | Path,
) -> None:
    """Writes one shard of a simulated survey.

    The noiseless flux of the truth shard includes the flux-calibration error, so that what remains
    of the observed flux is noise alone.

    Args:
        survey: Says how many objects, from which population, and what to select.
        shard: Number of the shard.
        ssp_grid: The file of the rule `ssp_grid`.
        spectrograph: What observes the galaxies.
        spectra: Arrow file to write, `uraniborg.tables.SPECTRUM_COLUMNS`, flux and ivar.
        truth: Arrow file to write, `TRUTH_COLUMNS` and flux, row by row those of `spectra`.
        quarantine: Parquet file to write: objects that the selection leaves out.
    """

    population = GalaxyPopulation(**survey.universe)
    model = GalaxyModel(ssp_grid, rest_grid(spectrograph, population.z_max))
    start, stop = objects_of(survey, shard)
    seen: set[str] = set()
    left_out: list[dict[str, str]] = []
    metadata = {"survey": survey.name, "instrument": survey.instrument, "data": survey.data}
    grid = spectrograph.grid
    with (
        SpectraWriter(spectra, grid, metadata=metadata) as spectra_writer,
        SpectraWriter(truth, grid, TRUTH_COLUMNS, ("flux",), metadata) as truth_writer,
        Progress(stop - start, f"simulating {survey.name} {shard:04d}", "galaxies") as progress,
    ):
        for block, part in blocks(start, stop):
            observations, parameters, noiseless = _observe_block(
                survey, block, population, model, spectrograph
            )
            here = _rows(observations, part)
            scalars, flux, ivar = prepare(here, survey.name, survey, grid, seen, left_out)
            kept = part.start + np.flatnonzero(
                np.isin(here.scalars["object_id"], scalars["object_id"])
            )
            spectra_writer.write(scalars, flux=flux, ivar=ivar)
            truth_scalars = {name: values[kept] for name, values in parameters.items()}
            truth_scalars["object_id"] = scalars["object_id"]
            truth_writer.write(truth_scalars, flux=noiseless[kept])
            progress.advance(part.stop - part.start)
    write_table(quarantine, quarantine_table(left_out), QUARANTINE_COLUMNS, metadata)


def objects_of(survey: Survey, shard: int) -> tuple[int, int]:
    """First object of a shard and the first of the next, whole blocks but for the survey's end."""

    total = -(-survey.objects // BLOCK_SIZE)
    edges = [total * k // survey.shards * BLOCK_SIZE for k in (shard, shard + 1)]
    return edges[0], min(edges[1], survey.objects)


def rest_grid(spectrograph: Spectrograph, z_max: float) -> WavelengthGrid:
    """The rest-frame grid that galaxies are computed on: half the spectrograph's pixels, so that
    resampling does not broaden lines."""

    observed = spectrograph.grid
    fine = WavelengthGrid(
        "log10", observed.start - observed.step / 4, observed.step / 2, 2 * observed.size
    )
    return fine.restframe(z_max, margin=32)


def _observe_block(
    survey: Survey,
    block: int,
    population: GalaxyPopulation,
    model: GalaxyModel,
    spectrograph: Spectrograph,
) -> tuple[Observations, dict[str, np.ndarray], np.ndarray]:
    """A block of galaxies: what is seen of them, their parameters, and their noiseless flux."""

    first = block * BLOCK_SIZE
    parameters = population.sample(first, first + BLOCK_SIZE, survey.seed)
    random = generator(survey.seed, block, "observation")
    noise = torch.Generator().manual_seed(int(random.integers(2**63)))
    z = torch.as_tensor(parameters["z"])
    with torch.inference_mode():
        flux, ivar, truth = spectrograph.observe(model.flux(parameters), model.grid, z, noise)
    number = np.arange(first, first + BLOCK_SIZE)
    scalars = {
        "object_id": np.array([f"{survey.name}-{i:08d}" for i in number], object),
        "ra": random.uniform(0, 360, BLOCK_SIZE),
        "dec": np.degrees(np.arcsin(random.uniform(-1, 1, BLOCK_SIZE))),
        "z": parameters["z"] + REDSHIFT_ERROR * random.standard_normal(BLOCK_SIZE),
        "z_err": np.full(BLOCK_SIZE, REDSHIFT_ERROR),
        "zwarning": np.zeros(BLOCK_SIZE, np.int64),
        "spectype": np.full(BLOCK_SIZE, "GALAXY", object),
        "subclass": np.where(parameters["quiescent"], "QUIESCENT", "STARFORMING").astype(object),
    }
    wavelength = np.broadcast_to(spectrograph.grid.wavelength, flux.shape)
    observations = Observations(
        scalars, wavelength, flux.numpy(), ivar.numpy(), np.zeros(flux.shape, bool)
    )
    fractions = parameters.pop("fractions")
    parameters |= {f"fraction_{i}": fractions[:, i] for i in range(fractions.shape[1])}
    return observations, parameters, truth.numpy()


def _rows(observations: Observations, part: slice) -> Observations:
    scalars = {name: values[part] for name, values in observations.scalars.items()}
    arrays = (observations.wavelength, observations.flux, observations.ivar, observations.bad)
    return Observations(scalars, *(array[part] for array in arrays))
