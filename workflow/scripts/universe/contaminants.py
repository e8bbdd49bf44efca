"""Takes one spectrum of every kind of contaminant from a simulated survey."""

from uraniborg.jobs import job
from uraniborg.surveys.contaminant_examples import EXAMPLE_COLUMNS, examples
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    spectra, truth = Spectra(snakemake.input.spectra), Spectra(snakemake.input.truth)
    write_table(snakemake.output[0], examples(spectra, truth), EXAMPLE_COLUMNS)
