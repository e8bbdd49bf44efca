"""Measures fits of held-out objects by models of several latent sizes and by components."""

import json
from pathlib import Path

import numpy as np
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.latent_dimension import (
    DIMENSION_COLUMNS,
    dimension_numbers,
    fits_by_dimension,
    summary,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    models = {
        Path(weights).parent.name: SpectrumAutoencoder.load(weights, card)
        for weights, card in zip(snakemake.input.weights, snakemake.input.cards, strict=True)
    }
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)
    # The same training spectra as those of the model's own basis.
    settings, train = snakemake.params.basis, rows["train"]
    some = np.linspace(0, len(train) - 1, min(settings["spectra"], len(train))).astype(int)
    batches = list(SpectraDataset(spectra, train[some]).batches(256))
    bases = {
        model.latent_size: fit_basis(
            batches, model.transform, model.latent_size, settings["iterations"], settings["seed"]
        )
        for model in models.values()
    }
    heldout = SpectraDataset(spectra, rows["test"])
    fits = fits_by_dimension(models, bases, heldout, truth)
    table = summary(fits)
    print(table.to_string(index=False))
    write_table(snakemake.output.table, table, DIMENSION_COLUMNS, spectra.metadata)
    with atomic(snakemake.output.numbers) as temporary:
        numbers = dimension_numbers(fits, snakemake.params.variant)
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
