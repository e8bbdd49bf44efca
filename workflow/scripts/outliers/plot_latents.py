"""Draws contaminants in the latent space, and how surprising their latents are."""

from uraniborg.figures.outlier_pages import latents
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(latents(read_table(snakemake.input[0])), snakemake.output[0])
