"""Draws reduced chi2 of held-out galaxies."""

from uraniborg.figures.spectra import fit_quality
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    heldout = read_table(snakemake.input.objects).query("split == 'test'")
    save(fit_quality(heldout), snakemake.output[0])
