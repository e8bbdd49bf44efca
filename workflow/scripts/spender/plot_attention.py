"""Draws which parts of spectra features are drawn from."""

from uraniborg.figures.attention import attention
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    curves, enhancements = (
        read_table(snakemake.input[name]) for name in ("curves", "enhancements")
    )
    save(attention(curves, enhancements), snakemake.output[0])
