"""Times spectrum autoencoders against their peer, and measures how far they are from the machine's
limits."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from spectra_work import PEER, Work, load, our_work, peer_version, peer_work
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from uraniborg.benchmarks import compare, measured
from uraniborg.jobs import job
from uraniborg.records import write_records

# The peer's three losses take memory with the square of the number.
COUNT = 64
# Whether the peer does the same: knowing the redshift is another task, so its rate is no measure.
ENCODERS = {"flux": True, "published": True, "restframe": False}
WORK = {
    "encode": "encode",
    "fidelity": "training step, fidelity",
    "three_losses": "training step, fidelity + similarity + consistency",
}


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write; views read and write none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **(kwargs or {}))
        if not function.is_view:
            touched = tree_leaves((args, kwargs, results))
            self.bytes += sum(x.nbytes for x in touched if isinstance(x, Tensor))
        return results


def rates(works: dict[str, Work], threads: int) -> list[dict[str, object]]:
    """Spectra per second of each encoder and kind of work, beside the peer's where it has one."""

    rows = []
    for encoder, has_peer in ENCODERS.items():
        for kind, title in WORK.items():
            peer = works.get(PEER) if has_peer else None
            rows.append(
                compare(
                    f"{title}, {encoder} encoder",
                    getattr(works[encoder], kind),
                    None if peer is None else getattr(peer, kind),
                    objects=COUNT,
                    unit="spectra / s",
                    threads=threads,
                    peer_name=PEER if has_peer else "",
                    peer_version=peer_version() if has_peer else "",
                    repetitions=2 if encoder == "published" else 3,
                )
            )
    return rows


def limits(works: dict[str, Work], threads: int) -> list[dict[str, object]]:
    """Arithmetic and memory traffic per second of our work, beside what the machine can do."""

    flops, bandwidth = peak_flops(), peak_bandwidth()
    rows = []
    for encoder in ENCODERS:
        for kind in ("encode", "fidelity"):
            work, title = getattr(works[encoder], kind), f"{WORK[kind]}, {encoder} encoder"
            with FlopCounterMode(display=False) as counter, Traffic() as traffic:
                work()
            seconds = fastest(work, 2)
            common = {"objects": COUNT, "threads": threads, "peer_version": torch.__version__}
            rows += [
                measured(
                    f"arithmetic: {title}",
                    counter.get_total_flops() / seconds / 1e9,
                    flops / 1e9,
                    unit="GFLOP / s",
                    peer_name="product of matrices, torch",
                    **common,
                ),
                measured(
                    f"memory traffic: {title}",
                    traffic.bytes / seconds / 1e9,
                    bandwidth / 1e9,
                    unit="GB / s",
                    peer_name="copy of an array, torch",
                    **common,
                ),
            ]
    return rows


def peak_flops(size: int = 1536) -> float:
    """Operations per second of a product of square matrices in single precision."""

    a, b = torch.randn(2, size, size)
    return 2 * size**3 / fastest(lambda: a @ b, 3)


def peak_bandwidth(size: int = 2**25) -> float:
    """Bytes per second read and written by a copy far larger than caches."""

    source, target = torch.zeros(2, size)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), 3)


def fastest(work: Callable[[], object], repetitions: int) -> float:
    """Seconds of the fastest of several calls, after one that warms up."""

    seconds = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def memory(spectra: str, threads: int) -> list[dict[str, object]]:
    """What training takes in memory, in processes of their own."""

    def step(model: str, kind: str) -> float:
        task = {"model": model, "step": kind, "spectra": spectra, "count": COUNT}
        done = subprocess.run(
            [sys.executable, str(Path(snakemake.scriptdir) / "spectra_memory.py")],
            input=json.dumps({**task, "threads": threads}),
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    rows = []
    for kind in ("fidelity", "three_losses"):
        peer = step(PEER, kind) if peer_version() else math.nan
        rows += [
            measured(
                f"memory of a {WORK[kind]}, {encoder} encoder",
                step(encoder, kind),
                peer if has_peer else math.nan,
                objects=COUNT,
                unit="MB",
                threads=threads,
                peer_name=PEER if has_peer else "",
                peer_version=peer_version() if has_peer else "",
            )
            for encoder, has_peer in ENCODERS.items()
        ]
    return rows


def sampling(batch, transform, threads: int) -> dict[str, object]:
    """Redshifting rest-frame spectra beside an interpolation of each."""

    generator = torch.Generator().manual_seed(1)
    restframe = torch.rand(COUNT, transform.restframe.size, generator=generator)
    rest, observed = transform.restframe.wavelength, transform.observed.wavelength

    def interpolate() -> None:
        for spectrum, z in zip(restframe.numpy(), batch.z.tolist(), strict=True):
            np.interp(observed, rest * (1 + z), spectrum)

    return compare(
        "redshift and sample rest-frame spectra",
        lambda: transform(restframe, batch.z),
        interpolate,
        objects=COUNT,
        unit="spectra / s",
        threads=threads,
        peer_name="numpy.interp",
        peer_version=np.__version__,
    )


with job(snakemake):
    threads, spectra = snakemake.threads, str(snakemake.input.spectra)
    torch.set_num_threads(threads)
    # First, because Linux counts what a parent took when it starts a process to the child.
    measured_memory = memory(spectra, threads)
    batch, transform = load(spectra, COUNT)
    works = {encoder: our_work(encoder, batch, transform) for encoder in ENCODERS}
    peer = peer_work(batch, transform)
    if peer is not None:
        works[PEER] = peer
    rows = [
        sampling(batch, transform, threads),
        *rates(works, threads),
        *limits(works, threads),
        *measured_memory,
    ]
    write_records(snakemake.output[0], rows)
