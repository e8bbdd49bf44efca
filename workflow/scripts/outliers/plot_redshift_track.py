"""Draws latent spaces before and after the losses, and galaxies moved through them."""

from uraniborg.figures.invariance import redshift_track
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    positions, probes = (read_table(path) for path in snakemake.input)
    save(redshift_track(positions, probes), snakemake.output[0])
