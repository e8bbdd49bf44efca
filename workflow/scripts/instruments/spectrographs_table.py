"""Tabulates noise and resolving power of the spectrographs."""

from pathlib import Path

import pandas as pd

from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.instruments.spectrograph_curves import CURVE_COLUMNS, spectrograph_curves
from uraniborg.jobs import job
from uraniborg.tables import write_table

with job(snakemake):
    tables = {Path(path).name.removesuffix("_noise.parquet"): path for path in snakemake.input}
    curves = [spectrograph_curves(spectrograph(name, path)) for name, path in tables.items()]
    write_table(snakemake.output[0], pd.concat(curves, ignore_index=True), CURVE_COLUMNS)
