"""Measures the noise of GALEX, SDSS and 2MASS photometry on a real catalogue."""

import hashlib
from pathlib import Path

from uraniborg.instruments.photometric_noise import write_noise
from uraniborg.instruments.photometric_noise_fit import (
    CHECK_COLUMNS,
    Measured,
    check_noise,
    fit_noise,
    read_measured,
)
from uraniborg.jobs import job
from uraniborg.tables import write_table

with job(snakemake):
    path = Path(snakemake.input.catalogue)
    measured = read_measured(path)
    # Every second object is left for the check.
    fitted, others = (
        {name: Measured(*(x[half::2] for x in values)) for name, values in measured.items()}
        for half in (0, 1)
    )
    noise = fit_noise(fitted)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_noise(snakemake.output.noise, noise, f"{path.name}, sha256 {digest}")
    write_table(snakemake.output.check, check_noise(noise, others), CHECK_COLUMNS, {"data": "real"})
