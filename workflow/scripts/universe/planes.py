"""Puts simulated and real galaxies on the BPT plane and on that of 4000 A break and H-delta."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.grids import WavelengthGrid
from uraniborg.jobs import job
from uraniborg.surveys.readers.sdss import read
from uraniborg.tables import read_table, write_table
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit
from uraniborg.universe.planes import (
    PLANE_COLUMNS,
    read_line_fluxes,
    real_indices,
    simulated_planes,
    summary,
)

with job(snakemake):
    params, paths = snakemake.params, snakemake.input
    tracks = read_table(paths.tracks)
    population = GalaxyPopulation(
        paths.grid,
        z_max=0.2,
        limits={"sdss_r0": Limit(17.77)},
        hyperparameter_file=paths.hyperparameters,
    )
    model = population.model(WavelengthGrid("log10", np.log10(3750), 1e-4, 2600))
    galaxies = population.sample(0, params.galaxies, params.seed)
    with torch.inference_mode():
        tables = [simulated_planes(model, galaxies, tracks, seed=params.seed)]
    if paths.lines:
        tables.append(read_line_fluxes(paths.lines))
    spectra = [observations for path in paths.spectra for observations in read(Path(path))]
    tables += [
        real_indices(
            spectrum.wavelength[0] / (1 + spectrum.scalars["z"][0]),
            spectrum.flux,
            np.where(spectrum.bad, 0, spectrum.ivar),
            tracks,
        )
        for spectrum in spectra
        if spectrum.scalars["spectype"][0] == "GALAXY"
    ]
    table = pd.concat(tables, ignore_index=True)
    write_table(snakemake.output.table, table, PLANE_COLUMNS, {"data": "simulated"})
    with atomic(Path(snakemake.output.summary)) as temporary:
        values = {**summary(table), "n": int((table["sample"] == "simulated").sum() // 2)}
        temporary.write_text(json.dumps(values, indent=2) + "\n")
