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
from uraniborg.surveys.population import Resources
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.simulation import simulate

job = json.load(sys.stdin)
survey, shard, resources = Survey(**job["survey"]), job["shard"], Resources.of(job["inputs"])
folder = Path(job["folder"])
torch.set_num_threads(1)
if survey.kind == "photometry":
    sky = PhotometricSky(survey, photometer(survey.instrument), resources)
    simulate_photometry(sky, shard, folder / f"{shard}.parquet", folder / f"truth_{shard}.parquet")
else:
    simulate(
        survey,
        shard,
        resources,
        spectrograph(survey.instrument),
        folder / f"{shard}.arrow",
        folder / f"truth_{shard}.arrow",
        folder / f"quarantine_{shard}.parquet",
    )
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# Linux counts in kB, macOS in bytes.
print(json.dumps(peak / (1e6 if sys.platform == "darwin" else 1e3)))
