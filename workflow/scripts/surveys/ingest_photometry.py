"""Reads one shard of a survey's real photometry."""

from uraniborg.jobs import job
from uraniborg.surveys.matching import files_of
from uraniborg.surveys.photometric_ingest import ingest_photometry
from uraniborg.surveys.registry import Survey

with job(snakemake):
    survey = Survey(**snakemake.params.survey)
    shard, data_root = int(snakemake.wildcards.shard), snakemake.params.data_root
    ingest_photometry(
        survey,
        files_of(survey, shard, snakemake.input, data_root),
        snakemake.output.photometry,
        snakemake.output.quarantine,
    )
