"""Draws how exact gradients, resampling and band fluxes are."""

from uraniborg.figures.accuracy import accuracy
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(accuracy(read_table(snakemake.input[0])), snakemake.output[0])
