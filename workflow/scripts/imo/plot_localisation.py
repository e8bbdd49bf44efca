"""Draws how much of the attribution is where the anomaly is."""

from uraniborg.figures.attribution import localisation
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(localisation(read_table(snakemake.input[0])), snakemake.output[0])
