"""Compares the simulated noise of the BOSS or DESI spectrographs with real spectra of targets."""

import json

from uraniborg.files import atomic
from uraniborg.instruments.noise_check import CHECK_COLUMNS, compare_targets, summary
from uraniborg.instruments.noise_fit_targets import read_boss_targets, read_desi_targets
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.tables import write_table

READERS = {"boss": read_boss_targets, "desi": read_desi_targets}

with job(snakemake):
    name, every = snakemake.params.instrument, snakemake.params.every
    instrument = spectrograph(name, snakemake.input.noise, errors="reported")
    # With `every` of two, the noise model that ships was fitted to the other files.
    paths = sorted(snakemake.input.targets)[every - 1 :: every]
    spectra = READERS[name](paths, instrument.grid)
    table = compare_targets(instrument, spectra, snakemake.params.copies, snakemake.params.seed)
    metadata = {"data": "real", "held_out": str(every > 1)}
    write_table(snakemake.output.table, table, CHECK_COLUMNS, metadata)
    numbers = {**summary(table), "n": len(spectra.flux), "held_out": every > 1}
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")
