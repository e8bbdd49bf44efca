"""Ranks the objects of all shards by their outlier score."""

from uraniborg.jobs import job
from uraniborg.spectra.outliers.catalogue import catalogue

with job(snakemake):
    catalogue(
        list(snakemake.input.scores),
        snakemake.output.parquet,
        snakemake.output.fits,
        snakemake.params.fits_rows,
    )
