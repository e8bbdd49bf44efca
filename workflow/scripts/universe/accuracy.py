"""Holds gradients, resampling and band fluxes against what they should be."""

import json
from pathlib import Path

import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.instruments.accuracy import (
    ACCURACY_COLUMNS,
    check_flat_source,
    check_gradients,
    check_resampling,
    check_resolution,
    summary,
)
from uraniborg.jobs import job
from uraniborg.tables import write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    grid, galaxies = snakemake.input.grid, snakemake.params.galaxies
    table = pd.concat(
        [
            check_gradients(grid, snakemake.input.dust_emission, galaxies),
            check_resampling(grid),
            check_flat_source(),
            check_resolution(grid, galaxies),
        ],
        ignore_index=True,
    )
    write_table(snakemake.output.table, table, ACCURACY_COLUMNS, {"data": "simulated"})
    with atomic(Path(snakemake.output.summary)) as temporary:
        temporary.write_text(json.dumps({**summary(table), "n": galaxies}, indent=2) + "\n")
