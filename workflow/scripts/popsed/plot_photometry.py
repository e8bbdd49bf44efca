"""Draws observed and recovered magnitudes and colours."""

from uraniborg.figures.popsed_populations import photometry
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    save(photometry(read_table(snakemake.input[0]), survey), snakemake.output[0])
