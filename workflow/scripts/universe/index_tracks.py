"""Tracks of stellar populations on the plane of 4000 A break and H-delta, by bagpipes itself."""

import numpy as np

from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe.bagpipes import track_spectra
from uraniborg.universe.planes import TRACK_COLUMNS, track_histories
from uraniborg.universe.refraction import air_to_vacuum
from uraniborg.universe.spectral_indices import break_4000, h_delta

with job(snakemake):
    histories = track_histories()
    air = np.arange(3800.0, 4200.0, 1.0)
    spectra = track_spectra(histories, air)
    wavelength, ivar = air_to_vacuum(air), np.ones_like(spectra)
    table = histories.assign(
        d4000=break_4000(wavelength, spectra, ivar).value,
        h_delta=h_delta(wavelength, spectra, ivar).value,
    )
    write_table(snakemake.output[0], table, TRACK_COLUMNS, {"source": "bagpipes 1.3.6"})
