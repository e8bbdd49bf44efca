"""Chooses galaxies along the sequence and writes their spectra and reconstructions."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.application import (
    RECONSTRUCTION_COLUMNS,
    galaxy_sequence,
    reconstruction_table,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    # What the model was trained on shows nothing of what it can do.
    objects = read_table(snakemake.input.objects).query("split in ('test', 'applied')")
    chosen = galaxy_sequence(objects, snakemake.params.galaxies)
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    table = reconstruction_table(model, spectra, chosen, truth)
    write_table(snakemake.output[0], table, RECONSTRUCTION_COLUMNS, spectra.metadata)
