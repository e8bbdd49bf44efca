"""Draws magnitudes beside those of bagpipes, and K-corrections beside those of kcorrect."""

from uraniborg.figures.style import save, style
from uraniborg.figures.universe import dusty_photometry, k_corrections
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(dusty_photometry(read_table(snakemake.input.magnitudes)), snakemake.output.magnitudes)
    save(k_corrections(read_table(snakemake.input.corrections)), snakemake.output.corrections)
