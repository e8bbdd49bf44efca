"""What each choice of the method is worth, and how fits converge."""

import json
from pathlib import Path

from uraniborg.jobs import job
from uraniborg.population.popsed.ablation import ablation_table, convergence_table
from uraniborg.population.popsed.survey import read_survey, read_truth
from uraniborg.population.popsed.tables import ABLATION_COLUMNS, CONVERGENCE_COLUMNS
from uraniborg.tables import read_table, write_table

with job(snakemake):
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    catalogue = read_survey(inputs.photometry, params.instrument, params.population)
    truth = read_truth(inputs.truth, catalogue)
    fits = dict(zip(params.fits, zip(inputs.galaxies, inputs.summaries, strict=True), strict=True))
    loaded = {
        name: (read_table(galaxies), json.loads(Path(summary).read_text()))
        for name, (galaxies, summary) in fits.items()
    }
    weight = json.loads(Path(inputs.lcurve).read_text())["weight"]
    loaded["chosen"] = loaded[f"weight_{weight:g}"]
    stacks = read_table(inputs.stacks)
    table = ablation_table(loaded, params.rows, truth, catalogue, params.population, stacks)
    write_table(outputs.ablation, table, ABLATION_COLUMNS)
    histories = dict(zip(params.histories, inputs.histories, strict=True))
    shown = {"default": f"weight_{weight:g}", "published": "published"}
    convergence = convergence_table(
        {label: read_table(histories[fit]) for label, fit in shown.items()},
        {label: loaded[fit][1] for label, fit in shown.items()},
    )
    write_table(outputs.convergence, convergence, CONVERGENCE_COLUMNS)
