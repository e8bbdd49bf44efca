"""Draws the evidence of stars among catalogued galaxies, and how well they are found."""

from uraniborg.figures.outlier_stars import star_evidence
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(star_evidence(read_table(snakemake.input[0])), snakemake.output[0])
