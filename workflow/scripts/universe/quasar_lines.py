"""Fits the mean strengths of quasars' emission lines to a composite spectrum of SDSS."""

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.quasar_lines import LINE_COLUMNS, fit_lines, read_composite

with job(snakemake):
    table, summary = fit_lines(read_composite(snakemake.input.composite))
    metadata = {name: str(value) for name, value in summary.items()}
    write_table(snakemake.output[0], table[[c.name for c in LINE_COLUMNS]], LINE_COLUMNS, metadata)
    print(summary)
