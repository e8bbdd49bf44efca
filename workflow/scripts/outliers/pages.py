"""Writes the spectra, properties and latents of the first outliers, of which figures are drawn."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.outliers.pages import (
    OBJECT_COLUMNS,
    SPECTRA_COLUMNS,
    latent_columns,
    outlier_pages,
)
from uraniborg.spectra.outliers.scorer import OutlierScorer
from uraniborg.tables import Spectra, read_metadata, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    floor = float(read_metadata(inputs.catalogue)["misfit_floor"])
    scorer = OutlierScorer.load(inputs.weights, inputs.card, floor)
    spectra = Spectra(inputs.spectra)
    tables = outlier_pages(
        scorer,
        read_table(inputs.catalogue),
        spectra,
        Spectra(inputs.truth) if inputs.get("truth") else None,
        number=params.pages,
        per_kind=params.per_kind,
    )
    write_table(output.spectra, tables.spectra, SPECTRA_COLUMNS, spectra.metadata)
    write_table(output.objects, tables.objects, OBJECT_COLUMNS, spectra.metadata)
    columns = latent_columns(scorer.model.latent_size)
    write_table(output.latents, tables.latents, columns, spectra.metadata)
