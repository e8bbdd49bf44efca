"""Times the population model's sliced distances beside the Sinkhorn divergence of the paper.

The peer is geomloss, whose settings in the published code (arXiv:2309.16958) are p = 1, a blur of
0.002 after annealing and a scaling of 0.9; its default scaling of 0.5 is several times faster and
less exact. Both are timed, and the default also with its default blur of 0.05.
"""

from collections.abc import Callable
from importlib import metadata
from timeit import repeat

import torch
from torch import Tensor, nn

from uraniborg.benchmarks import measured
from uraniborg.jobs import job
from uraniborg.population.popsed.objective import Sinkhorn, objective
from uraniborg.records import write_records

PEER = "geomloss, Sinkhorn divergence"
# Blur and scaling of the peer: its defaults, its default scaling, and as published.
SETTINGS = (0.05, 0.5), (0.002, 0.5), (0.002, 0.9)
SLICED = "sliced_wasserstein", "sliced_energy"
BANDS, DIRECTIONS, OBJECTS = 5, 64, 20_000
ROUNDS = 2


def backward(distance: nn.Module, sample: Tensor) -> Callable[[], None]:
    """Code that computes the gradient of a distance by the sample."""

    def code() -> None:
        distance(sample.detach().requires_grad_()).backward()

    return code


def seconds(codes: list[Callable[[], None]], calls: list[int]) -> list[float]:
    """The best time of each code, which take turns, some calls of each at a time."""

    rounds = [
        [min(repeat(code, number=1, repeat=n)) for code, n in zip(codes, calls, strict=True)]
        for _ in range(ROUNDS)
    ]
    return [min(times) for times in zip(*rounds, strict=True)]


def distances(sizes: list[int], threads: int) -> list[dict[str, object]]:
    """Gradients per second of each sliced distance and each setting of the peer."""

    generator = torch.Generator().manual_seed(0)
    data = torch.randn(OBJECTS, BANDS, generator=generator)
    rows = []
    for size in sizes:
        # A model that is neither right nor far off.
        sample = 0.2 + 1.2 * torch.randn(size, BANDS, generator=generator)
        sliced = [
            objective(name, data, directions=DIRECTIONS, levels=size, seed=0) for name in SLICED
        ]
        peers = [Sinkhorn(data, *setting) for setting in SETTINGS]
        codes = [backward(distance, sample) for distance in (*sliced, *peers)]
        best = seconds(codes, [10] * len(sliced) + [1] * len(peers))
        ours, theirs = best[: len(sliced)], best[len(sliced) :]
        rows += [
            measured(
                f"gradient of {name}, {size} galaxies",
                size / of_name,
                size / of_setting,
                objects=size,
                unit="galaxies / s",
                threads=threads,
                peer_name=f"{PEER}, blur {blur}, scaling {scaling}",
                peer_version=metadata.version("geomloss"),
            )
            for name, of_name in zip(SLICED, ours, strict=True)
            for (blur, scaling), of_setting in zip(SETTINGS, theirs, strict=True)
        ]
    print(*rows, sep="\n")
    return rows


with job(snakemake):
    threads = snakemake.threads
    torch.set_num_threads(threads)
    write_records(snakemake.output[0], distances(snakemake.params.sizes, threads))
