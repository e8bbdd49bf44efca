"""Draws which stars templates take for galaxies, and an example."""

from uraniborg.figures.outlier_stars import stellar_templates
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    table, example = (read_table(path) for path in snakemake.input)
    save(stellar_templates(table, example), snakemake.output[0])
