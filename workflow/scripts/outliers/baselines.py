"""Scores a survey by baselines that are fitted to the training objects of another."""

import numpy as np
import torch

from uraniborg.jobs import job
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.outliers.baselines import BASELINE_COLUMNS, Baselines
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, TableWriter, read_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings, z_range = snakemake.params.baselines, snakemake.params.z_range
    train = Spectra(snakemake.input.train)
    rows = split_rows(train.column("object_id"), snakemake.params.splits)["train"]
    # Evenly spaced, so that the sample spans all shards.
    number = min(settings["spectra"], len(rows))
    rows = rows[np.linspace(0, len(rows) - 1, number).astype(int)]
    baselines = Baselines.of(
        SpectraDataset(train, rows, z_range).batches(256),
        RedshiftTransform(train.grid, z_max=z_range[1], z_min=z_range[0]),
        settings["components"],
        settings["trees"],
        settings["seed"],
    )
    # At the redshifts at which the outlier score judges them; rows are those of the shards.
    z = read_table(snakemake.input.catalogue, ["z"])["z"].to_numpy()
    shards = [Spectra(path) for path in snakemake.input.spectra]
    ends = np.cumsum([len(shard) for shard in shards])
    with TableWriter(snakemake.output[0], BASELINE_COLUMNS, shards[0].metadata) as writer:
        for shard, end in zip(shards, ends, strict=True):
            writer.write(baselines.table(shard, z[end - len(shard) : end]))
