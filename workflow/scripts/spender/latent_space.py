"""Holds latents of simulated galaxies against their physical parameters and their noise."""

import json

import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra import latents as space
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    spectra, truth = Spectra(snakemake.input.spectra), Spectra(snakemake.input.truth)
    objects = read_table(snakemake.input.objects)
    galaxies = objects.merge(space.galaxy_parameters(truth.scalars), on="object_id")
    probes = space.probe_table(galaxies)
    print(probes.to_string(index=False))

    test = galaxies.query("split == 'test'")
    row_of = {name: row for row, name in enumerate(spectra.column("object_id"))}
    dataset = SpectraDataset(spectra, [row_of[name] for name in test["object_id"]])
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    latents = test.filter(regex=r"^latent_\d+$").to_numpy(float)
    errors = latents - space.noiseless_latents(model, dataset, truth)
    modes = space.signal_modes(latents, errors)
    projected = (latents - latents.mean(axis=0)) @ modes.directions[:, :2]
    positions = test[["object_id", *space.PARAMETERS]].assign(
        direction_0=projected[:, 0], direction_1=projected[:, 1]
    )
    ratios = pd.DataFrame({"direction": range(len(modes.ratio)), "ratio": modes.ratio})
    outputs, metadata = snakemake.output, spectra.metadata
    write_table(outputs.space, positions, space.SPACE_COLUMNS, metadata)
    write_table(outputs.modes, ratios, space.MODE_COLUMNS, metadata)
    write_table(outputs.probes, probes, space.PROBE_COLUMNS, metadata)
    numbers = space.degrees_of_freedom(latents, errors) | space.probe_numbers(probes)
    print(numbers)
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
