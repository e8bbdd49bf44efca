"""Estimates the error model of a trained autoencoder from spectra it was not trained on."""

import numpy as np
import torch

from uraniborg.instruments.noise import read_noise
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.uncertainty import calibrate
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["valid"]
    # Evenly spaced, so that the sample spans all shards.
    rows = rows[np.linspace(0, len(rows) - 1, min(snakemake.params.spectra, len(rows))).astype(int)]
    dataset = SpectraDataset(spectra, rows)
    norm = torch.from_numpy(dataset.norm).split(64)
    shapes, amplitudes = read_noise(snakemake.input.noise).templates
    sky = torch.from_numpy(shapes * amplitudes[:, None]).float()
    errors = calibrate(model, zip(dataset.batches(64), norm, strict=True), sky)
    print(f"noise scale {errors.noise_scale.median():.3f}, misfit {errors.misfit.median():.2g}")
    errors.save(snakemake.output[0])
