"""Explains the first outliers of a catalogue: pixels, lines and regions."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.attribution.explanation import Explainer, write_explanations
from uraniborg.spectra.attribution.features import SUMMARY_COLUMNS, feature_summary
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
        **params.ordinary,
    )
    rows = explainer.first(params.first)
    objects = explainer.catalogue.iloc[rows]
    explanations = explainer.explain(rows, objects["object_id"])
    metadata = explainer.spectra.metadata
    write_explanations(outputs, explanations, metadata)
    groups = objects["spectype"]
    if inputs.get("truth"):
        groups = Spectra(inputs.truth).column("anomaly")[rows]
    summary = feature_summary(
        explanations.features, dict(zip(objects["object_id"], groups, strict=True))
    )
    write_table(outputs.summary, summary, SUMMARY_COLUMNS, metadata)
