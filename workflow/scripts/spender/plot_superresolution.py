"""Draws the [O II] doublet in data, models and truth."""

from uraniborg.figures.style import save, style
from uraniborg.figures.superresolution import superresolution
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    doublets = read_table(snakemake.input.doublets)
    curves = read_table(snakemake.input.curves)
    save(superresolution(doublets, curves), snakemake.output[0])
