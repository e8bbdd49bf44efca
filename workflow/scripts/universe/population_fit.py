"""Fits the galaxies' hyperparameters to the colours and redshifts of halves of real catalogues."""

import json
from dataclasses import replace

import torch

from uraniborg.files import atomic
from uraniborg.instruments.photometer import photometer
from uraniborg.jobs import job
from uraniborg.population.fitting import fit_skies, trace_columns
from uraniborg.surveys.photometry import PhotometricSky
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.tables import read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    params, inputs = snakemake.params, snakemake.input
    skies = []
    for settings in params.surveys:
        survey = Survey(**settings)
        # The few luminous red galaxies beyond the limit would cost most of the time.
        changes = {"hyperparameters": "published", "luminous_red": False}
        survey = replace(survey, universe={**survey.universe, **changes})
        instrument = photometer(survey.instrument, inputs.noise)
        skies.append(PhotometricSky(survey, instrument, Resources.of(inputs)))
    fit = fit_skies(skies, list(map(read_table, inputs.real)), params.objects, params.calls)
    record = {
        "hyperparameters": fit.hyperparameters,
        "distance": fit.distance,
        "fitted_to": list(params.names),
    }
    with atomic(snakemake.output.values) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    columns = trace_columns(fit.hyperparameters)
    write_table(snakemake.output.trace, fit.trace, columns, {"data": "real"})
