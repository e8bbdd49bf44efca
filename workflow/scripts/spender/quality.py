"""Summarises how well held-out galaxies and those of other surveys are reconstructed."""

import json

import pandas as pd

from uraniborg.claims import median
from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.tables import read_metadata, read_table

with job(snakemake):
    heldout = read_table(snakemake.input.objects).query("split == 'test'")
    numbers = {
        "heldout_reduced_chi2": median(heldout["reduced_chi2"]),
        "heldout_truth_reduced_chi2": median(heldout["truth_reduced_chi2"]),
        "heldout_over_floor": median(heldout["reduced_chi2"] / heldout["truth_reduced_chi2"]),
    }
    real = [path for path in snakemake.input.applied if read_metadata(path)["data"] == "real"]
    if real:
        galaxies = pd.concat(map(read_table, real)).query("spectype == 'GALAXY'")
        numbers["real_reduced_chi2"] = {**median(galaxies["reduced_chi2"]), "data": "real"}
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
