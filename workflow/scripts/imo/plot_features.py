"""Draws which features make outliers."""

from uraniborg.figures.attribution import feature_shares
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(feature_shares(read_table(snakemake.input[0])), snakemake.output[0])
