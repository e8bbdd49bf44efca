"""Scores one shard of a survey: a row per object."""

import numpy as np
import torch

from uraniborg.jobs import job
from uraniborg.spectra.outliers.catalogue import score_columns, score_shard
from uraniborg.spectra.outliers.scorer import OutlierScorer
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs = snakemake.input
    floor = snakemake.params.misfit_floor
    scorer = OutlierScorer.load(inputs.weights, inputs.card, floor)
    spectra = Spectra(inputs.spectra)
    stars = read_table(inputs.stars) if inputs.get("stars") else None
    table = score_shard(scorer, spectra, snakemake.params.redshift, stars)
    scored = np.isfinite(table["outlier_score"])
    print(f"{len(table)} objects, {scored.sum()} scored; flags:")
    print(table["outlier_flags"].value_counts().to_string())
    columns = score_columns(scorer.model.latent_size)
    how = {name: str(snakemake.params[name]) for name in ("redshift", "misfit_floor")}
    write_table(snakemake.output[0], table, columns, {**spectra.metadata, **how})
