"""Compares our stellar populations with bagpipes' spectra of the same galaxies."""

import json
from pathlib import Path

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.comparison import (
    DIFFERENCE_COLUMNS,
    EXAMPLE_COLUMNS,
    compare,
    summary,
)

with job(snakemake):
    differences, examples = compare(snakemake.input.reference, snakemake.input.grid)
    metadata = {"data": "simulated"}
    write_table(snakemake.output.differences, differences, DIFFERENCE_COLUMNS, metadata)
    write_table(snakemake.output.examples, examples, EXAMPLE_COLUMNS, metadata)
    with atomic(Path(snakemake.output.summary)) as temporary:
        temporary.write_text(
            json.dumps({**summary(differences), "n": len(differences)}, indent=2) + "\n"
        )
