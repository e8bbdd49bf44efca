"""Writes objects, spectra and models of a survey as FITS tables."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.exports import export_objects, export_spectra
from uraniborg.spectra.uncertainty import ErrorModel
from uraniborg.tables import Spectra, read_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    source, output = snakemake.input, snakemake.output
    model = SpectrumAutoencoder.load(source.weights, source.card)
    errors = ErrorModel.load(source.calibration)
    spectra = Spectra(source.spectra)
    # Rows of the objects are those of the catalogue.
    rows = read_table(source.catalogue, ["row"])["row"]
    objects = read_table(source.objects).assign(row=rows).head(snakemake.params.objects)
    header = {"SURVEY": spectra.metadata["survey"], "DATA": spectra.metadata["data"]}
    export_objects(output.objects, source.objects, header)
    export_spectra(model, spectra, objects, output.observed, output.restframe, errors)
    print(f"wrote {len(objects)} spectra")
