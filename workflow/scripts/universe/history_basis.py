"""Learns the components of star-formation histories that ship with the project."""

import importlib.metadata

import numpy as np

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.history_basis import (
    basis_columns,
    basis_table,
    history_library,
    learn,
    misplaced,
)

with job(snakemake):
    params = snakemake.params
    library = history_library(params.histories + 1000, params.cells, params.seed)
    basis = learn(library[: params.histories], params.components, params.seed)
    median = np.median(misplaced(library[params.histories :], basis))
    metadata = {
        "scikit-learn": importlib.metadata.version("scikit-learn"),
        "histories": str(params.histories),
        "misplaced_mass": f"{median:.4f}, the median of 1000 other histories",
    }
    write_table(snakemake.output[0], basis_table(basis), basis_columns(len(basis)), metadata)
