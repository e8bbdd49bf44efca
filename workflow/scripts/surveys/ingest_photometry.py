"""Reads one shard of a survey's real photometry."""

from pathlib import Path

from uraniborg.jobs import job
from uraniborg.surveys.matching import matching_files, part_of
from uraniborg.surveys.photometric_ingest import ingest_photometry
from uraniborg.surveys.registry import Survey

with job(snakemake):
    survey = Survey(**snakemake.params.survey)
    if survey.source == "archive":
        files = {Path(path).name: Path(path) for path in snakemake.input}
    else:
        files = matching_files(survey.patterns, snakemake.params.data_root)
    ingest_photometry(
        survey,
        part_of(files, int(snakemake.wildcards.shard), survey.shards),
        snakemake.output.photometry,
        snakemake.output.quarantine,
    )
