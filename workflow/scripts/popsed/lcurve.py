"""Chooses the prior's weight: the largest that costs the photometry nothing that can be seen."""

import json
from pathlib import Path

import pandas as pd

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.population.popsed.lcurve import choose
from uraniborg.population.popsed.tables import LCURVE_COLUMNS
from uraniborg.tables import write_table

with job(snakemake):
    outputs = snakemake.output
    rows = [json.loads(Path(path).read_text()) for path in snakemake.input]
    table = choose(pd.DataFrame(rows).sort_values("weight", ignore_index=True))
    columns = [column.name for column in LCURVE_COLUMNS]
    write_table(outputs.table, table[columns], LCURVE_COLUMNS)
    weight = float(table.loc[table["chosen"], "weight"].iloc[0])
    print(f"weight of the prior: {weight:g}")
    with atomic(outputs.weight) as temporary:
        temporary.write_text(json.dumps({"weight": weight}) + "\n")
