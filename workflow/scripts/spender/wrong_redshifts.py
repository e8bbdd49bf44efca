"""Gives the model wrong redshifts of held-out galaxies: what happens to its fit and latents."""

import numpy as np
import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.redshift_recovery import WRONG_COLUMNS, wrong_redshift_table
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.redshifts
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"]
    sizes = np.logspace(-4.5, -1, 15)
    offsets = np.concatenate([-sizes[::-1], [0.0], sizes])
    table = wrong_redshift_table(model, spectra, truth, rows, offsets, settings["control_objects"])
    write_table(snakemake.output[0], table, WRONG_COLUMNS, spectra.metadata)
