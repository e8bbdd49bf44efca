"""Moves held-out spectra through redshift and measures how far the latents of variants follow."""

import json
from pathlib import Path

import numpy as np
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.outliers.invariance_check import (
    DISPLACEMENT_COLUMNS,
    POSITION_COLUMNS,
    REDSHIFT_PROBE_COLUMNS,
    WRONG_REDSHIFT_COLUMNS,
    InvarianceSettings,
    check_invariance,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, settings = snakemake.input, snakemake.output, dict(snakemake.params.invariance)
    models = {
        Path(weights).parent.name: SpectrumAutoencoder.load(weights, card)
        for weights, card in zip(inputs.weights, inputs.cards, strict=True)
    }
    spectra = Spectra(inputs.spectra)
    truth = Spectra(inputs.truth) if inputs.get("truth") else None
    names = spectra.column("object_id")
    rows = split_rows(names, snakemake.params.splits)["test"]
    if truth is not None:
        rows = rows[truth.column("anomaly")[rows] == "none"]
    rows = rows[: settings.pop("held_out")]
    dataset, noiseless = SpectraDataset(spectra, rows), None
    if truth is not None:
        noiseless = torch.from_numpy(truth.vectors("flux", rows) / dataset.norm[:, None])
    batch, settings = dataset.batch(np.arange(len(rows))), InvarianceSettings(**settings)
    found = check_invariance(models, batch, names[rows], settings, noiseless)
    for name, number in found.numbers.items():
        print(f"{name}: {number['value']:.4f} +- {number['uncertainty']:.4f} of {number['n']}")
    for path, table, columns in (
        (outputs.displacements, found.displacements, DISPLACEMENT_COLUMNS),
        (outputs.wrong_redshifts, found.wrong_redshifts, WRONG_REDSHIFT_COLUMNS),
        (outputs.positions, found.positions, POSITION_COLUMNS),
        (outputs.probes, found.probes, REDSHIFT_PROBE_COLUMNS),
    ):
        write_table(path, table, columns, spectra.metadata)
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(found.numbers, indent=2) + "\n")
