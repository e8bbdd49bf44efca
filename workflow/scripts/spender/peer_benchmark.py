"""Benchmarks of the recorded trainings of the peer and of ours; nothing is trained here."""

import json

import pandas as pd

from uraniborg.benchmarks import measured
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.spectra.peer_training import OURS, PEER, compare_trainings
from uraniborg.tables import read_metadata, read_table

with job(snakemake):
    recorded = compare_trainings(read_table(snakemake.input[0]))
    about = read_metadata(snakemake.input[0])
    common = {
        "objects": int(about["spectra"]),
        "threads": int(about["threads"]),
        "peer_name": PEER,
        "peer_version": about["spender"],
    }
    rows = [
        measured(
            "train flux encoder to the peer's test loss (recorded)",
            recorded.time,
            recorded.peer_time,
            unit="CPU s",
            **common,
        ),
    ]
    memory = pd.DataFrame(json.loads(about["memory"])).set_index(["batch_size", "side"])
    for size in sorted(memory.index.unique("batch_size")):
        ours, peer = memory.loc[size, "peak_memory"][[OURS, PEER]]
        name = f"peak memory of training, batches of {size} (recorded)"
        rows.append(measured(name, ours, peer, unit="MB", **common))
    write_records(snakemake.output[0], rows)
