"""Which objects of a survey to keep."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from uraniborg.errors import UserError

__all__ = ["failed_cut"]

_NEEDS = {"fiberstatus_allowed": "fiberstatus", "target": "target", "deltachi2_min": "deltachi2"}
"""Scalars that not every survey has, by the keys that look at them."""


def failed_cut(
    selection: Mapping[str, Any],
    scalars: Mapping[str, np.ndarray],
    good_fraction: np.ndarray,
    exempt: np.ndarray | bool = False,
) -> np.ndarray:
    """The first cut that each object fails.

    Args:
        selection: Keys of the section `selection` of a survey's file.
        scalars: `spectype`, `z`, `z_err`, `zwarning`, `snr` and, if the selection looks at them,
            `fiberstatus`, `deltachi2` and `target`, names joined by spaces, each of shape (N,).
        good_fraction: Fraction of the instrument's pixels that are good, shape (N,).
        exempt: Objects that pass every cut on the redshift, its error and its warnings because
            they have none, shape (N,).

    Returns:
        One phrase per object, empty for an object that passes every cut, shape (N,).

    Raises:
        UserError: The selection looks at a scalar that is not there.
    """

    lacking = [
        key for key, name in _NEEDS.items() if selection.get(key, []) != [] and name not in scalars
    ]
    if lacking:
        raise UserError(
            f"selection: {', '.join(lacking)}: only files of the reader `desi` tell this; remove "
            "the key from the survey's file."
        )
    z, z_err = scalars["z"], scalars["z_err"]
    spectype = np.asarray(scalars["spectype"], object)
    low, high = selection.get("z_min", -np.inf), selection.get("z_max", np.inf)
    passes = {}
    if "fiberstatus_allowed" in selection:
        passes["fiberstatus"] = _flags(scalars, "fiberstatus", selection["fiberstatus_allowed"])
    if selection.get("target"):
        wanted = set(selection["target"])
        names = [text.split() for text in scalars["target"]]
        among = np.array([not wanted.isdisjoint(each) for each in names], bool)
        passes["target"] = (among, f"no target of {' or '.join(selection['target'])}")
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
    if "z_err_relative_max" in selection:
        limit = selection["z_err_relative_max"]
        within = exempt | ((z_err > 0) & (z_err <= limit * (1 + z)))
        passes["z_err_relative"] = (within, f"z_err not within 0 to {limit:g} (1 + z)")
    if "zwarning_allowed" in selection:
        passed, names = _flags(scalars, "zwarning", selection["zwarning_allowed"])
        passes["zwarning"] = (exempt | passed, names)
    if "deltachi2_min" in selection:
        limit = selection["deltachi2_min"]
        passes["deltachi2"] = (
            exempt | (scalars["deltachi2"] >= limit),
            f"deltachi2 below {limit:g}",
        )
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


def _flags(
    scalars: Mapping[str, np.ndarray], name: str, allowed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which objects have no flags but those allowed, and a phrase for the flags of each."""

    flags = np.asarray(scalars[name], np.int64)
    names = np.array([f"{name} {value}" for value in flags], object)
    return flags & ~np.int64(allowed) == 0, names
