"""Moves held-out spectra through redshift and measures how far the latents of variants follow."""

import json
from pathlib import Path

import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.outliers.invariance_check import (
    TABLE_COLUMNS,
    HeldOut,
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
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"]
    held_out = HeldOut.of(spectra, rows, settings.pop("held_out"), truth)
    found = check_invariance(models, held_out, InvarianceSettings(**settings))
    for name, number in found.numbers.items():
        print(f"{name}: {number['value']:.4f} +- {number['uncertainty']:.4f} of {number['n']}")
    for name, columns in TABLE_COLUMNS.items():
        write_table(outputs[name], getattr(found, name), columns, spectra.metadata)
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(found.numbers, indent=2) + "\n")
