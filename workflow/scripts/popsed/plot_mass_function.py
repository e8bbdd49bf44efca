"""Draws the mass function of all galaxies, selected or not."""

from uraniborg.figures.popsed_distributions import mass_function
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(mass_function(read_table(snakemake.input[0]), survey), snakemake.output[0])
