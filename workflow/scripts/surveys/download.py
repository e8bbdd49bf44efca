"""Downloads one file of resources/archives.tsv."""

from uraniborg.jobs import job
from uraniborg.surveys.downloads import download

with job(snakemake):
    download(
        snakemake.params.url,
        snakemake.output[0],
        snakemake.params.sha256,
        snakemake.params.bytes,
        snakemake.config["mirror"],
    )
