"""Compares magnitudes of galaxies with those of bagpipes, and K-corrections with kcorrect's."""

import json
from pathlib import Path

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe import comparison, kcorrections

with job(snakemake):
    grid, metadata = snakemake.input.grid, {"data": "simulated"}
    magnitudes = comparison.compare_photometry(
        snakemake.input.bagpipes, grid, snakemake.input.dust_emission
    )
    corrections = kcorrections.compare(snakemake.input.kcorrect, grid)
    write_table(
        snakemake.output.magnitudes,
        magnitudes,
        comparison.PHOTOMETRY_DIFFERENCE_COLUMNS,
        metadata,
    )
    write_table(
        snakemake.output.corrections, corrections, kcorrections.CORRECTION_COLUMNS, metadata
    )
    summaries = {
        snakemake.output.magnitudes_summary: (magnitudes, comparison.photometry_summary),
        snakemake.output.corrections_summary: (corrections, kcorrections.summary),
    }
    for path, (table, summary) in summaries.items():
        values = {**summary(table), "n": table["galaxy"].nunique()}
        with atomic(Path(path)) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n")
