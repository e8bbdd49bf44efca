"""Compares methods on the strangest objects of each class, and at broad lines, of a real survey."""

import json

import torch

from uraniborg.files import atomic
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
    # No redshift of the search, which may be of the wrong kind of object.
    explainer = explainer.at_survey_redshifts()
    explanations = explainer.explain(*explainer.examples(params.examples))
    write_explanations(snakemake.output, explanations, explainer.spectra.metadata)
    numbers = {f"real_{name}": number for name, number in explainer.broad_lines().items()}
    print(numbers)
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
