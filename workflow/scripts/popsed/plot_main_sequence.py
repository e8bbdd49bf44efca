"""Draws the star-forming main sequence at z < 0.1."""

from uraniborg.figures.popsed_distributions import main_sequence
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(main_sequence(read_table(snakemake.input[0]), survey), snakemake.output[0])
