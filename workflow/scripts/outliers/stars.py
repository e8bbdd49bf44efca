"""Holds one shard of a survey against the models of galaxies and of stars."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.outliers.stars import StarOrGalaxy, star_table
from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs = snakemake.input
    galaxy = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    star = SpectrumAutoencoder.load(inputs.star_weights, inputs.star_card)
    spectra = Spectra(inputs.spectra)
    galaxy.check_grid(spectra)
    table = star_table(StarOrGalaxy(galaxy, star), spectra, spectra.column("z"))
    print(table["star_verdict"].value_counts().to_string())
    write_table(snakemake.output[0], table, STAR_COLUMNS, spectra.metadata)
