"""Draws noise and resolving power of the spectrographs."""

from uraniborg.figures.instruments import spectrographs
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(spectrographs(read_table(snakemake.input[0])), snakemake.output[0])
