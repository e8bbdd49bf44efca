"""Draws the loss over the epochs of training."""

from uraniborg.figures.spectra import training
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(training(read_table(snakemake.input[0])), snakemake.output[0])
