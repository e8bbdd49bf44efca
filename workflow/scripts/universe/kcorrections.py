"""K-corrections of simulated galaxies by kcorrect, to compare ours with."""

import importlib.metadata

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.kcorrections import reference_columns, reference_table

with job(snakemake):
    table = reference_table(snakemake.input.grid, snakemake.params.galaxies, snakemake.params.seed)
    metadata = {
        "kcorrect": importlib.metadata.version("kcorrect"),
        "astro-sedpy": importlib.metadata.version("astro-sedpy"),
        "data": "simulated",
    }
    write_table(snakemake.output[0], table, reference_columns(), metadata)
