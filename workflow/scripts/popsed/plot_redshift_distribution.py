"""Draws distributions of redshift and stellar mass with their uncertainty."""

from uraniborg.figures.popsed_distributions import redshift_distribution
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(redshift_distribution(read_table(snakemake.input[0]), survey), snakemake.output[0])
