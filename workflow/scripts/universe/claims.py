"""Holds the simulated sky against its claims."""

import json
from pathlib import Path

from uraniborg.claims import evaluate, write_claims
from uraniborg.jobs import job

with job(snakemake):
    values = {}
    for path in map(Path, snakemake.input):
        summary = json.loads(path.read_text())
        # The noise of every instrument has the same quantities.
        prefix = f"{path.stem}_" if path.stem.endswith("_noise") else ""
        number = summary.pop("n")
        values |= {f"{prefix}{name}": {"value": v, "n": number} for name, v in summary.items()}
    claims = [
        evaluate(
            declared,
            analysis="universe",
            claim=name,
            tier=snakemake.params.tier,
            **values.get(name, {}),
        )
        for name, declared in snakemake.params.claims.items()
    ]
    write_claims(snakemake.output[0], claims)
