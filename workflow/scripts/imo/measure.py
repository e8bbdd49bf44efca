"""Attributes scores of simulated outliers by every method, and measures what they point at."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.attribution.evaluation import MEASURED_COLUMNS, OBJECT_CURVE_COLUMNS
from uraniborg.spectra.attribution.explanation import Explainer, methods_of, write_explanations
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    explainer = Explainer.load(
        inputs.weights,
        inputs.card,
        inputs.catalogue,
        inputs.spectra,
        instrument=params.instrument,
        score=snakemake.wildcards.score,
        methods=methods_of(snakemake.wildcards.score),
        **params.ordinary,
    )
    measurements = explainer.measure(Spectra(inputs.truth), **params.objects)
    metadata = explainer.spectra.metadata
    write_table(outputs.measured, measurements.measured, MEASURED_COLUMNS, metadata)
    write_table(outputs.object_curves, measurements.curves, OBJECT_CURVE_COLUMNS, metadata)
    write_explanations(outputs, measurements.examples, metadata)
