"""Summarises how well redshifts are found, and what wrong ones do."""

import json

import pandas as pd

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.redshift_quality import recovery_numbers, wrong_redshift_numbers
from uraniborg.tables import read_metadata, read_table

with job(snakemake):
    numbers = recovery_numbers(read_table(snakemake.input.redshifts))
    numbers |= wrong_redshift_numbers(read_table(snakemake.input.wrong))
    real = [path for path in snakemake.input.applied if read_metadata(path)["data"] == "real"]
    if real:
        found = recovery_numbers(pd.concat(map(read_table, real)))
        numbers["real_redshift_success"] = {**found["redshift_success"], "data": "real"}
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
