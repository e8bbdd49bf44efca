"""Simulates one shard of a survey: objects of the universe through its spectrograph."""

import torch

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.simulation import simulate

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    survey, inputs = Survey(**snakemake.params.survey), snakemake.input
    simulate(
        survey,
        int(snakemake.wildcards.shard),
        Resources.of(inputs),
        spectrograph(survey.instrument, inputs.noise, survey.errors),
        snakemake.output.spectra,
        snakemake.output.truth,
        snakemake.output.quarantine,
    )
