"""Gathers the objects of all shards in one table that says what the model was trained on."""

import pandas as pd
import pyarrow as pa

from uraniborg.jobs import job
from uraniborg.spectra.application import object_columns
from uraniborg.surveys.splits import split_of
from uraniborg.tables import Column, read_metadata, read_table, write_table

SPLIT = Column("split", pa.string(), "", "train, valid or test; applied for any other survey")

with job(snakemake):
    shards = [read_table(path) for path in snakemake.input.shards]
    # Empty shards have no types of their own and must not decide those of the others.
    table = pd.concat([shard for shard in shards if len(shard)], ignore_index=True)
    # Copies of an object in different shards: the catalogue kept the first.
    catalogue = read_table(snakemake.input.catalogue, ["row"])
    table = table.iloc[catalogue["row"]].reset_index(drop=True)
    if snakemake.params.trained_on:
        table["split"] = split_of(table["object_id"], snakemake.params.splits)
    else:
        table["split"] = "applied"
    latents = sum(name.startswith("latent_") and name.endswith("_err") for name in table.columns)
    metadata = {"data": read_metadata(snakemake.input.shards[0])["data"]}
    write_table(snakemake.output[0], table, (*object_columns(latents), SPLIT), metadata)
