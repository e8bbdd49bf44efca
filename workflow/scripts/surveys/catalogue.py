"""Lists a survey's objects, and what was left out of it."""

from uraniborg.jobs import job
from uraniborg.surveys.ingest import catalogue
from uraniborg.surveys.registry import Survey

with job(snakemake):
    catalogue(
        Survey(**snakemake.params.survey),
        list(snakemake.input.shards),
        list(snakemake.input.get("quarantines", [])),
        snakemake.output.catalogue,
        snakemake.output.quarantine,
        snakemake.params.get("splits"),
    )
