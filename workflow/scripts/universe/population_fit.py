"""Fits the galaxies' hyperparameters to the colours and redshifts of halves of real catalogues."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.instruments.photometer import photometer
from uraniborg.jobs import job
from uraniborg.population.comparison import standardisation
from uraniborg.population.fitting import Free, fit_population, trace_columns
from uraniborg.population.samples import features, halves, objects
from uraniborg.surveys.photometry import PhotometricSky
from uraniborg.surveys.registry import Survey
from uraniborg.tables import read_table, write_table
from uraniborg.universe.relations import HYPERPARAMETERS


def started(hyperparameter: Free, value: float) -> Free:
    """The same, starting from a value or just inside its bounds."""

    inset = 1e-3 * hyperparameter.width
    low, high = hyperparameter.low + inset, hyperparameter.high - inset
    return replace(hyperparameter, start=min(max(value, low), high))


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    params, inputs = snakemake.params, snakemake.input
    real, skies = [], []
    for path, settings in zip(inputs.real, params.surveys, strict=True):
        survey, table = Survey(**settings), read_table(path)
        # The few luminous red galaxies beyond the limit would cost most of the time.
        changes = {"hyperparameters": "published", "luminous_red": False}
        survey = replace(survey, universe={**survey.universe, **changes})
        half = table[halves(table["object_id"])]
        real.append(features(objects(half, survey.name, "real")))
        instrument = photometer(survey.instrument, inputs.noise)
        skies.append(PhotometricSky(survey, instrument, inputs.ssp_grid, "", inputs.dust_emission))

    def simulate(values: Mapping[str, float]) -> list[np.ndarray]:
        seen = (sky.with_values(values).observe(0, params.objects)[0] for sky in skies)
        return [features(objects(table, "", "simulated")) for table in seen]

    free = [
        started(Free(h.name, h.published, h.width, h.low, h.high), h.published)
        for h in HYPERPARAMETERS
    ]
    comparable = [standardisation(sample) for sample in real]
    traces = []
    # Over wide steps from the published values first, then over narrower ones from there.
    for step, width in ((1.0, 1.0), (0.6, 0.5), (0.3, 0.5)):
        near = [replace(x, width=width * x.width) for x in free]
        fit = fit_population(simulate, real, near, comparable, params.calls, step)
        traces.append(fit.trace)
        free = [started(x, fit.hyperparameters[x.name]) for x in free]
    record = {
        "hyperparameters": fit.hyperparameters,
        "distance": fit.distance,
        "fitted_to": list(params.names),
    }
    with atomic(Path(snakemake.output.values)) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    trace = pd.concat(traces, ignore_index=True)
    write_table(snakemake.output.trace, trace, trace_columns(free), {"data": "real"})
