"""Adapts the model to real galaxies, each left out in turn, and finds what the simulation lacks."""

import json

import numpy as np
import torch
from safetensors.numpy import save_file

from uraniborg.files import atomic
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.spectra.adaptation import AdaptationSettings
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.coherent_residuals import FEATURE_COLUMNS
from uraniborg.spectra.matched_simulations import simulated_levels
from uraniborg.spectra.real_galaxies import (
    ADAPTED_COLUMNS,
    STACK_COLUMNS,
    adapted_numbers,
    adapted_survey,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    source, output = snakemake.input, snakemake.output
    model = SpectrumAutoencoder.load(source.weights, source.card)
    spectra = Spectra(source.spectra)
    # Rows of the objects, whose redshifts are complete, are those of the catalogue.
    rows = read_table(source.catalogue, ["row"])["row"]
    galaxies = read_table(source.objects).assign(row=rows)
    # Evenly spaced, so that they span all shards.
    count = min(len(galaxies), snakemake.params.spectra)
    galaxies = galaxies.iloc[np.linspace(0, len(galaxies) - 1, count).astype(int)]
    truth = Spectra(source.truth)
    heldout = split_rows(truth.column("object_id"), snakemake.params.splits)["test"]
    instrument = spectrograph(spectra.metadata["instrument"], source.noise)
    levels = simulated_levels(model, truth, heldout[:1000], instrument)
    settings = AdaptationSettings(**snakemake.params.settings)
    result = adapted_survey(model, spectra, galaxies, levels, settings)
    print(result.objects.to_string(), result.features.to_string(), sep="\n")
    metadata = {"data": spectra.metadata["data"]}
    write_table(output.objects, result.objects, ADAPTED_COLUMNS, metadata)
    write_table(output.stack, result.stack, STACK_COLUMNS, metadata)
    write_table(output.features, result.features, FEATURE_COLUMNS, metadata)
    with atomic(output.correction) as temporary:
        save_file(result.correction._asdict(), temporary)
    with atomic(output.numbers) as temporary:
        temporary.write_text(json.dumps(adapted_numbers(result.objects), indent=2) + "\n")
