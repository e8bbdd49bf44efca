"""Draws the recovered population beside the true one, by pairs of parameters."""

from uraniborg.figures.popsed_populations import corner
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(corner(read_table(snakemake.input[0]), survey), snakemake.output[0])
