"""Draws what linear probes tell and how well the latent space is measured."""

from uraniborg.figures.latents import latent_probes
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    probes, modes = (read_table(snakemake.input[name]) for name in ("probes", "modes"))
    save(latent_probes(probes, modes), snakemake.output[0])
