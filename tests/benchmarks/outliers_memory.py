"""One part of the search for outliers in a process of its own, as a job of the workflow does it.

Reads as JSON the folder (`folder`), the number of threads, the part (`part`) and its arguments:

- `prepare`: writes a scorer, and `shards` files of `size` spectra each, which repeat those of the
  files `spectra` under identifiers of their own.
- `score`: scores `shards` of these files one after the other.
- `assemble`: makes the catalogue of `shards` tables of scores.

Prints the peak of the process's memory in MB (`peak`) and how long the part took (`seconds`).
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from outliers_work import LATENT_SIZE, load_scorer, save_scorer

from uraniborg.spectra.outliers.catalogue import catalogue, score_columns, score_shard
from uraniborg.tables import Spectra, SpectraWriter, write_table

_BATCH = 500


def prepare(folder: Path, spectra: list[str], shards: int, size: int) -> None:
    source = Spectra(spectra)
    save_scorer(source, folder)
    scalars = source.scalars
    for shard in range(shards):
        options = {"columns": source.columns, "metadata": source.metadata}
        with SpectraWriter(folder / f"{shard}.arrow", source.grid, **options) as writer:
            for start in range(0, size, _BATCH):
                number = shard * size + np.arange(start, min(start + _BATCH, size))
                rows = number % len(source)
                part = scalars.iloc[rows].assign(object_id=[f"{i:012}" for i in number])
                vectors = {name: source.vectors(name, rows) for name in ("flux", "ivar")}
                writer.write(part, **vectors)


def score(folder: Path, shards: int) -> None:
    scorer, columns = load_scorer(folder), score_columns(LATENT_SIZE)
    for shard in range(shards):
        spectra = Spectra(folder / f"{shard}.arrow")
        scores = score_shard(scorer, spectra)
        write_table(folder / f"{shard}.parquet", scores, columns, spectra.metadata)


def assemble(folder: Path, shards: int) -> None:
    tables = [folder / f"{shard}.parquet" for shard in range(shards)]
    catalogue(tables, folder / "catalogue.parquet", folder / "catalogue.fits")


task = json.load(sys.stdin)
torch.set_num_threads(task.pop("threads"))
part = {"prepare": prepare, "score": score, "assemble": assemble}[task.pop("part")]
start = time.perf_counter()
part(Path(task.pop("folder")), **task)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# Linux counts in kB, macOS in bytes.
print(json.dumps({"peak": peak / (1e6 if sys.platform == "darwin" else 1e3), "seconds": seconds}))
