"""Draws a simulated catalogue beside the real one, and how far they and controls are apart."""

from uraniborg.figures.sky import colours, comparison, distributions
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    objects = read_table(snakemake.input.objects)
    save(colours(objects), snakemake.output.colours)
    save(distributions(objects), snakemake.output.distributions)
    save(comparison(read_table(snakemake.input.table)), snakemake.output.comparison)
