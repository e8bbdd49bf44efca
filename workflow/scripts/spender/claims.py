"""Holds the analysis' numbers against its claims."""

import json
from pathlib import Path

import pandas as pd

from uraniborg.claims import judge, median
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.tables import read_metadata, read_table

with job(snakemake):
    heldout = read_table(snakemake.input.objects).query("split == 'test'")
    numbers = {
        "heldout_reduced_chi2": median(heldout["reduced_chi2"]),
        "heldout_truth_reduced_chi2": median(heldout["truth_reduced_chi2"]),
        "noise_suppression": median(heldout["residual_noise"]),
        **json.loads(Path(snakemake.input.controls).read_text()),
    }
    data = read_metadata(snakemake.input.objects)["data"]
    measured = {name: {**number, "data": data} for name, number in numbers.items()}
    real = [path for path in snakemake.input.applied if read_metadata(path)["data"] == "real"]
    if real:
        galaxies = pd.concat(map(read_table, real)).query("spectype == 'GALAXY'")
        measured["real_reduced_chi2"] = {**median(galaxies["reduced_chi2"]), "data": "real"}
    params = snakemake.params
    claims = judge(params.claims, measured, analysis="spender", tier=params.tier)
    write_records(snakemake.output[0], claims)
