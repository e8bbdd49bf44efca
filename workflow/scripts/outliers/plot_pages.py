"""Draws a page for each of the first outliers, named by rank."""

from pathlib import Path

from uraniborg.figures.outlier_pages import page
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    inputs, folder = snakemake.input, Path(snakemake.output[0])
    names = ("spectra", "objects", "latents", "maps", "features")
    tables = [read_table(inputs[name]) for name in names]
    objects = tables[1]
    for rank in objects["outlier_rank"][objects["page"]]:
        save(page(*tables, rank), folder / f"{rank:03d}.pdf")
