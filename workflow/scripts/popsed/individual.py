"""Fits single galaxies, whose stacked posteriors are not the population."""

import json

import numpy as np
import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.population.popsed.fits import TYPICAL_Z
from uraniborg.population.popsed.individual import Library, fit_individually
from uraniborg.population.popsed.prior import Prior
from uraniborg.population.popsed.survey import forward_model, read_survey
from uraniborg.population.popsed.tables import STACK_COLUMNS
from uraniborg.tables import write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    catalogue = read_survey(inputs.photometry, params.instrument, params.population)
    model = forward_model(catalogue, params.population, inputs.ssp_grid, inputs.basis)
    some = catalogue.take(np.arange(min(params.galaxies, len(catalogue))))
    priors = {
        "prior": Prior.of(model.space, model.history, TYPICAL_Z),
        "flat prior": Prior.flat_box(model.space),
    }
    parts, effective = [], {}
    for label, prior in priors.items():
        library = Library.draw(model, prior, params.library)
        fits = fit_individually(
            library, some, error_floor=params.error_floor, selects=not prior.flat, samples=50
        )
        effective[label] = float(fits.galaxies["effective_size"].median())
        parts.append(fits.samples[["galaxy", "z", "stellar_mass"]].assign(label=label))
    columns = [column.name for column in STACK_COLUMNS]
    write_table(outputs.stacks, pd.concat(parts)[columns], STACK_COLUMNS)
    print(f"median effective sample size: {effective}")
    with atomic(outputs.summary) as temporary:
        summary = {"galaxies": len(some), "effective_size": effective}
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
