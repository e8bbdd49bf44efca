"""Measures the noise model of the BOSS or DESI spectrographs on real spectra of faint targets."""

import hashlib
from pathlib import Path

from uraniborg.instruments.noise import read_noise, write_noise
from uraniborg.instruments.noise_fit_targets import (
    fit_target_noise,
    read_boss_targets,
    read_desi_targets,
)
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.jobs import job

READERS = {"boss": read_boss_targets, "desi": read_desi_targets}

with job(snakemake):
    instrument, every = snakemake.params.instrument, snakemake.params.every
    grid = observed_grid(instrument)
    # With `every` of two, every second file is left for the check.
    paths = sorted(snakemake.input.targets)[::every]
    spectra = READERS[instrument](paths, grid)
    # Targets do not show errors of the sky continuum: those of the sky fibres of SDSS are assumed.
    sky_errors = read_noise(snakemake.input.sky_errors).sky_errors
    model = fit_target_noise(spectra, grid, sky_errors)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(Path(path).read_bytes()).hexdigest().encode())
    provenance = (
        f"{len(spectra.flux)} targets of {instrument.upper()} in {len(paths)} files, public "
        f"spectra; sha256 of the files' sha256 digests: {digest.hexdigest()}"
    )
    write_noise(snakemake.output[0], model, provenance)
