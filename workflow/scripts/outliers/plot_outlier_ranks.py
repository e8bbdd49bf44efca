"""Draws how many contaminants are found against the rank, by score and by kind."""

from uraniborg.figures.outlier_recovery import outlier_ranks
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(outlier_ranks(read_table(snakemake.input[0])), snakemake.output[0])
