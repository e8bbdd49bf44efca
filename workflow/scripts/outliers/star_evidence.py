"""Finds stars among simulated objects that are catalogued as galaxies."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.outliers.star_recovery import (
    RECOVERY_COLUMNS,
    recovery_counts,
    recovery_numbers,
    recovery_table,
)
from uraniborg.spectra.outliers.stars import StarOrGalaxy
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs = snakemake.input
    galaxy = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    star = SpectrumAutoencoder.load(inputs.star_weights, inputs.star_card)
    spectra, truth = Spectra(inputs.spectra), Spectra(inputs.truth)
    table = recovery_table(StarOrGalaxy(galaxy, star), spectra, truth)
    print(recovery_counts(table).to_string())
    for name, number in recovery_numbers(table).items():
        print(f"{name}: {number['value']:.4f} +- {number['uncertainty']:.4f} of {number['n']}")
    write_table(snakemake.output[0], table, RECOVERY_COLUMNS, spectra.metadata)
