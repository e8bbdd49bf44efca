"""Draws distributions of log p and of the outlier score, with and without contaminants."""

from uraniborg.figures.outlier_recovery import outlier_scores
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(outlier_scores(read_table(snakemake.input[0])), snakemake.output[0])
