"""A simulated catalogue of photometry, and controls that must fail, against its real twin."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from uraniborg.population.comparison import compare
from uraniborg.population.samples import halves, objects
from uraniborg.surveys.photometry import PhotometricSky

__all__ = ["SkyComparison", "compare_sky"]

_NO_DUST = {"attenuation_scale": 0.0, "attenuation_scatter": 0.0, "quiescent_attenuation": 0.0}


class SkyComparison(NamedTuple):
    """How a simulated catalogue compares with the real one: see `compare_sky`."""

    objects: pd.DataFrame
    """The real judging half, the simulation and that without dust, `samples.OBJECT_COLUMNS`."""

    table: pd.DataFrame
    """One row per sample, `samples.SUMMARY_COLUMNS`."""

    summary: dict[str, float]
    """Values of the claims by name."""


def compare_sky(sky: PhotometricSky, real: pd.DataFrame, catalogue: str) -> SkyComparison:
    """Holds a simulated survey against the half of the real one that no fit has seen.

    The controls are galaxies without dust, and simulated redshifts that were shuffled.

    Args:
        sky: The simulated survey.
        real: Catalogue of the real one.
        catalogue: Its name.
    """

    count = sky.survey.objects
    seen = sky.observe(0, count)[0]
    tables = {
        "simulated": seen,
        "no dust": sky.with_values(_NO_DUST).observe(0, count)[0],
        "shuffled redshifts": seen.assign(z=np.random.default_rng(1).permutation(seen["z"])),
    }
    samples = {label: objects(table, catalogue, label) for label, table in tables.items()}
    fitting = halves(real["object_id"])
    parts = [objects(real[rows], catalogue, "real") for rows in (fitting, ~fitting)]
    table = compare(*parts, samples, catalogue)
    drawn = pd.concat([parts[1], samples["simulated"], samples["no dust"]], ignore_index=True)
    by_sample = table.set_index("sample")
    summary = {
        "n": int(table["n"].iloc[0]),
        "distance": by_sample.loc["simulated", "ratio"],
        "auc": by_sample.loc["simulated", "auc"],
        "no_dust_control": by_sample.loc["no dust", "ratio"],
        "no_dust_auc_control": by_sample.loc["no dust", "auc"],
        "shuffled_control": by_sample.loc["shuffled redshifts", "ratio"],
    }
    return SkyComparison(drawn, table, summary)
