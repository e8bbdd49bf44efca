"""Holds a simulated catalogue, and controls that must fail, against its real twin."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from uraniborg.files import atomic
from uraniborg.instruments.photometer import photometer
from uraniborg.jobs import job
from uraniborg.population.comparison import compare
from uraniborg.population.samples import OBJECT_COLUMNS, SUMMARY_COLUMNS, halves, objects
from uraniborg.surveys.photometry import PhotometricSky
from uraniborg.surveys.registry import Survey
from uraniborg.tables import read_table, write_table

NO_DUST = {"attenuation_scale": 0.0, "attenuation_scatter": 0.0, "quiescent_attenuation": 0.0}

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, survey = snakemake.input, Survey(**snakemake.params.survey)
    name = snakemake.wildcards.catalogue
    real = pd.concat(map(read_table, inputs.real), ignore_index=True)
    fitting = halves(real["object_id"])
    sky = PhotometricSky(
        survey,
        photometer(survey.instrument, inputs.noise),
        inputs.ssp_grid,
        inputs.hyperparameters,
        inputs.dust_emission,
    )
    seen = sky.observe(0, survey.objects)[0]
    dustless = sky.with_values(NO_DUST).observe(0, survey.objects)[0]
    shuffled = seen.assign(z=np.random.default_rng(1).permutation(seen["z"]))
    samples = {
        label: objects(table, name, label)
        for label, table in {
            "simulated": seen,
            "no dust": dustless,
            "shuffled redshifts": shuffled,
        }.items()
    }
    parts = [objects(real[rows], name, "real") for rows in (fitting, ~fitting)]
    table = compare(*parts, samples, name).set_index("sample", drop=False)
    metadata = {"data": "real", "survey": name}
    drawn = pd.concat([parts[1], samples["simulated"], samples["no dust"]], ignore_index=True)
    write_table(snakemake.output.objects, drawn, OBJECT_COLUMNS, metadata)
    write_table(snakemake.output.table, table.reset_index(drop=True), SUMMARY_COLUMNS, metadata)
    summary = {
        "n": int(table["n"].iloc[0]),
        "distance": table.loc["simulated", "ratio"],
        "auc": table.loc["simulated", "auc"],
        "no_dust_control": table.loc["no dust", "ratio"],
        "no_dust_auc_control": table.loc["no dust", "auc"],
        "shuffled_control": table.loc["shuffled redshifts", "ratio"],
    }
    with atomic(Path(snakemake.output.summary)) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")
