"""Simulates one shard of a photometric survey: galaxies of the universe through its photometer."""

import torch

from uraniborg.instruments.photometer import photometer
from uraniborg.jobs import job
from uraniborg.surveys.photometry import PhotometricSky, simulate_photometry
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    survey, inputs = Survey(**snakemake.params.survey), snakemake.input
    instrument = photometer(survey.instrument, inputs.noise)
    sky = PhotometricSky(survey, instrument, Resources.of(inputs))
    shard = int(snakemake.wildcards.shard)
    simulate_photometry(sky, shard, snakemake.output.photometry, snakemake.output.truth)
