"""Draws our composite spectra over those of bagpipes, and the differences."""

from uraniborg.figures.style import save, style
from uraniborg.figures.universe import stellar_populations
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    differences = read_table(snakemake.input.differences)
    save(
        stellar_populations(differences, read_table(snakemake.input.examples)), snakemake.output[0]
    )
