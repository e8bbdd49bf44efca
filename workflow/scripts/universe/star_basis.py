"""Fits the basis of stars' spectra to the templates of SDSS and MaStar."""

from uraniborg.jobs import job
from uraniborg.universe.star_fit import fit_basis, read_mastar, read_sdss

with job(snakemake):
    basis = fit_basis(
        [read_sdss(snakemake.input.sdss), read_mastar(snakemake.input.mastar)],
        snakemake.params.rank,
    )
    basis.write(snakemake.output[0])
    for name, values in basis.metadata["stars"].items():
        print(name, *values)
