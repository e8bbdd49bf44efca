"""Draws what each method attributes to the pixels of outliers."""

from uraniborg.figures.attribution import comparison
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    inputs = snakemake.input
    tables = map(read_table, (inputs.spectra, inputs.maps, inputs.features))
    save(comparison(*tables), snakemake.output[0])
