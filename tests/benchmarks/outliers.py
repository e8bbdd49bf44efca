"""Times the search for outliers beside its peer, and measures what a survey takes in memory.

The survey has as many spectra as the parameter `spectra` says, in ten shards; those of the input
are repeated. Its files (32 kB per spectrum) are in the folder for temporary files meanwhile.
"""

import json
import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from outliers_work import MEMBERS, load_scorer, our_log_prob, peer_log_prob
from spectra_work import PEER, load, peer_version

import uraniborg
from uraniborg.benchmarks import compare, measured
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.scorer import OutlierScorer, log_snr
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Spectra

COUNT = 128
SHARDS = 10
AS_PUBLISHED = {"kind": "autoregressive", "members": 1}
BY_DEFAULT = {"kind": "spline", "members": MEMBERS}


def of_log_prob(
    batch: Batch, transform: RedshiftTransform, context: torch.Tensor, threads: int
) -> list[dict[str, object]]:
    """Encoding and log p. Who knows the redshift has another task, so there is no peer for it."""

    peer, version = peer_log_prob(batch.flux), peer_version()
    common = {"objects": len(batch.z), "unit": "spectra / s", "threads": threads}
    of_peer = {"peer_name": PEER, "peer_version": version}
    # As published, nothing is given.
    published = our_log_prob("flux", batch, transform, context[:, :0], **AS_PUBLISHED)
    default = our_log_prob("flux", batch, transform, context, **BY_DEFAULT)
    restframe = our_log_prob("restframe", batch, transform, context, **BY_DEFAULT)
    splines = f"{MEMBERS} spline flows given S/N"
    name = "encode + log p"
    return [
        compare(f"{name}, flux encoder, flow as published", published, peer, **common, **of_peer),
        compare(f"{name}, flux encoder, {splines}", default, peer, **common, **of_peer),
        compare(f"{name}, restframe encoder, {splines}", restframe, None, **common),
    ]


def of_scorer(
    scorer: OutlierScorer, batch: Batch, log_snr: torch.Tensor, threads: int
) -> dict[str, object]:
    """All that is said of an object: encoding, log p, residuals, neighbours, flags."""

    return compare(
        "outlier score with all that is beside it, restframe encoder",
        lambda: scorer.score(batch, log_snr),
        None,
        objects=len(batch.z),
        unit="spectra / s",
        threads=threads,
    )


def of_survey(
    spectra: list[str], folder: Path, count: int, threads: int
) -> list[dict[str, object]]:
    """Time and memory from shards to the catalogue, and memory for the first shard alone."""

    def run(part: str, **task: Any) -> dict[str, float]:
        """A part in a process of its own."""

        done = subprocess.run(
            [sys.executable, str(Path(snakemake.scriptdir) / "outliers_memory.py")],
            input=json.dumps({"folder": str(folder), "threads": threads, "part": part, **task}),
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
            check=True,
        )
        print(part, done.stdout.strip())
        return json.loads(done.stdout)

    run("prepare", spectra=spectra, shards=SHARDS, size=count // SHARDS)
    rows = []
    for part, title, objects in (
        ("score", "score a survey, from files of spectra to tables", "spectra"),
        ("assemble", "rank a survey, from tables to the catalogue", "objects"),
    ):
        first, whole = (run(part, shards=number) for number in (1, SHARDS))
        common = {"objects": count, "threads": threads}
        rows += [
            measured(title, count / whole["seconds"], math.nan, unit=f"{objects} / s", **common),
            measured(
                f"peak memory: {title}",
                whole["peak"],
                first["peak"],
                unit="MB",
                peer_name=f"the first of {SHARDS} shards alone, uraniborg",
                peer_version=uraniborg.__version__,
                **common,
            ),
        ]
    return rows


with job(snakemake):
    threads, spectra = snakemake.threads, list(map(str, snakemake.input.spectra))
    torch.set_num_threads(threads)
    with TemporaryDirectory() as name:
        # First, because Linux counts what a parent took when it starts a process to the child.
        measured_survey = of_survey(spectra, Path(name), snakemake.params.spectra, threads)
        scorer = load_scorer(Path(name))
    batch, transform = load(spectra, COUNT)
    snr = log_snr(Spectra(spectra).column("snr")[: len(batch.z)])
    rows = [
        *of_log_prob(batch, transform, snr[:, None].float(), threads),
        of_scorer(scorer, batch, snr, threads),
        *measured_survey,
    ]
    write_records(snakemake.output[0], rows)
