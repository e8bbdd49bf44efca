"""Draws generated spectra beside those of galaxies."""

from uraniborg.figures.generation import generation
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    tables = (read_table(snakemake.input[name]) for name in ("indices", "spectra", "tests"))
    save(generation(*tables), snakemake.output[0])
