"""Draws the noise of simulated and real sky fibres."""

from uraniborg.figures.style import save, style
from uraniborg.figures.universe import sky_noise
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(sky_noise(read_table(snakemake.input[0])), snakemake.output[0])
