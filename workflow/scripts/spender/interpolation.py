"""Decodes the path from a star-forming to a quiescent galaxy, and real galaxies beside it."""

import json

import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.application import galaxy_sequence
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.paths import PATH_COLUMNS, path_distances, path_table
from uraniborg.tables import Spectra, read_table, write_table

STEPS = 6
# Distances are between all pairs.
OBJECTS = 2000

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    objects = read_table(snakemake.input.objects).query("split == 'test'").head(OBJECTS)
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    spectra = Spectra(snakemake.input.spectra)
    truth = Spectra(snakemake.input.truth) if snakemake.input.get("truth") else None
    # A typical star-forming galaxy and a typical quiescent one.
    first, *_, last = galaxy_sequence(objects, 6)
    table = path_table(model, objects, (first, last), STEPS, spectra, truth)
    write_table(snakemake.output.table, table, PATH_COLUMNS, spectra.metadata)
    numbers = path_distances(model, objects)
    print(numbers)
    with atomic(snakemake.output.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
