"""Attributes features of decoded spectra to parts of the observed ones, by attention."""

import json

import numpy as np
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.attention import (
    CURVE_COLUMNS,
    ENHANCEMENT_COLUMNS,
    attention_numbers,
    attention_tables,
)
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

OBJECTS = 512

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    spectra = Spectra(snakemake.input.spectra)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"][:OBJECTS]
    batch = SpectraDataset(spectra, rows).batch(np.arange(len(rows)))
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    curves, enhancements = attention_tables(model, batch, spectra.column("object_id")[rows])
    print(enhancements.to_string(index=False))
    write_table(snakemake.output.curves, curves, CURVE_COLUMNS, spectra.metadata)
    table = snakemake.output.enhancements
    write_table(table, enhancements, ENHANCEMENT_COLUMNS, spectra.metadata)
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(attention_numbers(enhancements), indent=2) + "\n")
