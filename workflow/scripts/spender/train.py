"""Trains the spectrum autoencoder."""

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.nets.weights import save_model
from uraniborg.provenance import settings_digest
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.objective import Objective
from uraniborg.spectra.projection import projected
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra
from uraniborg.training import TrainingSettings, accelerator_for, fit, write_history

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    architecture = snakemake.params.architecture
    settings = TrainingSettings(**snakemake.params.training)
    losses = snakemake.params.get("losses", {})
    spectra = Spectra(snakemake.input.spectra)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)
    z_range = (architecture["z_min"], architecture["z_max"])
    train, valid = (SpectraDataset(spectra, rows[name], z_range) for name in ("train", "valid"))
    torch.manual_seed(settings.seed)
    basis = Basis(**load_file(snakemake.input.basis))
    lsf = spectrograph(spectra.metadata["instrument"]).lsf_on(spectra.grid)
    model = SpectrumAutoencoder.build(architecture, spectra.grid, basis, lsf)
    files = snakemake.input.get("teacher")
    teacher = SpectrumAutoencoder.load(*files) if files else None
    taught_by = sha256(Path(files[0]).read_bytes()).hexdigest() if files else ""
    train, valid = projected(train, model), projected(valid, model)
    loss = Objective(settings.epochs, **losses, teacher=teacher)
    accelerator, devices = accelerator_for(snakemake.resources.gpu)
    history = fit(
        model,
        loss,
        train,
        valid,
        settings,
        directory=snakemake.params.checkpoints,
        identity=settings_digest([snakemake.params.code, losses, taught_by]),
        accelerator=accelerator,
        devices=devices,
        threads=snakemake.threads,
    )
    card = {
        "architecture": architecture,
        "grid": asdict(spectra.grid),
        "training": asdict(settings),
        "losses": losses,
        "training_data": {**spectra.metadata, "train": len(train), "valid": len(valid)},
        "config_digest": settings_digest([architecture, asdict(settings), losses]),
        "metrics": {"best_valid_loss": float(history["valid_loss"].min())},
    }
    save_model(snakemake.output.weights, snakemake.output.card, model, card)
    write_history(snakemake.output.history, history)
