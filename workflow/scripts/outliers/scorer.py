"""Calibrates the outlier score on objects that neither autoencoder nor density was trained on."""

import numpy as np
import torch

from uraniborg.jobs import job
from uraniborg.nets.weights import load_card
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.outliers.density import Density
from uraniborg.spectra.outliers.misfit import ModelMisfit
from uraniborg.spectra.outliers.scorer import OutlierScorer, encoded
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, params = snakemake.input, snakemake.params
    model = SpectrumAutoencoder.load(inputs.weights, inputs.card)
    density = Density.load(inputs.density, inputs.density_card)
    spectra = Spectra(inputs.spectra)
    object_id, snr = spectra.column("object_id"), spectra.column("snr")
    rows = split_rows(object_id, params.splits)
    misfit = ModelMisfit.of(model, SpectraDataset(spectra, rows["valid"]).batches(256))
    unseen = np.sort(np.concatenate([rows["valid"], rows["test"]]))
    held_out = encoded(model, misfit, SpectraDataset(spectra, unseen), snr[unseen])
    train = rows["train"]
    learned = encoded(model, misfit, SpectraDataset(spectra, train), snr[train])
    scorer = OutlierScorer.of(
        model, density, misfit, held_out, learned, object_id[train], params.latent_weight
    )
    contents = {"training_data": {**spectra.metadata, "held_out": len(unseen)}}
    scorer.save(snakemake.output.weights, snakemake.output.card, load_card(inputs.card), contents)
