"""Measures how well scores tell real galaxies from quasars, stars and sky."""

import json

import pandas as pd

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.outliers.recovery import (
    CLASS_COLUMNS,
    class_numbers,
    class_table,
    scored_objects,
)
from uraniborg.tables import read_metadata, read_table, write_table

with job(snakemake):
    pairs = zip(snakemake.input.catalogues, snakemake.input.baselines, strict=True)
    surveys = [
        scored_objects(*map(read_table, pair))
        for pair in pairs
        if read_metadata(pair[0])["data"] == "real"
    ]
    table = class_table(pd.concat(surveys).drop_duplicates("object_id"))
    print(table.to_string())
    write_table(snakemake.output.table, table, CLASS_COLUMNS, {"data": "real"})
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(class_numbers(table), indent=2) + "\n")
