"""Photometry by bagpipes of random galaxies with dust, nebulae and redshift."""

import importlib.metadata
import json

import numpy as np

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.bagpipes import model_photometry
from uraniborg.universe.comparison import (
    PHOTOMETRY_BANDS,
    PHOTOMETRY_COLUMNS,
    PHOTOMETRY_EDGES,
    draw_photometry_galaxies,
    photometry_magnitudes,
)

with job(snakemake):
    galaxies = draw_photometry_galaxies(snakemake.params.galaxies, snakemake.params.seed)
    formed = galaxies["stellar_mass"].to_numpy()
    total, starlight, living = model_photometry(
        galaxies, PHOTOMETRY_EDGES, list(PHOTOMETRY_BANDS.values())
    )
    galaxies["stellar_mass"] = formed + living
    for light, mean in (("magnitude", total), ("starlight", starlight)):
        magnitudes = photometry_magnitudes(10 ** formed[:, None] * mean, galaxies["z"].to_numpy())
        galaxies[[f"{light}_{band}" for band in PHOTOMETRY_BANDS]] = np.round(magnitudes, 5)
    metadata = {
        "bagpipes": importlib.metadata.version("bagpipes"),
        "astro-sedpy": importlib.metadata.version("astro-sedpy"),
        "filters": json.dumps(PHOTOMETRY_BANDS),
        "age_edges_yr": json.dumps(PHOTOMETRY_EDGES),
        "cosmology": "distances of Planck15",
    }
    write_table(snakemake.output[0], galaxies, PHOTOMETRY_COLUMNS, metadata)
