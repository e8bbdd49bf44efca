"""Measures the [O II] doublet that the model of higher resolution decodes, beside the truth."""

import json

import numpy as np
import torch

from uraniborg.files import atomic
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.superresolution import (
    CURVE_COLUMNS,
    DOUBLET_COLUMNS,
    curve_table,
    doublet_numbers,
    doublet_table,
    grid_within,
    narrow_lines,
)
from uraniborg.surveys.intrinsic import IntrinsicSpectra
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

# Sampling of the truth in the figure, per pixel of the model.
_FINER = 4

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, settings = snakemake.input, snakemake.params.superresolution
    model = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    default = SpectrumAutoencoder.load(inputs.default_weights, inputs.default_card)
    spectra, truth = Spectra(inputs.spectra), Spectra(inputs.truth)
    survey = Survey(**snakemake.params.survey)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"]
    galaxies = narrow_lines(spectra, truth, rows, settings["signal_to_noise"])

    def intrinsic(finer: int = 1) -> IntrinsicSpectra:
        instrument = spectrograph(survey.instrument)
        grid = grid_within(model.transform.restframe, finer)
        return IntrinsicSpectra(survey, instrument, Resources.of(inputs), grid)

    table = doublet_table(model, default, spectra, galaxies, intrinsic())
    numbers = doublet_numbers(table)
    print(json.dumps(numbers, indent=2))
    # From the narrowest lines to the broadest that are two in truth.
    resolved = galaxies[table["truth_peaks"].astype(bool)]
    count = min(settings["figure_objects"], len(resolved))
    shown = resolved.iloc[np.linspace(0, len(resolved) - 1, count).astype(int)]
    curves = curve_table(
        model,
        default,
        spectra,
        shown,
        intrinsic(_FINER),
        grid_within(model.transform.restframe, _FINER),
    )
    write_table(snakemake.output.doublets, table, DOUBLET_COLUMNS, spectra.metadata)
    write_table(snakemake.output.curves, curves, CURVE_COLUMNS, spectra.metadata)
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
