"""Puts simulated and real galaxies on the BPT plane and on that of 4000 A break and H-delta."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.surveys.readers.sdss import read
from uraniborg.tables import read_table, write_table
from uraniborg.universe.planes import (
    PLANE_COLUMNS,
    planes_of_survey,
    read_line_fluxes,
    real_indices,
    summary,
)

with job(snakemake):
    params, paths = snakemake.params, snakemake.input
    tracks = read_table(paths.tracks)
    files = paths.grid, paths.hyperparameters
    tables = [planes_of_survey(*files, tracks, params.galaxies, params.seed)]
    if paths.lines:
        tables.append(read_line_fluxes(paths.lines))
    for spectrum in (one for path in paths.spectra for one in read(Path(path))):
        if spectrum.scalars["spectype"][0] == "GALAXY":
            restframe = spectrum.wavelength[0] / (1 + spectrum.scalars["z"][0])
            ivar = np.where(spectrum.bad, 0, spectrum.ivar)
            tables.append(real_indices(restframe, spectrum.flux, ivar, tracks))
    table = pd.concat(tables, ignore_index=True)
    write_table(snakemake.output.table, table, PLANE_COLUMNS, {"data": "simulated"})
    values = {**summary(table), "n": int((table["sample"] == "simulated").sum() // 2)}
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")
