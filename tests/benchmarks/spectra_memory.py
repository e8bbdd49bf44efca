"""Measures what a step of training takes in memory, in a process of its own.

Reads as JSON the encoder's or the peer's name (`model`), the step (`fidelity` or `three_losses`),
the shard (`spectra`), the number of spectra (`count`) and of threads; prints by how many MB
training raised the peak above what the process took before, with data and model in place.
"""

import json
import resource
import sys

import torch
from spectra_work import PEER, load, our_work, peer_work


def peak() -> float:
    """The largest memory of this process so far in MB."""

    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kB, macOS in bytes.
    return taken / (1e6 if sys.platform == "darwin" else 1e3)


task = json.load(sys.stdin)
torch.set_num_threads(task["threads"])
batch, transform = load(task["spectra"], task["count"])
name = task["model"]
work = peer_work(batch, transform) if name == PEER else our_work(name, batch, transform)
before = peak()
# Twice, because the optimizer's state appears at the end of the first.
for _ in range(2):
    getattr(work, task["step"])()
print(json.dumps(peak() - before))
