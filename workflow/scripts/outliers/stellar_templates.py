"""Classifies stars and galaxies by templates, with few or many principal components of stars."""

import pandas as pd
import torch
from safetensors.torch import load_file

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.outliers.stellar_templates import (
    AUTOENCODER,
    EXAMPLE_COLUMNS,
    TEMPLATE_COLUMNS,
    balanced_rows,
    example_star,
    example_table,
    linear_model,
    misclassification,
    stellar_templates,
    template_table,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings, inputs = snakemake.params.templates, snakemake.input
    galaxies, stars = Spectra(inputs.galaxies), Spectra(inputs.stars)
    known = Spectra(inputs.truth).column("anomaly")
    of_stars = split_rows(stars.column("object_id"), snakemake.params.splits)
    held_out = split_rows(galaxies.column("object_id"), snakemake.params.splits)["test"]
    held_out = held_out[known[held_out] == "none"][: settings["objects"]]
    rows = balanced_rows(stars, of_stars["test"], settings["objects"])

    basis, z_range = Basis(**load_file(inputs.galaxy_basis)), snakemake.params.z_range
    galaxy = linear_model(basis, galaxies.grid, z_range, settings["galaxy_components"])
    numbers = range(1, settings["components"] + 1)
    models = stellar_templates(
        stars, of_stars["train"], numbers, settings["iterations"], settings["seed"]
    )
    models[AUTOENCODER] = SpectrumAutoencoder.load(inputs.star_weights, inputs.star_card)
    tables = [
        template_table(galaxy, models, *sample) for sample in ((stars, rows), (galaxies, held_out))
    ]
    table = pd.concat(tables, ignore_index=True)
    print(misclassification(table).to_string())
    write_table(snakemake.output.table, table, TEMPLATE_COLUMNS, stars.metadata)
    name = example_star(table, settings["example"])
    if name is None:
        print("no star is beaten by a galaxy: the example is the first star, which is not")
        name = tables[0]["object_id"].iloc[0]
    example = example_table(galaxy, models, stars, name, settings["example"])
    write_table(snakemake.output.example, example, EXAMPLE_COLUMNS, stars.metadata)
