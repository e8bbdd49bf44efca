"""Holds uncertainties against the truth of held-out spectra; measures what is left of the noise."""

import json

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.controls import principal_components
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.uncertainty import ErrorModel
from uraniborg.spectra.uncertainty_check import (
    CURVE_COLUMNS,
    SUPPRESSION_COLUMNS,
    curve_table,
    measure,
    numbers,
    spectrum_table,
    suppression_table,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    output = snakemake.output
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra, noiseless = Spectra(snakemake.input.spectra), Spectra(snakemake.input.truth)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"]
    # Evenly spaced, so that the sample spans all shards.
    rows = rows[np.linspace(0, len(rows) - 1, min(snakemake.params.spectra, len(rows))).astype(int)]
    dataset = SpectraDataset(spectra, rows)
    batch, norm = dataset.batch(np.arange(len(rows))), torch.from_numpy(dataset.norm)
    truth = torch.from_numpy(noiseless.vectors("flux", rows)) / norm[:, None]
    errors = measure(model, batch, truth, norm, ErrorModel.load(snakemake.input.calibration))
    linear = principal_components(Basis(**load_file(snakemake.input.components)), model, batch)
    object_id, snr = (spectra.column(name)[rows] for name in ("object_id", "snr"))
    suppression = suppression_table(
        object_id, snr, batch, truth, errors, linear, model.parameters_per_object
    )
    measured = numbers(errors, suppression)
    for name, number in measured.items():
        print(f"{name}: {number['value']:.3f}")
    # The figure shows the spectrum of median signal-to-noise ratio.
    example = int(np.argsort(snr, kind="stable")[len(snr) // 2])
    wavelength = spectra.grid.wavelength
    spectrum = spectrum_table(wavelength, batch, truth, norm, errors, example)
    curves = pd.concat([curve_table(errors, snr), spectrum], ignore_index=True)
    metadata = {"object_id": object_id[example], "z": str(batch.z[example].item())}
    write_table(output.curves, curves, CURVE_COLUMNS, spectra.metadata | metadata)
    write_table(output.suppression, suppression, SUPPRESSION_COLUMNS, spectra.metadata)
    with atomic(output.numbers) as temporary:
        temporary.write_text(json.dumps(measured, indent=2) + "\n")
