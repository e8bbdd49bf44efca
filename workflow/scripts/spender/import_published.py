"""Turns weights of SPENDER's authors into a model of this library."""

from dataclasses import asdict

from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.jobs import job
from uraniborg.nets.weights import save_model
from uraniborg.provenance import settings_digest
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.published import (
    load_published,
    published_architecture,
    published_parts,
    published_state,
)

with job(snakemake):
    params = snakemake.params
    grid = observed_grid(params.instrument)
    state = published_state(**dict(snakemake.input.items()))
    architecture = published_architecture(state, grid)
    parts = published_parts(architecture, grid)
    load_published(state, parts, params.restframe)
    model = SpectrumAutoencoder(*parts, amplitude=architecture["amplitude"])
    z_range = parts.transform.z_min, parts.transform.z_max
    print(f"{architecture}\ncovers all pixels at z from {z_range[0]:.4f} to {z_range[1]:.4f}")
    card = {
        "architecture": architecture,
        "grid": asdict(grid),
        "training_data": {"source": "state dict of spender 0.3 (arXiv:2211.07890)"},
        "config_digest": settings_digest(architecture),
        "metrics": {},
    }
    save_model(snakemake.output.weights, snakemake.output.card, model, card)
