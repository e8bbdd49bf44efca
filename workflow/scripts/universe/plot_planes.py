"""Draws simulated and real galaxies on the BPT plane and that of 4000 A break and H-delta."""

from uraniborg.figures.planes import planes
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    table, tracks = read_table(snakemake.input.table), read_table(snakemake.input.tracks)
    save(planes(table, tracks), snakemake.output[0])
