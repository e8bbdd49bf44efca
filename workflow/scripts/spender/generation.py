"""Compares generated spectra with those of held-out galaxies."""

import json

import numpy as np
import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.population.generated import TEST_COLUMNS, compare_samples, sample_numbers
from uraniborg.spectra import generation
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.tables import read_metadata, read_table, write_table

SEED = 1
# Of each sample at most.
OBJECTS = 2000

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    objects = read_table(snakemake.input.objects)
    train, valid, test = (
        generation.latents_of(objects[objects["split"] == part])
        for part in ("train", "valid", "test")
    )
    density = generation.MixtureDensity.fit(train, valid, seed=SEED)
    print(f"{density.components} Gaussians; log p of test {density.log_prob(test).mean():.3f}")
    number = min(len(test), OBJECTS)
    samples = {
        "heldout": test[:number],
        "training": np.random.default_rng(SEED).permutation(train)[:number],
        "mixture": density.sample(number, SEED),
        "independent": generation.IndependentGaussians.fit(train).sample(number, SEED),
        "box": generation.UniformBox.fit(train).sample(number, SEED),
    }
    model = SpectrumAutoencoder.load(snakemake.input.weights, snakemake.input.card)
    indices, spectra = generation.generation_tables(model, samples)
    names = list(generation.INDICES)
    by_sample = {name: indices.loc[indices["sample"] == name, names].to_numpy() for name in samples}
    latents = [f"latent_{i}" for i in range(model.latent_size)]
    tests = pd.DataFrame(
        compare_samples(by_sample, names, "indices") + compare_samples(samples, latents, "latents")
    )
    print(tests.to_string(index=False))
    outputs, metadata = snakemake.output, {"data": read_metadata(snakemake.input.objects)["data"]}
    write_table(outputs.indices, indices, generation.INDEX_COLUMNS, metadata)
    write_table(outputs.spectra, spectra, generation.GENERATED_COLUMNS, metadata)
    write_table(outputs.tests, tests, TEST_COLUMNS, metadata)
    with atomic(outputs.numbers) as temporary:
        numbers = sample_numbers(tests, "generation")
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
