"""Draws fit and latents against the error of the redshift that the model is given."""

from uraniborg.figures.redshifts import wrong_redshift
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(wrong_redshift(read_table(snakemake.input[0])), snakemake.output[0])
