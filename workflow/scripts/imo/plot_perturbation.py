"""Draws how scores change as attributed pixels are exchanged."""

from uraniborg.figures.attribution import perturbation
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(perturbation(read_table(snakemake.input[0])), snakemake.output[0])
