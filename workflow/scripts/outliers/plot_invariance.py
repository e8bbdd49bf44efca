"""Draws how far latents move with redshift, and with errors of the redshift."""

from uraniborg.figures.invariance import redshift_invariance
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    displacements, wrong_redshifts = (read_table(path) for path in snakemake.input)
    save(redshift_invariance(displacements, wrong_redshifts), snakemake.output[0])
