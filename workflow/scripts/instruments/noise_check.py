"""Compares the simulated noise of the SDSS spectrographs with real sky fibres."""

import json

import numpy as np

from uraniborg.files import atomic
from uraniborg.instruments.noise_check import (
    CHECK_COLUMNS,
    compare_noise,
    observe_empty_sky,
    summary,
)
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.jobs import job
from uraniborg.tables import Spectra, write_table

with job(snakemake):
    # Real errors are compared, so the simulation reports them with the pipeline's faults.
    instrument = spectrograph("sdss", snakemake.input.noise, errors="reported")
    sky = Spectra(snakemake.input.sky)
    # The noise model that ships was fitted to every second fibre; these are the others.
    rows = np.argsort(sky.column("object_id"))[1::2]
    real = sky.vectors("flux", rows), sky.vectors("ivar", rows)
    flux, ivar = observe_empty_sky(instrument, snakemake.params.fibres, snakemake.params.seed)
    # The survey masks pixels, mostly on bright sky lines; the same are taken from the simulation.
    masked = real[1][np.arange(len(ivar)) % len(rows)] == 0
    simulated = flux, np.where(masked, 0, ivar)
    on_line = instrument.noise.curves["family"].to_numpy() >= 0
    table = compare_noise(real, simulated, on_line, snakemake.params.seed)
    write_table(snakemake.output.table, table, CHECK_COLUMNS, {"data": "real"})
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps({**summary(table), "n": len(rows)}, indent=2) + "\n")
