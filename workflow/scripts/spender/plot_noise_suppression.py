"""Draws what is left of the noise in reconstructions."""

from uraniborg.figures.style import save, style
from uraniborg.figures.uncertainty import noise_suppression
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    suppression = read_table(snakemake.input[0])
    save(noise_suppression(suppression, snakemake.params.limit), snakemake.output[0])
