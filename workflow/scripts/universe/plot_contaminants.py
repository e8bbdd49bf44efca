"""Draws one spectrum of every kind of contaminant."""

from uraniborg.figures.contaminants import contaminants
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(contaminants(read_table(snakemake.input[0])), snakemake.output[0])
