"""Draws uncertainties held against the truth."""

from uraniborg.figures.style import save, style
from uraniborg.figures.uncertainty import uncertainties
from uraniborg.jobs import job
from uraniborg.tables import read_metadata, read_table

with job(snakemake), style():
    metadata = read_metadata(snakemake.input[0])
    curves = read_table(snakemake.input[0])
    figure = uncertainties(curves, float(metadata["z"]), metadata["object_id"])
    save(figure, snakemake.output[0])
