"""Fits the rest-frame basis that low-rank parts of the model start from."""

import numpy as np
import torch
from safetensors.torch import save_file

from uraniborg.files import atomic
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.spectra.basis import fit_basis
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.surveys.splits import split_rows
from uraniborg.tables import Spectra

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    architecture, settings = snakemake.params.architecture, snakemake.params.basis
    spectra = Spectra(snakemake.input.spectra)
    rows = split_rows(spectra.column("object_id"), snakemake.params.splits)["train"]
    # Evenly spaced, so that the sample spans all shards.
    rows = rows[np.linspace(0, len(rows) - 1, min(settings["spectra"], len(rows))).astype(int)]
    z_range = (architecture["z_min"], architecture["z_max"])
    lsf = spectrograph(spectra.metadata["instrument"]).lsf_on(spectra.grid)
    transform = RedshiftTransform.of(architecture, spectra.grid, lsf)
    batches = SpectraDataset(spectra, rows, z_range).batches(256)
    print(f"fitting {architecture['rank']} basis spectra to {len(rows)} spectra")
    basis = fit_basis(
        batches, transform, architecture["rank"], settings["iterations"], settings["seed"]
    )
    print("variance of the coefficients:", *(f"{value:.3g}" for value in basis.variance))
    with atomic(snakemake.output[0]) as temporary:
        save_file(basis._asdict(), temporary)
