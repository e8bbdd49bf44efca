"""Reconstructs one shard of a survey: a row per object."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.application import object_columns, object_table
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.uncertainty import ErrorModel
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    calibration = snakemake.input.get("calibration")
    errors = ErrorModel.load(calibration) if calibration else None
    table = object_table(model, spectra, truth, errors=errors)
    print(f"{len(table)} objects, median reduced chi2 {table['reduced_chi2'].median():.4f}")
    write_table(snakemake.output[0], table, object_columns(model.latent_size), spectra.metadata)
