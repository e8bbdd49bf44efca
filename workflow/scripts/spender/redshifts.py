"""Looks for the redshifts of spectra that the model has not seen."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.redshift_recovery import RECOVERY_COLUMNS, recovery_table
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.redshifts
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    catalogue = read_table(snakemake.input.catalogue, ["row", "object_id", "z"])
    if snakemake.params.trained_on:
        catalogue = catalogue.iloc[
            split_rows(catalogue["object_id"], snakemake.params.splits)["test"]
        ]
    # What has no redshift cannot tell whether the estimate is right.
    rows = catalogue.dropna(subset=["z"])["row"].to_numpy()[: settings["objects"]]
    table = recovery_table(
        model,
        spectra,
        truth,
        rows,
        settings["half_width"],
        settings["degrade_to"],
        settings["control_objects"],
        settings["seed"],
    )
    print(f"{len(rows)} objects, {len(table)} searches")
    write_table(snakemake.output[0], table, RECOVERY_COLUMNS, spectra.metadata)
