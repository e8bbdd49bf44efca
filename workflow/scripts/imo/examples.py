"""Compares methods on the strangest objects of each class of a survey."""

import torch

from uraniborg.jobs import job
from uraniborg.spectra.attribution.explanation import Explainer, methods_of, write_explanations

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, params = snakemake.input, snakemake.params
    explainer = Explainer.load(
        inputs.weights,
        inputs.card,
        inputs.catalogue,
        inputs.spectra,
        instrument=params.instrument,
        score="log_prob",
        methods=methods_of("log_prob"),
        **params.ordinary,
    )
    explainer, rows, titles = explainer.examples(params.examples)
    explanations = explainer.explain(rows, titles)
    write_explanations(snakemake.output, explanations, explainer.spectra.metadata)
