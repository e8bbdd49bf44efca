"""Draws observed spectra, their reconstructions and residuals."""

from uraniborg.figures.spectra import reconstructions
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    objects = read_table(snakemake.input.objects)
    spectra = read_table(snakemake.input.spectra)
    save(reconstructions(spectra, objects), snakemake.output[0])
