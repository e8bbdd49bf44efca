"""Holds the simulated sky against its claims."""

import json
from pathlib import Path

import numpy as np

from uraniborg.claims import evaluate, write_claims
from uraniborg.jobs import job

with job(snakemake):
    values = {}
    for path in map(Path, snakemake.input):
        summary = json.loads(path.read_text())
        # The noise of every instrument has the same quantities.
        prefix = f"{path.stem}_" if path.stem.endswith("_noise") else ""
        values |= {f"{prefix}{name}": value for name, value in summary.items()}
    claims = [
        evaluate(
            declared,
            analysis="universe",
            claim=name,
            tier=snakemake.params.tier,
            value=values.get(name, np.nan),
        )
        for name, declared in snakemake.params.claims.items()
    ]
    write_claims(snakemake.output[0], claims)
