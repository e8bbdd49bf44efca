"""Holds the analysis' numbers against its claims."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from uraniborg.claims import evaluate, write_claims
from uraniborg.jobs import job
from uraniborg.tables import read_metadata, read_table


def median(values: pd.Series) -> tuple[float, float]:
    """Median and its standard error by bootstrap."""

    values = values.dropna().to_numpy()
    if not len(values):
        return np.nan, np.nan
    generator = np.random.default_rng(1)
    draws = generator.choice(values, (200, len(values)))
    return float(np.median(values)), float(np.median(draws, axis=1).std())


with job(snakemake):
    heldout = read_table(snakemake.input.objects).query("split == 'test'")
    values = {
        "heldout_reduced_chi2": median(heldout["reduced_chi2"]),
        "heldout_truth_reduced_chi2": median(heldout["truth_reduced_chi2"]),
        "noise_suppression": median(heldout["residual_noise"]),
    }
    controls = json.loads(Path(snakemake.input.controls).read_text())
    values |= {name: (value, np.nan) for name, value in controls.items()}
    real = [path for path in snakemake.input.applied if read_metadata(path)["data"] == "real"]
    if real:
        galaxies = pd.concat(map(read_table, real)).query("spectype == 'GALAXY'")
        values["real_reduced_chi2"] = median(galaxies["reduced_chi2"])
    claims = [
        evaluate(
            declared,
            analysis="spender",
            claim=name,
            tier=snakemake.params.tier,
            value=values.get(name, (np.nan, np.nan))[0],
            uncertainty=values.get(name, (np.nan, np.nan))[1],
        )
        for name, declared in snakemake.params.claims.items()
    ]
    write_claims(snakemake.output[0], claims)
