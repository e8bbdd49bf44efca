"""Draws simulated stars and quasars beside real ones."""

from uraniborg.figures.objects import stars_quasars
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(stars_quasars(read_table(snakemake.input[0])), snakemake.output[0])
