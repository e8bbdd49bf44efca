"""Trains the density of an autoencoder's latents, and checks it on objects it has not seen."""

from dataclasses import asdict, replace

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.outliers.density_check import (
    CALIBRATION_COLUMNS,
    HELD_OUT_COLUMNS,
    calibration,
)
from uraniborg.spectra.outliers.density_training import (
    DENSITY_TRAINING,
    HISTORY_COLUMNS,
    train_density,
)
from uraniborg.spectra.outliers.scorer import density_sample
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    model = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    spectra, chosen = Spectra(inputs.spectra), params.density
    train, valid, test = (
        density_sample(model, spectra, rows, chosen["given_snr"])
        for rows in split_rows(spectra.column("object_id"), params.splits).values()
    )
    settings = replace(DENSITY_TRAINING, seed=chosen["seed"])
    how = {name: chosen[name] for name in ("members", "kind", "trim")}
    how |= {"directory": params.checkpoints, "identity": params.code, "threads": snakemake.threads}
    density, history = train_density(*train, valid, settings, **how)
    values, checks = calibration(density, test)
    print(checks.to_string())
    training = {"training": asdict(settings), "training_data": spectra.metadata}
    density.save(outputs.weights, outputs.card, training)
    write_table(outputs.history, history, HISTORY_COLUMNS)
    write_table(outputs.held_out, values, HELD_OUT_COLUMNS, spectra.metadata)
    write_table(outputs.checks, checks, CALIBRATION_COLUMNS, spectra.metadata)
