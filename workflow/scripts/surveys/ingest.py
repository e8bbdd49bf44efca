"""Reads one shard of a survey's real spectra."""

from uraniborg.jobs import job
from uraniborg.surveys.ingest import ingest
from uraniborg.surveys.matching import files_of
from uraniborg.surveys.registry import Survey

with job(snakemake):
    survey = Survey(**snakemake.params.survey)
    shard, data_root = int(snakemake.wildcards.shard), snakemake.params.data_root
    ingest(
        survey,
        files_of(survey, shard, snakemake.input, data_root),
        snakemake.output.shard,
        snakemake.output.quarantine,
    )
