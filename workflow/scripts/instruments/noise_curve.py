"""Measures the noise model of the SDSS spectrographs on real sky fibres and bright galaxies."""

import hashlib
from pathlib import Path

from uraniborg.instruments.noise import write_noise
from uraniborg.instruments.noise_fit import fit_noise, read_fibres
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.jobs import job

with job(snakemake):
    grid = observed_grid("sdss")
    sky_files, galaxy_files = sorted(snakemake.input.sky), sorted(snakemake.input.galaxies)
    # Every second fibre is left for the check.
    fitted = sky_files[::2]
    model = fit_noise(read_fibres(fitted, grid), read_fibres(galaxy_files, grid), grid)
    digest = hashlib.sha256()
    for path in [*fitted, *galaxy_files]:
        digest.update(hashlib.sha256(Path(path).read_bytes()).hexdigest().encode())
    provenance = (
        f"{len(fitted)} sky fibres and {len(galaxy_files)} galaxies of SDSS-I/II, public spectra; "
        f"sha256 of the files' sha256 digests: {digest.hexdigest()}"
    )
    write_noise(snakemake.output[0], model, provenance)
