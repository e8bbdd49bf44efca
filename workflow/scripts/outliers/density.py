"""Trains the density of an autoencoder's latents, and checks it on objects it has not seen."""

from dataclasses import asdict, replace

import numpy as np
import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.outliers.density import (
    CALIBRATION_COLUMNS,
    DENSITY_TRAINING,
    HELD_OUT_COLUMNS,
    HISTORY_COLUMNS,
    Sample,
    calibration,
    train_density,
)
from uraniborg.spectra.outliers.scorer import latents, log_snr
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, params = snakemake.input, snakemake.params
    model = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    spectra = Spectra(inputs.spectra)

    def sample(rows: np.ndarray) -> Sample:
        context = log_snr(spectra.column("snr")[rows])[:, None].float()
        latent = latents(model, SpectraDataset(spectra, rows))
        return Sample(latent, context if params.density["given_snr"] else context[:, :0])

    rows = split_rows(spectra.column("object_id"), params.splits)
    settings = replace(DENSITY_TRAINING, seed=params.density["seed"])
    density, history = train_density(
        *sample(rows["train"]),
        sample(rows["valid"]),
        settings,
        members=params.density["members"],
        kind=params.density["kind"],
        trim=params.density["trim"],
        directory=params.checkpoints,
        identity=params.code,
        threads=snakemake.threads,
    )
    values, checks = calibration(density, sample(rows["test"]))
    print(checks.to_string())
    training = {"training": asdict(settings), "training_data": spectra.metadata}
    density.save(snakemake.output.weights, snakemake.output.card, training)
    write_table(snakemake.output.history, history, HISTORY_COLUMNS)
    write_table(snakemake.output.held_out, values, HELD_OUT_COLUMNS, spectra.metadata)
    write_table(snakemake.output.checks, checks, CALIBRATION_COLUMNS, spectra.metadata)
