"""Random galaxies as bagpipes models them, to compare our stellar populations with."""

import importlib.metadata
import json

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.bagpipes import model_spectra
from uraniborg.universe.comparison import (
    EDGES,
    REFERENCE_COLUMNS,
    WAVELENGTH,
    draw_reference_galaxies,
)
from uraniborg.universe.photometry import UGRIZJHK_W1

with job(snakemake):
    galaxies = draw_reference_galaxies(snakemake.params.galaxies, snakemake.params.seed)
    filters = list(UGRIZJHK_W1.values())
    spectra, means, mass = model_spectra(galaxies, EDGES, WAVELENGTH, filters)
    galaxies["stellar_mass"] = mass
    galaxies[list(UGRIZJHK_W1)] = means
    galaxies["spectrum"] = list(spectra)
    metadata = {
        "bagpipes": importlib.metadata.version("bagpipes"),
        "astro-sedpy": importlib.metadata.version("astro-sedpy"),
        "filters": json.dumps(UGRIZJHK_W1),
        "age_edges_yr": json.dumps(EDGES),
        "wavelength": "Angstrom in air: 2200 pixels of 2.5 A, the first centred at 3501.25",
    }
    write_table(snakemake.output[0], galaxies, REFERENCE_COLUMNS, metadata)
