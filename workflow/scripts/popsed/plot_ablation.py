"""Draws what each choice of the method is worth."""

from uraniborg.figures.popsed import ablation
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    survey = snakemake.wildcards.survey.replace("_", " ")
    targets = [snakemake.params.get(name) for name in ("target_z", "target_mass")]
    save(ablation(read_table(snakemake.input[0]), survey, *targets), snakemake.output[0])
