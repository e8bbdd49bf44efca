"""Which objects of a survey to keep."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["failed_cut"]


def failed_cut(
    selection: Mapping[str, Any],
    scalars: Mapping[str, np.ndarray],
    good_fraction: np.ndarray,
    exempt: np.ndarray | bool = False,
) -> np.ndarray:
    """The first cut that each object fails.

    Args:
        selection: Keys of the section `selection` of a survey's file.
        scalars: `spectype`, `z`, `z_err`, `zwarning` and `snr`, each of shape (N,).
        good_fraction: Fraction of the instrument's pixels that are good, shape (N,).
        exempt: Objects that pass every cut on the redshift, its error and its warnings because
            they have none, shape (N,).

    Returns:
        One phrase per object, empty for an object that passes every cut, shape (N,).
    """

    z, z_err = scalars["z"], scalars["z_err"]
    spectype = np.asarray(scalars["spectype"], object)
    low, high = selection.get("z_min", -np.inf), selection.get("z_max", np.inf)
    passes = {}
    if selection.get("spectype"):
        names = np.array([f"spectype {name or 'unknown'}" for name in spectype], object)
        passes["spectype"] = (np.isin(spectype, selection["spectype"]), names)
    if "z_min" in selection or "z_max" in selection:
        limits = [f"below {low:g}"] * ("z_min" in selection)
        limits += [f"above {high:g}"] * ("z_max" in selection)
        passes["z"] = (exempt | ((z >= low) & (z <= high)), f"z {' or '.join(limits)}")
    if "z_err_max" in selection:
        limit = selection["z_err_max"]
        within = exempt | ((z_err > 0) & (z_err <= limit))
        passes["z_err"] = (within, f"z_err not within 0 to {limit:g}")
    if "zwarning_allowed" in selection:
        allowed = selection["zwarning_allowed"]
        zwarning = np.asarray(scalars["zwarning"], np.int64)
        names = np.array([f"zwarning {flags}" for flags in zwarning], object)
        passes["zwarning"] = (exempt | ((zwarning & ~np.int64(allowed)) == 0), names)
    if "snr_min" in selection:
        limit = selection["snr_min"]
        passes["snr"] = (scalars["snr"] >= limit, f"snr below {limit:g}")
    if "good_fraction_min" in selection:
        limit = selection["good_fraction_min"]
        passes["good"] = (good_fraction >= limit, f"fewer than {limit:g} of the pixels are good")

    failed = np.full(len(z), "", object)
    for passed, phrase in passes.values():
        failed = np.where((failed == "") & ~passed, phrase, failed)
    return failed
