"""Holds the analysis' numbers against its claims."""

import json
from pathlib import Path

import pandas as pd

from uraniborg.claims import evaluate, median, write_claims
from uraniborg.jobs import job
from uraniborg.tables import read_metadata, read_table

with job(snakemake):
    heldout = read_table(snakemake.input.objects).query("split == 'test'")
    trained_on = read_metadata(snakemake.input.objects)["data"]
    measured = {
        "heldout_reduced_chi2": median(heldout["reduced_chi2"]),
        "heldout_truth_reduced_chi2": median(heldout["truth_reduced_chi2"]),
        "noise_suppression": median(heldout["residual_noise"]),
    }
    measured |= json.loads(Path(snakemake.input.controls).read_text())
    data = dict.fromkeys(measured, trained_on)
    real = [path for path in snakemake.input.applied if read_metadata(path)["data"] == "real"]
    if real:
        galaxies = pd.concat(map(read_table, real)).query("spectype == 'GALAXY'")
        measured["real_reduced_chi2"] = median(galaxies["reduced_chi2"])
        data["real_reduced_chi2"] = "real"
    claims = [
        evaluate(
            declared,
            analysis="spender",
            claim=name,
            tier=snakemake.params.tier,
            # A claim about simulated data is not evaluated on real data, nor the other way round.
            **(measured[name] if data.get(name) == declared["data"] else {}),
        )
        for name, declared in snakemake.params.claims.items()
    ]
    write_claims(snakemake.output[0], claims)
