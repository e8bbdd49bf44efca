"""Draws how fits come down to the data's floor, and how the prior's weight is chosen."""

from uraniborg.figures.popsed import convergence
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    fits, lcurve = read_table(snakemake.input.fits), read_table(snakemake.input.lcurve)
    save(convergence(fits, lcurve, survey), snakemake.output[0])
