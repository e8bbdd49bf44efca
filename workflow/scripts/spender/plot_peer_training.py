"""Draws the test loss of the peer and of ours over the CPU time of their training."""

from uraniborg.figures.peer import peer_training
from uraniborg.figures.style import save, style
from uraniborg.jobs import job
from uraniborg.tables import read_table

with job(snakemake), style():
    save(peer_training(read_table(snakemake.input[0])), snakemake.output[0])
