"""Classifies stars and galaxies by templates, with few or many principal components of stars."""

import torch
from safetensors.torch import load_file

from uraniborg.jobs import job
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.outliers.misclassification import TEMPLATE_COLUMNS, misclassification
from uraniborg.spectra.outliers.stellar_templates import (
    EXAMPLE_COLUMNS,
    balanced_rows,
    compared,
    linear_model,
)
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    galaxies, stars, settings = Spectra(inputs.galaxies), Spectra(inputs.stars), params.templates
    ordinary = Spectra(inputs.truth).column("anomaly") == "none"
    of_stars = split_rows(stars.column("object_id"), params.splits)
    rows = split_rows(galaxies.column("object_id"), params.splits)["test"]
    samples = {
        "train": (stars, of_stars["train"]),
        "stars": (stars, balanced_rows(stars, of_stars["test"], settings["objects"])),
        "galaxies": (galaxies, rows[ordinary[rows]][: settings["objects"]]),
    }
    basis, components = Basis(**load_file(inputs.galaxy_basis)), settings["galaxy_components"]
    galaxy = linear_model(basis, galaxies.grid, params.z_range, components)
    star = SpectrumAutoencoder.load(inputs.star_weights, inputs.star_card)
    found = compared(galaxy, star, samples, settings)
    print(misclassification(found.table).to_string())
    write_table(outputs.table, found.table, TEMPLATE_COLUMNS, stars.metadata)
    write_table(outputs.example, found.example, EXAMPLE_COLUMNS, stars.metadata)
