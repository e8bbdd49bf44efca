"""Likelihoods over redshift of one held-out galaxy, as observed and with more noise."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.redshift_recovery import LIKELIHOOD_COLUMNS, likelihood_table
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.redshifts
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    known = read_table(snakemake.input.redshifts).query("search == 'start' and anomaly == 'none'")
    # The galaxy of median signal-to-noise ratio.
    typical = known.sort_values(["snr", "object_id"])["object_id"].iloc[len(known) // 2]
    row = list(spectra.column("object_id")).index(typical)
    table = likelihood_table(model, spectra, truth, row, settings["examples"], settings["seed"])
    write_table(snakemake.output[0], table, LIKELIHOOD_COLUMNS, spectra.metadata)
