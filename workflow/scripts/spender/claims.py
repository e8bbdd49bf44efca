"""Holds the analysis' numbers against its claims."""

import json
from pathlib import Path

from uraniborg.claims import judge
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.tables import Spectra

with job(snakemake):
    # What does not say otherwise was measured on the training survey.
    data = Spectra(snakemake.input.spectra).metadata["data"]
    measured = {
        name: {"data": data, **number}
        for path in snakemake.input.numbers
        for name, number in json.loads(Path(path).read_text()).items()
    }
    params = snakemake.params
    claims = judge(params.claims, measured, analysis=params.analysis, tier=params.tier)
    write_records(snakemake.output[0], claims)
