"""Measures what must fail, and the linear baseline, on held-out galaxies."""

import json

import pandas as pd
import torch
from safetensors.torch import load_file

from uraniborg.claims import median
from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.controls import principal_components, shuffled_redshifts, shuffled_weights
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    spectra = Spectra(snakemake.input.spectra)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["test"]
    batch = next(SpectraDataset(spectra, rows).batches(512))
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    basis = Basis(**load_file(snakemake.input.components))
    reconstructions = {
        "untrained_control": shuffled_weights(model, batch, seed=1),
        "redshift_control": shuffled_redshifts(model, batch, seed=1),
        "pca_reduced_chi2": principal_components(basis, model, batch),
    }
    medians = {
        name: median(
            pd.Series(reduced_chi2(batch.flux, batch.ivar, observed, model.parameters_per_object))
        )
        for name, observed in reconstructions.items()
    }
    print(medians)
    with atomic(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(medians, indent=2) + "\n")
