"""Draws the first outliers of every kind."""

from uraniborg.figures.outlier_pages import gallery
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    spectra, objects = read_table(snakemake.input.spectra), read_table(snakemake.input.objects)
    save(gallery(spectra, objects), snakemake.output[0])
