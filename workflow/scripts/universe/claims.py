"""Holds the simulated sky against its claims."""

import json
from pathlib import Path

from uraniborg.claims import judge
from uraniborg.jobs import job
from uraniborg.records import write_records

with job(snakemake):
    measured = {}
    for path in map(Path, snakemake.input):
        summary = json.loads(path.read_text())
        # The noise of every instrument and every catalogue have the same quantities.
        prefix = f"{path.stem}_" if path.parent.name in ("noise_check", "sky") else ""
        n = summary.pop("n")
        counts = n if isinstance(n, dict) else dict.fromkeys(summary, n)
        measured |= {
            f"{prefix}{name}": {"value": value, "n": counts[name]}
            for name, value in summary.items()
        }
    params = snakemake.params
    claims = judge(params.claims, measured, analysis="universe", tier=params.tier)
    write_records(snakemake.output[0], claims)
