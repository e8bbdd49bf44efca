"""Draws the quality of fits against the number of latents."""

from uraniborg.figures.latents import latent_dimension
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    fits = read_table(snakemake.input[0])
    save(latent_dimension(fits, snakemake.params.default), snakemake.output[0])
