"""Draws estimated against true redshifts, failures against S/N, likelihoods and accuracy."""

from uraniborg.figures.redshifts import redshifts
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    found, likelihoods = (read_table(path) for path in snakemake.input)
    save(redshifts(found, likelihoods), snakemake.output[0])
