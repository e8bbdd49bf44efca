"""Reads one shard of a survey's real spectra."""

from pathlib import Path

from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.jobs import job
from uraniborg.surveys.ingest import ingest
from uraniborg.surveys.matching import matching_files, part_of
from uraniborg.surveys.registry import Survey

with job(snakemake):
    survey = Survey(**snakemake.params.survey)
    if survey.source == "archive":
        files = {Path(path).name: Path(path) for path in snakemake.input}
    else:
        files = matching_files(survey.patterns, snakemake.params.data_root)
    ingest(
        survey,
        part_of(files, int(snakemake.wildcards.shard), survey.shards),
        observed_grid(survey.instrument),
        snakemake.output.shard,
        snakemake.output.quarantine,
    )
