"""Draws what the model makes of real galaxies before and after adaptation, and what it lacks."""

from uraniborg.figures.real_galaxies import real_galaxies
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    source = snakemake.input
    tables = (read_table(path) for path in (source.objects, source.stack, source.features))
    save(real_galaxies(*tables), snakemake.output[0])
