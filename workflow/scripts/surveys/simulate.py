"""Simulates one shard of a survey: galaxies of the universe through its spectrograph."""

import torch

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.simulation import simulate

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    survey = Survey(**snakemake.params.survey)
    simulate(
        survey,
        int(snakemake.wildcards.shard),
        snakemake.input.ssp_grid,
        spectrograph(survey.instrument, snakemake.input.noise, survey.errors),
        snakemake.output.spectra,
        snakemake.output.truth,
        snakemake.output.quarantine,
    )
