"""Draws how often intervals of the population posterior contain the truth."""

from uraniborg.figures.popsed import coverage
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(coverage(read_table(snakemake.input[0]), survey), snakemake.output[0])
