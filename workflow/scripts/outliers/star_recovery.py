"""How many of the stars that a catalogue calls galaxies are found, and what else is called one."""

import json

import pandas as pd

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.outliers.star_recovery import (
    RECOVERY_COLUMNS,
    recovery_counts,
    recovery_numbers,
    recovery_table,
)
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    inputs = snakemake.input
    shards = zip(inputs.stars, inputs.spectra, inputs.truth, strict=True)
    table = pd.concat(
        [recovery_table(read_table(s), Spectra(x), Spectra(t)) for s, x, t in shards],
        ignore_index=True,
    )
    print(recovery_counts(table).to_string())
    numbers = recovery_numbers(table)
    for name, number in numbers.items():
        print(f"{name}: {number['value']:.4f} +- {number['uncertainty']:.4f} of {number['n']}")
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
    write_table(snakemake.output.table, table, RECOVERY_COLUMNS, {"data": "simulated"})
