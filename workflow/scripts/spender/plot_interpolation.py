"""Draws spectra on the path between two galaxies."""

from uraniborg.figures.generation import interpolation
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(interpolation(read_table(snakemake.input[0])), snakemake.output[0])
