"""Holds a simulated catalogue, and controls that must fail, against its real twin."""

import json

import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.instruments.photometer import photometer
from uraniborg.jobs import job
from uraniborg.population.samples import OBJECT_COLUMNS, SUMMARY_COLUMNS
from uraniborg.population.sky import compare_sky
from uraniborg.surveys.photometry import PhotometricSky
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.tables import read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, survey = snakemake.input, Survey(**snakemake.params.survey)
    instrument = photometer(survey.instrument, inputs.noise)
    real = pd.concat(map(read_table, inputs.real), ignore_index=True)
    name = snakemake.wildcards.catalogue
    result = compare_sky(PhotometricSky(survey, instrument, Resources.of(inputs)), real, name)
    metadata = {"data": "real", "survey": name}
    write_table(snakemake.output.objects, result.objects, OBJECT_COLUMNS, metadata)
    write_table(snakemake.output.table, result.table, SUMMARY_COLUMNS, metadata)
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps(result.summary, indent=2) + "\n")
