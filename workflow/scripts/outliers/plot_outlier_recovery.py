"""Draws AUC by kind, and recall by S/N, of the outlier score and of others."""

from uraniborg.figures.outlier_recovery import outlier_recovery
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(outlier_recovery(read_table(snakemake.input[0])), snakemake.output[0])
