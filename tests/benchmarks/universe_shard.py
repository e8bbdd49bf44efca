"""Simulates one shard of a survey in a process of its own, as a job of the workflow does.

Reads the survey's settings and the names of files as JSON, and prints the peak of its memory in MB.
"""

import json
import resource
import sys
from pathlib import Path

import torch

from uraniborg.instruments.photometer import photometer
from uraniborg.instruments.spectrograph import spectrograph
from uraniborg.surveys.photometry import PhotometricSky, simulate_photometry
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.simulation import Resources, simulate

job = json.load(sys.stdin)
survey, shard, inputs = Survey(**job["survey"]), job["shard"], job["inputs"]
folder = Path(job["folder"])
torch.set_num_threads(1)
if survey.kind == "photometry":
    files = (inputs["grid"], inputs["hyperparameters"], inputs["dust_emission"])
    sky = PhotometricSky(survey, photometer(survey.instrument), *files)
    simulate_photometry(sky, shard, folder / f"{shard}.parquet", folder / f"truth_{shard}.parquet")
else:
    names = ("grid", "hyperparameters", "star_basis", "quasar_lines")
    simulate(
        survey,
        shard,
        Resources(*(inputs[name] for name in names)),
        spectrograph(survey.instrument),
        folder / f"{shard}.arrow",
        folder / f"truth_{shard}.arrow",
        folder / f"quarantine_{shard}.parquet",
    )
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# Linux counts in kB, macOS in bytes.
print(json.dumps(peak / (1e6 if sys.platform == "darwin" else 1e3)))
