"""Draws the latent space coloured by physical parameters."""

from uraniborg.figures.latents import latent_space
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(latent_space(read_table(snakemake.input[0])), snakemake.output[0])
