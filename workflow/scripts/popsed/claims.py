"""Holds the analysis' numbers against its claims."""

import json
from pathlib import Path

from uraniborg.claims import judge
from uraniborg.jobs import job
from uraniborg.records import write_records

with job(snakemake):
    params = snakemake.params
    # The first survey's numbers have plain names, those of others begin with the survey's.
    measured = {}
    for survey, path in zip(params.surveys, snakemake.input.numbers, strict=True):
        prefix = "" if survey == params.surveys[0] else f"{survey}_"
        numbers = json.loads(Path(path).read_text())
        measured |= {f"{prefix}{name}": number for name, number in numbers.items()}
    claims = judge(params.claims, measured, analysis="popsed", tier=params.tier)
    write_records(snakemake.output[0], claims)
