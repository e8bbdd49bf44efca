"""Times the simulation of surveys, and photometry with its gradients, and measures memory."""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

import uraniborg
from uraniborg.benchmarks import compare, measured
from uraniborg.grids import WavelengthGrid
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.surveys.registry import Survey
from uraniborg.universe.bagpipes import photometry_updates
from uraniborg.universe.band_fluxes import BandFluxes, band_grid
from uraniborg.universe.comparison import PHOTOMETRY_EDGES, draw_photometry_galaxies
from uraniborg.universe.galaxies import GalaxyModel
from uraniborg.universe.galaxy_population import GalaxyPopulation
from uraniborg.universe.histories import DirichletHistory
from uraniborg.universe.photometry import read_filter

UGRIZ = [f"sdss_{band}0" for band in "ugriz"]
FILTERS = [read_filter(name) for name in UGRIZ]
Z_MAX = 0.5
FREE = ("z", "stellar_mass", "history", "log_metallicity", "A_V", "birth_cloud_ratio", "dust_slope")
FREE += ("gas_metallicity", "log_u", "agn_luminosity", "agn_ionisation")
UNIVERSE = {
    "z_min": 0.003,
    "z_max": 0.4,
    "limits": {"sdss_r0": {"magnitude": 17.7, "width": 0.09}},
    "luminous_red": False,
    "basis": "dirichlet",
    "hyperparameters": "fitted",
    "values": {},
}
MIXTURE = {"stars": 0.0, "quasars": 0.0, "contaminants": {}}
SURVEY = {"description": "", "source": "simulate", "seed": 1}
PHOTOMETRY = Survey(
    name="photometry", kind="photometry", instrument="sdss+wise", universe=UNIVERSE, **SURVEY
)
SPECTRA = Survey(
    name="spectra", kind="spectra", instrument="sdss", universe=UNIVERSE | MIXTURE, **SURVEY
)


def simulated(survey: Survey, processes: int, inputs: dict[str, str], folder: str) -> list[float]:
    """Simulates a survey, as many shards as processes; the peaks of their memory in MB."""

    script = Path(snakemake.scriptdir) / "universe_shard.py"
    survey = replace(survey, shards=processes)
    started = []
    for shard in range(processes):
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        about = {"survey": survey.settings, "shard": shard, "inputs": inputs, "folder": folder}
        process.stdin.write(json.dumps(about))
        process.stdin.close()
        started.append(process)
    peaks = [json.loads(process.stdout.read()) for process in started]
    if any(process.wait() for process in started):
        raise RuntimeError("a shard could not be simulated; see this log.")
    return peaks


def interpolated(model: GalaxyModel, p: dict[str, Tensor]) -> Tensor:
    """Fluxes in bands without tricks: transmissions interpolated at every galaxy's wavelengths."""

    observed = torch.as_tensor(model.grid.wavelength) * (1 + p["z"][:, None])
    flux, columns = model.flux(p), []
    for curve in FILTERS:
        wavelength, transmission = (torch.as_tensor(x.astype(np.float64)) for x in curve)
        right = torch.searchsorted(wavelength, observed.detach()).clamp(1, len(wavelength) - 1)
        share = (observed - wavelength[right - 1]) / (wavelength[right] - wavelength[right - 1])
        value = transmission[right - 1].lerp(transmission[right], share.clamp(0, 1))
        weight = (value * observed).to(flux.dtype)
        columns.append(torch.trapezoid(flux * weight, observed.to(flux.dtype)))
    return torch.stack(columns, dim=1)


def gradients(fluxes, parameters: dict[str, Tensor], batch: int) -> None:
    """Forward and backward, for every parameter of every galaxy."""

    for start in range(0, len(parameters["z"]), batch):
        leaves = {name: x[start : start + batch].requires_grad_() for name, x in parameters.items()}
        fluxes(leaves).sum().backward()


def of_survey(
    survey: Survey, objects: int, what: str, threads: int, inputs: dict[str, str]
) -> list[dict[str, object]]:
    """The time that a survey takes, one shard per thread, and memory for a quarter of it."""

    peaks: list[float] = []
    whole, few = (replace(survey, objects=n) for n in (objects, objects // (4 * threads)))
    with TemporaryDirectory() as folder:
        row = compare(
            f"simulate {what}, from drawing to files",
            lambda: peaks.extend(simulated(whole, threads, inputs, folder)),
            None,
            objects=objects,
            unit="galaxies / s",
            threads=threads,
            repetitions=1,
        )
        quarter = max(simulated(few, 1, inputs, folder))
    memory = measured(
        f"peak memory of a shard, {what}",
        max(peaks),
        quarter,
        objects=objects // threads,
        unit="MB",
        threads=1,
        peer_name="a quarter of the galaxies, uraniborg",
        peer_version=uraniborg.__version__,
    )
    return [row, memory]


def of_gradients(ssp_grid: str, count: int, threads: int) -> dict[str, object]:
    """Photometry and its gradients, beside spectra of full resolution."""

    grid = band_grid(FILTERS, Z_MAX)
    population = GalaxyPopulation(ssp_grid, Z_MAX)
    model, bands = population.model(grid, velocities=False), BandFluxes(FILTERS, grid)
    ratio = round(grid.step / 1e-4)
    fine = WavelengthGrid("log10", grid.start, grid.step / ratio, ratio * (grid.size - 1))
    finely = population.model(fine, velocities=False)
    drawn = population.sample(0, count, seed=1)
    parameters = {
        name: torch.as_tensor(drawn[name], dtype=torch.float64 if name == "z" else torch.float32)
        for name in FREE
    }
    # Every galaxy has a nucleus, be it a faint one: the gradient of none is not defined.
    parameters["agn_luminosity"] = parameters["agn_luminosity"].clamp(min=3)
    return compare(
        "photometry in 5 bands with gradients of all parameters",
        lambda: gradients(lambda p: bands(model.flux(p), p["z"]), parameters, count),
        # All at once would not fit into memory.
        lambda: gradients(partial(interpolated, finely), parameters, 200),
        objects=count,
        unit="galaxies / s",
        threads=threads,
        peer_name="full resolution, 1e-4 dex, torch",
        peer_version=torch.__version__,
        repetitions=3,
    )


def of_photometry(ssp_grid: str, count: int, threads: int) -> dict[str, object]:
    """Photometry alone, beside bagpipes, which takes one galaxy after the other."""

    table = draw_photometry_galaxies(count, seed=1)
    galaxies = {
        name: table[name].to_numpy(copy=True)
        for name in table
        if name != "galaxy" and not name.startswith("fraction_")
    }
    galaxies["history"] = table.filter(regex="^fraction_").to_numpy(copy=True)
    grid = band_grid(FILTERS, galaxies["z"].max())
    history = DirichletHistory(PHOTOMETRY_EDGES)
    model, bands = GalaxyModel(ssp_grid, grid, history, False), BandFluxes(FILTERS, grid)
    installed = importlib.util.find_spec("bagpipes") is not None
    peer = photometry_updates(table, PHOTOMETRY_EDGES, UGRIZ) if installed else None

    def ours() -> None:
        with torch.inference_mode():
            bands(model.flux(galaxies), torch.as_tensor(galaxies["z"]))

    return compare(
        "photometry in 5 bands without gradients",
        ours,
        peer,
        objects=count,
        unit="galaxies / s",
        threads=threads,
        peer_name="bagpipes",
        peer_version=importlib.metadata.version("bagpipes") if installed else "",
        repetitions=3,
    )


with job(snakemake):
    inputs, threads = dict(snakemake.input.items()), snakemake.threads
    params = snakemake.params
    torch.set_num_threads(threads)
    rows = [
        *of_survey(PHOTOMETRY, params.photometry, "photometry in 9 bands", threads, inputs),
        *of_survey(SPECTRA, params.spectra, "SDSS spectra", threads, inputs),
        of_gradients(inputs["ssp_grid"], params.gradients, threads),
        of_photometry(inputs["ssp_grid"], 1000, threads),
    ]
    write_records(snakemake.output[0], rows)
